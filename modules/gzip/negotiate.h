/* SPDX-License-Identifier: BSD-2-Clause */
/* negotiate.h: what field values say about coding: Accept-Encoding, lists of tokens, media types. Text in, answer out.
 * Source:  RFC 9110 5.6.1 (lists), 12.5.3 (Accept-Encoding), 12.4.2 (weights), 8.3.1 (media types). */
#ifndef GZIP_NEGOTIATE_H
#define GZIP_NEGOTIATE_H

#include <weir/weir.h>

/* The weights a client gave, 0..1000; -1: not named. Start with WISHES_NONE and read each Accept-Encoding field. */
struct wishes {
    int gzip, identity, any;
};
#define WISHES_NONE { -1, -1, -1 }
void wishes_read(struct wishes *wishes, weir_str value);
bool wishes_gzip(const struct wishes *wishes); /* accepted, and identity is not liked better */

bool list_has(weir_str value, weir_str token); /* a comma separated list holds it; case is ignored */
weir_str media_type(weir_str content_type);    /* without parameters and blanks */
/* pattern: a type, or one with a single star that stands for any text. Case is ignored. */
bool media_matches(weir_str pattern, weir_str type);
bool media_is_pattern(weir_str text); /* fit to be a pattern */

bool text_equal(weir_str a, weir_str b); /* ASCII case is ignored */

#endif
