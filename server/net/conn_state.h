/* SPDX-License-Identifier: BSD-2-Clause */
/* conn_state.h: what conn.c (its life) and conn_io.c (its bytes) share. */
#ifndef NET_CONN_STATE_H
#define NET_CONN_STATE_H

#include "net/conn.h"

void conn_break(struct conn *conn, const char *why); /* static text; the first reason stays */
void conn_break_errno(struct conn *conn, int error);
void conn_recheck_later(struct conn *conn); /* after a short read */
void conn_step_later(struct conn *conn);    /* goes on writing, shaking hands or connecting at the end of the turn */

#endif
