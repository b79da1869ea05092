/* SPDX-License-Identifier: BSD-2-Clause */
/* supervisor.h: the small process that outlives the server: it binds, opens, starts, watches, restarts, and never reads
 * the network.
 *
 *     rehearse -> bind sockets, keep files -> start server -> ready
 *     crash:   the same sockets and the same files go to a new server at once (a pause grows only when it keeps
 * crashing)
 *     reload:  rehearse -> refuse with all errors, or bind what is new and let the server take over
 *     upgrade: rehearse with the new binary -> start its server -> ready -> the former one finishes -> exec ourselves
 * Strikes: a build of a module that crashed three servers within ten minutes is in quarantine (strikes.h).
 * Signals: SIGTERM, SIGINT stop (a second one at once), SIGHUP reloads, SIGUSR1 reopens logs, SIGUSR2 upgrades. */
#ifndef APP_SUPERVISOR_H
#define APP_SUPERVISOR_H

#include <stdbool.h>

/* called: argv[0]; title: what is served, where the path says nothing (may be NULL). Both: the exit status. */
int supervisor_main(const char *called, const char *config_path, bool daemonise, const char *title);
int supervisor_resume(int state); /* what the supervisor of a former binary left (takeover.h) */

#endif
