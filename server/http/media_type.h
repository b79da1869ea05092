/* SPDX-License-Identifier: BSD-2-Clause */
/* media_type.h: the media type of a file, by the ending of its name.
 * Source:  the IANA registry; RFC 9239 (text/javascript); WHATWG's MIME Sniffing for fonts and media. */
#ifndef HTTP_MEDIA_TYPE_H
#define HTTP_MEDIA_TYPE_H

#include "base/str.h"

/* Static text, with charset=utf-8 where it is text; application/octet-stream for an ending nobody knows, or none. */
str media_type_of_path(str path);

#endif
