/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/chars.h"
#include "http/h1_fields.h"

static enum h1_rc refuse(struct h1_error *error, char c, size_t at)
{
    if (c == '\n')
        h1_fail(error, 400, at == 0 ? "empty line where a message should begin" : "bare LF in the head");
    else
        h1_fail(error, 400, c == '\r' ? "bare CR in the head" : c == '\0' ? "NUL in the head"
                                                                          : "control character in the head");
    return H1_BAD;
}

static enum h1_rc too_long(struct h1_error *error, const struct h1_scan *scan)
{
    if (scan->line_start == 0)
        h1_fail(error, 414, "start line longer than max_header_size");
    else
        h1_fail(error, 431, "head longer than max_header_size");
    return H1_BAD;
}

enum h1_rc h1_scan(struct h1_scan *scan, const char *p, size_t n, const struct h1_limits *limits, size_t *head_bytes,
                   struct h1_error *error)
{
    const char *end = p + (n < limits->head_bytes ? n : limits->head_bytes), *at = p + scan->seen;

    while ((at = chars_find_control(at, end)) < end) {
        size_t offset = (size_t)(at - p);

        if (*at != '\r')
            return refuse(error, *at, offset);
        if (at + 1 == end) /* to be looked at again, with what follows it */
            break;
        if (at[1] != '\n')
            return refuse(error, '\r', offset);
        at += 2;
        if (offset == scan->line_start) {
            if (offset == 0)
                return refuse(error, '\n', 0);
            scan->seen = (uint32_t)(at - p);
            *head_bytes = (size_t)(at - p);
            return H1_DONE;
        }
        scan->line_start = (uint32_t)(at - p);
    }
    scan->seen = (uint32_t)(at - p);
    return end == p + limits->head_bytes ? too_long(error, scan) : H1_MORE;
}

size_t h1_skip_empty_line(const char *p, size_t n, bool *need_more)
{
    *need_more = n == 1 && p[0] == '\r';
    return n >= 2 && p[0] == '\r' && p[1] == '\n' ? 2 : 0;
}
