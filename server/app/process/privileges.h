/* SPDX-License-Identifier: BSD-2-Clause */
/* privileges.h: from root to the configured user, for good.
 * Errors:  a readable reason, on one line. */
#ifndef APP_PRIVILEGES_H
#define APP_PRIVILEGES_H

#include "app/house/configuration.h"

bool privileges_check(const struct settings *settings, char *why, size_t n); /* the user and group exist */
/* and no way back: no_new_privs, no capabilities */
bool privileges_drop(const struct settings *settings, char *why, size_t n);
/* a file made as root becomes the server's */
void privileges_give(int fd, const struct settings *settings);
bool privileges_make_parents(str path, char *why, size_t n); /* the folders above it, 0755, where they are missing */
bool privileges_make_folder(const struct settings *settings, str path, char *why, size_t n); /* 0750, the server's */
bool privileges_are_dropped_for(const struct settings *settings); /* there is a user to become, and we are root */

#endif
