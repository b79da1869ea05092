/* SPDX-License-Identifier: BSD-2-Clause */
/* forwarded.h: what the origin is told about the client: X-Forwarded-*, Forwarded, X-Request-Id, under the trust rule.
 *
 * Errors:  false without memory.
 * Source:  RFC 7239; the habits around X-Forwarded-*. */
#ifndef UPSTREAM_FORWARDED_H
#define UPSTREAM_FORWARDED_H

#include "pipeline/request.h"

/* such fields of a peer that is no trusted proxy */
void forwarded_drop_untrusted(struct weir_req *r, struct fields *fields);
bool forwarded_set(struct weir_req *r, struct fields *fields);

#endif
