/* SPDX-License-Identifier: BSD-2-Clause */
/* media.h: content negotiation: quality values in Accept and Accept-Encoding.
 * Source:  RFC 9110 12.4.2, 12.5.1, 12.5.3. */
#ifndef HTTP_MEDIA_H
#define HTTP_MEDIA_H

#include "base/str.h"

/* The weight (0..1000) that an Accept-style list gives to name; -1 when it is not named, nor covered by * (or type/ *
 * for media). */
int quality_of(str list, str name);
bool accepts_json_over_html(str accept); /* for our own error pages */

#endif
