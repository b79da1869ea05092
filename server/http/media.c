/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/media.h"
#include "http/field.h"

/* How closely an element of the list names what is asked for; a closer one decides, whatever its weight (RFC 9110
 * 12.5.1). */
enum closeness { NOT_NAMED, BY_STAR, BY_TYPE, BY_NAME_AND_PARAMETERS, BY_NAME };

struct verdict {
    enum closeness closeness;
    int weight; /* 0 to 1000 */
};

/* qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ) (RFC 9110 12.4.2); -1 when it is none. */
static int read_weight(str s)
{
    int weight, scale = 100;

    if (s.n < 1 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
        return -1;
    weight = (s.p[0] - '0') * 1000;
    for (size_t i = 2; i < s.n; i++, scale /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -1;
        weight += (s.p[i] - '0') * scale;
    }
    return weight <= 1000 ? weight : -1;
}

/* Takes an element apart. Returns its weight, -1 when that is malformed. */
static int read_element(str element, str *range, bool *has_parameters)
{
    str rest = element, item;
    int weight = 1000;

    *has_parameters = false;
    *range = STR_NONE;
    if (str_split(&rest, ';', &item))
        *range = str_trim(item);
    while (str_split(&rest, ';', &item)) {
        item = str_trim(item);
        if (str_has_prefix_nocase(item, S("q="))) {
            weight = read_weight(str_from(item, 2));
            break; /* what follows is no media parameter */
        }
        *has_parameters |= item.n > 0;
    }
    return weight;
}

static enum closeness match(str range, str name, bool has_parameters)
{
    size_t slash = str_find(name, '/');

    if (str_equal_nocase(range, name))
        return has_parameters ? BY_NAME_AND_PARAMETERS : BY_NAME;
    if (str_equal(range, S("*")) || (slash < name.n && str_equal(range, S("*/*"))))
        return BY_STAR;
    if (slash < name.n && range.n == slash + 2 && str_has_suffix(range, S("/*")) &&
        str_equal_nocase(str_upto(range, slash), str_upto(name, slash)))
        return BY_TYPE;
    return NOT_NAMED;
}

static struct verdict judge(str list, str name)
{
    struct verdict best = { NOT_NAMED, -1 };
    str element, range;
    bool has_parameters;

    while (field_list_next(&list, &element)) {
        int weight = read_element(element, &range, &has_parameters);
        enum closeness closeness = match(range, name, has_parameters);

        if (weight < 0 || closeness == NOT_NAMED || closeness < best.closeness)
            continue;
        if (closeness > best.closeness || weight > best.weight)
            best = (struct verdict){ closeness, weight };
    }
    return best;
}

int quality_of(str list, str name)
{
    return judge(list, name).weight;
}

bool accepts_json_over_html(str accept)
{
    struct verdict html = judge(accept, S("text/html"));
    struct verdict json = judge(accept, S("application/json"));
    struct verdict problem = judge(accept, S("application/problem+json"));

    if (problem.weight > json.weight || (problem.weight == json.weight && problem.closeness > json.closeness))
        json = problem;
    return json.weight > 0 &&
           (json.weight > html.weight || (json.weight == html.weight && json.closeness > html.closeness));
}
