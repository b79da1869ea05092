/* SPDX-License-Identifier: BSD-2-Clause */
/* listening.h: the server's copies of the listening sockets, and which worker accepts from which.
 *
 * Thread:  the main thread; each worker opens and closes its own listeners when a message tells it to.
 * Owner:   descriptors that came from the supervisor, until the address is given up. */
#ifndef APP_LISTENING_H
#define APP_LISTENING_H

#include "app/house/configuration.h"

void listening_receive(str index_and_key, int fd);      /* "INDEX KEY" of a listen message; takes fd */
/* Accepts on all addresses of the configuration, and no longer on others. False and why: an address without a
 * socket. */
bool listening_apply(const struct configuration *configuration, struct worker *const *workers, unsigned count,
                     char *why, size_t n);
void listening_stop(struct worker *const *workers, unsigned count); /* accepts nowhere any more */
void listening_finish(void);                            /* after the workers: closes and frees all */

#endif
