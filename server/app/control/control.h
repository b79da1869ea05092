/* SPDX-License-Identifier: BSD-2-Clause */
/* control.h: the control socket: HTTP and JSON on a unix socket, for the command line and for curl --unix-socket.
 *
 *     GET  /v1/status        figures of the process and its configuration
 *     GET  /v1/modules       loaded modules
 *     GET  /v1/metrics       all figures, for Prometheus
 *     POST /v1/reload        200 when the new configuration is live, 422 and the errors when it is refused
 *     POST /v1/upgrade       200 when a server of the binary on the disk has taken over, 422 and why it has not
 *     POST /v1/unquarantine?module=NAME   the same, for a server in which that module runs again
 *     GET  /v1/upstreams[/NAME], POST /v1/upstreams/NAME/VERB?server=ADDR   see control_upstreams.h
 *     POST /v1/stop | /v1/drain | /v1/undrain | /v1/reopen
 *
 * Shape:   one request a connection. Answers are JSON; with `Accept: text/plain` reload's errors come as text.
 * Thread:  the main thread.
 * Limits:  32 connections, 16 KB of head, 64 KB of body (dropped), 30 s of silence; a reload is waited for without
 *          limit.
 * Trust:   the socket's mode (0600) is the door; requests with an Origin field (a browser's) are refused. */
#ifndef APP_CONTROL_H
#define APP_CONTROL_H

#include "app/process/server.h"

extern const struct server_door control_door; /* on the main thread's worker; at close whoever waits gets no answer */

#endif
