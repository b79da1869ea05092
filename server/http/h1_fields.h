/* SPDX-License-Identifier: BSD-2-Clause */
/* h1_fields.h: field lines on the wire, and what those that frame a message say.
 *
 * Owner:   everything is a slice of the bytes that are parsed.
 * Errors:  a static reason and the status to answer a request with.
 * Source:  RFC 9112 5, 6.1, 6.2; RFC 9110 5.6.1, 7.6.1. */
#ifndef HTTP_H1_FIELDS_H
#define HTTP_H1_FIELDS_H

#include "http/h1.h"

/* One field line at *p, which is moved behind its CRLF. The last byte before end is an LF. */
const char *h1_read_field(const char **p, const char *end, struct field *out);

struct head_facts {
    uint32_t hosts, lengths, codings; /* how many of them there were */
    str host, length, coding, upgrade;
    bool says_close, says_keep_alive, says_upgrade; /* Connection */
    bool names_end_to_end; /* Connection names a field that is meant for all recipients */
    bool expects_continue, expects_other;
};

/* All field lines up to the empty line that ends the head. */
bool h1_read_fields(const char *p, const char *end, uint32_t most, struct fields *fields, struct head_facts *facts,
                    struct h1_error *error);

/* Content-Length and Transfer-Encoding as one decision. kind is BODY_NONE when neither is there. */
bool h1_read_framing(const struct head_facts *facts, int minor, enum body_kind *kind, uint64_t *length,
                     struct h1_error *error);

/* Whether the connection may be used again, as far as Connection has a say (RFC 9112 9.3). */
static inline bool h1_is_persistent(const struct head_facts *facts, int minor)
{
    return !facts->says_close && (minor >= 1 || facts->says_keep_alive);
}

static inline bool h1_fail(struct h1_error *error, int status, const char *why)
{
    *error = (struct h1_error){ .status = status, .why = why };
    return false;
}

#endif
