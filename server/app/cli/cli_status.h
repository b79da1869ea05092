/* SPDX-License-Identifier: BSD-2-Clause */
/* cli_status.h: the answer to GET /v1/status, for people. */
#ifndef APP_CLI_STATUS_H
#define APP_CLI_STATUS_H

#include "base/arena.h"

#include <stdio.h>

bool status_print_upstream(str json, struct arena *arena, FILE *out); /* of GET /v1/upstreams/NAME */
bool status_print(str json, struct arena *arena, FILE *out); /* false when it is no status */

#endif
