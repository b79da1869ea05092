/* SPDX-License-Identifier: BSD-2-Clause */
/* kept_changes.h: what was changed in upstreams at run time, kept for the server after a crash or an upgrade.
 *
 * Shape:   one text an upstream, as the server told it: "NAME FINGERPRINT ORDERS" (upstream/changes.h); it is not
 *          looked into here. Without orders there is nothing to be kept any more.
 * Owner:   the supervisor.
 * Errors:  false without memory; false when a channel's other side is gone. */
#ifndef APP_KEPT_CHANGES_H
#define APP_KEPT_CHANGES_H

#include "base/str.h"

#include <stdio.h>

struct kept_changes {
    char **at;
    uint32_t count;
};

bool kept_changes_put(struct kept_changes *changes, str record);
bool kept_changes_send(const struct kept_changes *changes, int channel);
void kept_changes_write(const struct kept_changes *changes, FILE *to); /* a line each, read back with put */
void kept_changes_finish(struct kept_changes *changes);

#endif
