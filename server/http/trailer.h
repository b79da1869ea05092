/* SPDX-License-Identifier: BSD-2-Clause */
/* trailer.h: which fields may not come behind the content, because somebody in front has decided without them already.
 * Source:  RFC 9110 6.5.1. */
#ifndef HTTP_TRAILER_H
#define HTTP_TRAILER_H

#include "http/field.h"

/* Framing, routing, identity, request modifiers, controls, content format; any spelling that a CGI-style origin would
 * take for such a name ("_" for "-") too. */
bool trailer_is_forbidden(enum field_id id, str name);

#endif
