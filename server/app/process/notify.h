/* SPDX-License-Identifier: BSD-2-Clause */
/* notify.h: the service manager: readiness told (sd_notify), sockets taken over (LISTEN_FDS).
 * Source:  sd_notify(3), sd_listen_fds(3). */
#ifndef APP_NOTIFY_H
#define APP_NOTIFY_H

#include "base/str.h"

void notify_send(const char *state);          /* "READY=1" and the like; nothing happens without NOTIFY_SOCKET */
unsigned notify_take_sockets(int *fds, unsigned most); /* inherited listening sockets, close-on-exec set; once */

#endif
