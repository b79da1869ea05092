/* SPDX-License-Identifier: BSD-2-Clause */
/* proxy_preface.h: the PROXY header that some peers of a connection's listen point have to send before all else.
 *
 * Shape:   only those whom `listen ... proxy_protocol=` names are asked for one; a header from anyone else is what its
 *          bytes are without this: no TLS, no HTTP.
 * Thread:  the connection's worker. */
#ifndef PIPELINE_PROXY_PREFACE_H
#define PIPELINE_PROXY_PREFACE_H

#include "pipeline/session.h"

/* Whether this peer has to send one: asked of the present snapshot, before the connection exists. */
bool proxy_preface_is_due(const struct listen_point *point, const struct addr *peer);

/* True: the header is read, and nothing behind it; c->announced says what it said. False: more has to come, or the
 * connection was closed. */
bool proxy_preface_read(struct weir_conn *c);

void proxy_preface_late(struct weir_conn *c); /* its time is over: says so */

#endif
