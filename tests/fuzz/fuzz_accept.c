/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_accept.c: what Accept-Encoding and media types say to gzip. Input: field values, each ended by LF.
 * Holds:   weights stay in range; neither the order of fields, letter case, empty elements nor their being one list
 *          instead of several fields changes the answer; a type matches itself and any pattern made of its ends. */
#include "../../modules/gzip/negotiate.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(condition) ((condition) ? (void)0 : abort())

enum { VALUES_MOST = 16, VALUE_MOST = 512, LIST_ROOM = VALUES_MOST * (VALUE_MOST + 3) };

static const struct wishes none = WISHES_NONE;

static bool is_weight(int weight)
{
    return weight >= -1 && weight <= 1000;
}

static bool same(const struct wishes *a, const struct wishes *b)
{
    return a->gzip == b->gzip && a->identity == b->identity && a->any == b->any;
}

/* A quoted string that does not end would swallow what is put behind it; such a value stands alone. */
static bool can_be_joined(weir_str value)
{
    bool is_quoted = false;

    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '"')
            is_quoted = !is_quoted;
        else if (is_quoted && value.p[i] == '\\')
            i++;
    }
    return !is_quoted;
}

static void check_list(const weir_str *values, size_t count, const struct wishes *expected)
{
    static char list[LIST_ROOM];
    struct wishes wishes = none;
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (!can_be_joined(values[i]))
            return;
        list[n++] = ',';
        for (size_t k = 0; k < values[i].n; k++) {
            char c = values[i].p[k];
            list[n++] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        }
        list[n++] = ' ';
        list[n++] = ',';
    }
    wishes_read(&wishes, (weir_str){ list, n });
    CHECK(same(&wishes, expected));
}

static void check_media(weir_str value)
{
    char pattern[VALUE_MOST + 1];
    weir_str type = media_type(value);

    CHECK(type.n <= value.n && (type.n == 0 || !memchr(type.p, ';', type.n)));
    if (memchr(value.p, '*', value.n))
        return;
    CHECK(media_matches(type, type));
    for (size_t cut = 0; cut <= type.n; cut += type.n / 4 + 1) {
        memcpy(pattern, type.p, cut);
        pattern[cut] = '*';
        memcpy(pattern + cut + 1, type.p + cut, type.n - cut);
        CHECK(media_matches((weir_str){ pattern, type.n + 1 }, type));
    }
}

static size_t cut_values(const char *p, size_t size, weir_str values[VALUES_MOST])
{
    size_t count = 0;

    while (size > 0 && count < VALUES_MOST) {
        const char *end = memchr(p, '\n', size);
        size_t n = end ? (size_t)(end - p) : size;

        values[count++] = (weir_str){ p, n < VALUE_MOST ? n : VALUE_MOST };
        p += end ? n + 1 : n;
        size -= end ? n + 1 : n;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_str values[VALUES_MOST];
    size_t count = cut_values((const char *)data, size, values);
    struct wishes forwards = none, backwards = none;

    for (size_t i = 0; i < count; i++) {
        wishes_read(&forwards, values[i]);
        wishes_read(&backwards, values[count - 1 - i]);
        CHECK(!values[i].n || list_has(values[i], values[i]) || memchr(values[i].p, ',', values[i].n) ||
              strchr(" \t", values[i].p[0]) || strchr(" \t", values[i].p[values[i].n - 1]));
        (void)media_is_pattern(values[i]);
        if (values[i].n)
            check_media(values[i]);
    }
    CHECK(is_weight(forwards.gzip) && is_weight(forwards.identity) && is_weight(forwards.any));
    CHECK(same(&forwards, &backwards));
    CHECK(!wishes_gzip(&forwards) || forwards.gzip > 0 || (forwards.gzip < 0 && forwards.any > 0));
    check_list(values, count, &forwards);
    return 0;
}
