/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/server_figures.h"

#include "upstream/exchange.h"

#include <stdio.h>

const char *const server_failure_names[FAILED_KINDS] = {
    "resolve", "connect", "connect_timeout", "tls", "timeout", "closed", "malformed",
};

enum { KEY_ROOM = 2048 };

/* A key that is too long is cut and may meet another one: then the two are counted together. */
static struct tally *tally_named(const char *kind, str name, uint32_t count)
{
    char room[KEY_ROOM];
    int n = snprintf(room, sizeof(room), "%s %.*s", kind, STR_ARG(name));

    return tally_get((str){ room, n < KEY_ROOM ? (size_t)n : KEY_ROOM - 1 }, count);
}

struct tally *pool_tally(str key)
{
    return tally_named("pool", key, POOL_COUNTERS);
}

struct tally *upstream_tally(str name)
{
    return tally_named("upstream", name, UPSTREAM_COUNTERS);
}

struct tally *server_tally(str key)
{
    return tally_named("server", key, SERVER_COUNTERS);
}

/* -- what an exchange met ------------------------------------------------------------------------------------------ */

static enum server_failure failure_of(const struct exchange *x, int status)
{
    switch (x->phase) {
    case EXCHANGE_CONNECTING:
        if (x->carrier->conn(x) && x->carrier->conn(x)->transport)
            return FAILED_TLS;
        return status == 504 ? FAILED_CONNECT_TIMEOUT : FAILED_CONNECT;
    case EXCHANGE_HEAD:
    case EXCHANGE_BODY:
    case EXCHANGE_RAW:
        if (x->is_malformed)
            return FAILED_MALFORMED;
        return status == 504 ? FAILED_TIMEOUT : FAILED_CLOSED;
    default:
        return FAILED_RESOLVE;
    }
}

static struct tally *tally_of(const struct exchange *x)
{
    return x->upstream->servers[x->server].state->tally;
}

void server_count_failure(const struct exchange *x, int status)
{
    tally_add(tally_of(x), SERVER_FAILED + failure_of(x, status), 1);
}

void server_count_answer(const struct exchange *x, int status)
{
    uint64_t *row = tally_here(tally_of(x));

    if (!row)
        return;
    cell_add(&row[SERVER_ANSWERED + (unsigned)(status / 100 - 1) % 5], 1);
    latency_add(&row[SERVER_RESPONSE_TIME], x->head_us > x->attempt_us ? x->head_us - x->attempt_us : 0);
}
