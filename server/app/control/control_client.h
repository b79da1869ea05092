/* SPDX-License-Identifier: BSD-2-Clause */
/* control_client.h: one question to a running server over its control socket.
 *
 * Owner:   everything lies in the arena.
 * Thread:  blocking; for the command line only.
 * Limits:  16 MiB of answer, 180 s of silence (a reload rehearses first). */
#ifndef APP_CONTROL_CLIENT_H
#define APP_CONTROL_CLIENT_H

#include "base/arena.h"

struct control_reply {
    int status;
    str content;
};

/* accept: a media type. False and why: "no server answers on /run/weir/control.sock: connection refused". */
bool control_ask(str socket_path, const char *method, const char *path, const char *accept, struct arena *arena,
                 struct control_reply *reply, str *why);
bool control_answers(str socket_path); /* somebody listens there */

#endif
