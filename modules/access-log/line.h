/* SPDX-License-Identifier: BSD-2-Clause */
/* line.h: one log line in the making, in a buffer of fixed size that it never leaves.
 *
 * Shape:   plain text goes in as it is; values from outside go in escaped. A value that no longer fits is cut and ends
 *          in "...[cut]"; room for the line's frame is kept back, so that what follows (quotes, keys, newline) fits.
 * Units:   bytes; the whole line with its newline is at most LINE_MOST. */
#ifndef ACCESS_LOG_LINE_H
#define ACCESS_LOG_LINE_H

#include <weir/weir.h>

#define LINE_MOST 65536u
#define LINE_FRAME 16384u /* kept back for the frame and the short values behind a long one */
#define LINE_SHORT 512u   /* what every value may take, however long the ones before it were */

struct line {
    uint32_t n;
    char text[LINE_MOST];
};

void line_begin(struct line *line);
void line_plain(struct line *line, const char *text); /* of the format itself: short, never cut */
void line_number(struct line *line, uint64_t number);
void line_thousandths(struct line *line, uint64_t number); /* 1234 is written 1.234 */

/* Between quotes or blanks: control characters, quote, backslash and bytes above ASCII as \xNN; "-" when empty. */
void line_quoted(struct line *line, weir_str value);
/* A whole line of the user's own making: control characters (tab too) as \xNN, the rest as it is. */
void line_template(struct line *line, weir_str value);
/* A JSON string (RFC 8259), invalid UTF-8 as U+FFFD; null when empty. */
void line_json(struct line *line, weir_str value);

weir_str line_end(struct line *line); /* puts the newline */

#endif
