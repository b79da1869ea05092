/* SPDX-License-Identifier: BSD-2-Clause */
/* hop.h: what a message's head gains and loses because it passes here: Via, Max-Forwards, Upgrade, and what could be
 * read in two ways behind us.
 *
 * Owner:   values set are static or lie in the request's arena.
 * Errors:  false without memory.
 * Source:  RFC 9110 7.6 (forwarding), 7.8 (Upgrade), 9.3.8 (TRACE). */
#ifndef UPSTREAM_HOP_H
#define UPSTREAM_HOP_H

#include "pipeline/request.h"

/* "VERSION weir" goes behind what earlier hops said. */
bool hop_add_via(const struct weir_req *r, struct fields *fields);
/* Whether Via names a weir so often that the request must be going round in circles: a few weirs in a row are fine. */
bool hop_is_loop(const struct fields *fields);

enum hop_forward { HOP_FORWARD, HOP_ANSWER, HOP_MALFORMED };
/* What Max-Forwards of an OPTIONS request asks for; other methods' is nothing to us. */
enum hop_forward hop_max_forwards(const struct weir_req *r);
bool hop_count_down(const struct weir_req *r, struct fields *fields); /* one less for the next hop */

/* The first protocol that the client offers and that may pass; empty: none. It must be no HTTP: otherwise requests
 * would follow in the tunnel that nobody here looks at. more: of weir_str, allowed besides the usual ones. */
str hop_upgrade(const struct weir_req *r, const weir_table *more);
/* What of a 426's Upgrade can be told on: the first protocol that is no HTTP; empty: none. */
str hop_upgrade_offered(const struct fields *fields);
bool hop_upgrade_is_http(str protocol); /* never passes, whatever the configuration says */

/* Names with "_" that would be those of fields we know with "-": origins that make variables of names (CGI) cannot tell
 * the two apart. */
void hop_drop_aliases(struct fields *fields);
/* Trailers that Connection named go with the other fields that it named. */
void hop_drop_named(struct fields *trailers, str connection);

#endif
