/* SPDX-License-Identifier: BSD-2-Clause */
/* lone_proxy.h: notices, once in the process's life, that a proxy in front was not named: when nearly all of a thousand
 * requests of a worker come from one private address that is not trusted, rules and limits take all for one client.
 *
 * Thread:  the request's worker. Costs a comparison a request. */
#ifndef PIPELINE_LONE_PROXY_H
#define PIPELINE_LONE_PROXY_H

#include "pipeline/request.h"

void lone_proxy_look(const struct weir_req *r); /* r->client is known */

#endif
