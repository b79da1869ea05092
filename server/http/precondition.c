/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/precondition.h"
#include "http/date.h"

enum answer { ABSENT, YES, NO };

/* entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE. A backslash is a byte like others here, so no quoted-string. */
static bool take_etag(str *rest, str *etag)
{
    size_t start = str_has_prefix(*rest, S("W/")) ? 2 : 0;
    str inner = str_from(*rest, start + 1);
    size_t end = str_find(inner, '"');

    if (rest->n <= start || rest->p[start] != '"' || end == inner.n)
        return false;
    *etag = str_upto(*rest, start + end + 2);
    *rest = str_from(*rest, start + end + 2);
    return true;
}

static str opaque_tag(str etag)
{
    return str_has_prefix(etag, S("W/")) ? str_from(etag, 2) : etag;
}

static bool etags_match(str a, str b, bool weakly)
{
    if (!weakly && (str_has_prefix(a, S("W/")) || str_has_prefix(b, S("W/"))))
        return false;
    return str_equal(opaque_tag(a), opaque_tag(b));
}

/* What stands behind a malformed element is not looked at. */
static bool list_matches(str list, str etag, bool weakly)
{
    str other;

    if (str_equal(str_trim(list), S("*")))
        return true;
    while (list.n) {
        if (list.p[0] == ' ' || list.p[0] == '\t' || list.p[0] == ',')
            list = str_from(list, 1);
        else if (!take_etag(&list, &other))
            return false;
        else if (etags_match(other, etag, weakly))
            return true;
    }
    return false;
}

static enum answer tags_match(const struct fields *request, enum field_id id, str etag, bool weakly)
{
    enum answer answer = ABSENT;

    for (uint32_t i = 0; i < request->count; i++) {
        if (request->items[i].id != id)
            continue;
        if (list_matches(request->items[i].value, etag, weakly))
            return YES;
        answer = NO;
    }
    return answer;
}

/* Has it changed since the date? A field that is no date, or stands twice, is passed over (13.1.3, 13.1.4). */
static enum answer changed_since(const struct fields *request, enum field_id id, uint64_t modified, uint64_t now)
{
    uint64_t date;

    if (fields_count_id(request, id) != 1 || !http_date_read(fields_get(request, id), now, &date))
        return ABSENT;
    return modified > date ? YES : NO;
}

enum precondition precondition_judge(const struct fields *request, const struct validators *validators, uint64_t now)
{
    enum answer answer = tags_match(request, FIELD_IF_MATCH, validators->etag, false);

    if (answer == NO)
        return PRECONDITION_FAILED;
    if (answer == ABSENT && changed_since(request, FIELD_IF_UNMODIFIED_SINCE, validators->modified, now) == YES)
        return PRECONDITION_FAILED;
    answer = tags_match(request, FIELD_IF_NONE_MATCH, validators->etag, true);
    if (answer == ABSENT && changed_since(request, FIELD_IF_MODIFIED_SINCE, validators->modified, now) == NO)
        return PRECONDITION_NOT_MODIFIED;
    return answer == YES ? PRECONDITION_NOT_MODIFIED : PRECONDITION_HOLDS;
}

bool precondition_allows_range(const struct fields *request, const struct validators *validators, uint64_t now)
{
    str value = str_trim(fields_get(request, FIELD_IF_RANGE)), etag;
    uint64_t date;

    if (!fields_find_id(request, FIELD_IF_RANGE))
        return true;
    if (fields_count_id(request, FIELD_IF_RANGE) != 1)
        return false;
    str rest = value;
    if (take_etag(&rest, &etag))
        return rest.n == 0 && etags_match(etag, validators->etag, false);
    return http_date_read(value, now, &date) && date == validators->modified && validators->modified_is_strong;
}
