/* SPDX-License-Identifier: BSD-2-Clause */
/* check_h2.h: one health check's question in HTTP/2: a connection, a stream, a status.
 *
 * Owner:   embedded in the check; zeroed is not in use.
 * Thread:  that of the check.
 * Errors:  -1, and why (static). */
#ifndef UPSTREAM_CHECK_H2_H
#define UPSTREAM_CHECK_H2_H

#include "http/h2.h"
#include "net/conn.h"

struct check_h2 {
    struct h2_session *codec; /* NULL: not in use */
    struct h2_stream stream;
    struct arena *arena;
    struct fields fields, trailers;
    struct chain out;
    int status; /* 0: none yet */
    const char *why;
};

/* On an open connection. 0, or -1. */
int check_h2_ask(struct check_h2 *check, struct conn *conn, str scheme, str authority, str path, const char **why);
int check_h2_hear(struct check_h2 *check, struct conn *conn, const char **why); /* its status; 0: not yet; or -1 */
int check_h2_write(struct check_h2 *check, struct conn *conn, const char **why); /* what could not go yet: 0, or -1 */
void check_h2_end(struct check_h2 *check);

#endif
