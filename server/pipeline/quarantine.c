/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/quarantine.h"

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/request.h"

#include <stdatomic.h>

static struct quarantine all[QUARANTINES_MOST];
static unsigned count;

static bool copy(char *to, size_t room, str from, bool may_cut)
{
    if (from.n >= room && !may_cut)
        return false;
    size_t n = from.n < room ? from.n : room - 1;
    memcpy(to, from.p, n);
    to[n] = '\0';
    return true;
}

bool quarantine_add(str name, str build, bool is_deep, str why)
{
    struct quarantine one = { .is_deep = is_deep };

    if (!name.n || !build.n || count == QUARANTINES_MOST || !copy(one.name, sizeof(one.name), name, false) ||
        !copy(one.build, sizeof(one.build), build, false))
        return false;
    copy(one.why, sizeof(one.why), why, true);
    all[count++] = one;
    return true;
}

const struct quarantine *quarantine_find(str name, str build)
{
    for (unsigned i = 0; build.n && i < count; i++)
        if (str_equal(str_of(all[i].name), name) && str_equal(str_of(all[i].build), build))
            return &all[i];
    return NULL;
}

/* -- what stands in ------------------------------------------------------------------------------------------------ */

/* A refusal a request would fill the log: one line in ten seconds says it as well. */
static bool is_time_to_say(void)
{
    enum { PAUSE_US = 10 * 1000 * 1000 };
    static _Atomic uint64_t said;
    uint64_t now = clock_us_now(), last = atomic_load_explicit(&said, memory_order_relaxed);

    return (last == 0 || now - last >= PAUSE_US) && atomic_compare_exchange_strong(&said, &last, now);
}

static weir_verdict refuse_request(weir_req *r, const void *conf, void *ctx)
{
    (void)conf;
    (void)ctx;
    if (!r->is_dry && is_time_to_say())
        log_error("module " STR_FMT " is in quarantine: its routes are answered with 503 (weir status says more)",
                  STR_ARG(r->calling->mod->name));
    return request_refuse(r, 503, "a module is in quarantine");
}

static weir_verdict refuse_connection(weir_conn *conn, const void *conf, void *ctx)
{
    (void)conn;
    (void)conf;
    (void)ctx;
    if (is_time_to_say())
        log_error("a module at PREFACE is in quarantine: connections are closed (weir status says more)");
    return WEIR_FAIL;
}

const struct weir_hook *quarantine_refusal(uint32_t stage)
{
    static const struct weir_hook refusals[STAGE_COUNT] = {
        [STAGE_PREFACE] = { .stage = WEIR_AT_PREFACE, .conn = refuse_connection },
        [STAGE_IDENTIFY] = { .stage = WEIR_AT_IDENTIFY, .flags = WEIR_DRY_OK, .req = refuse_request },
        [STAGE_GUARD] = { .stage = WEIR_AT_GUARD, .flags = WEIR_DRY_OK, .req = refuse_request },
        [STAGE_AUTH] = { .stage = WEIR_AT_AUTH, .flags = WEIR_DRY_OK, .req = refuse_request },
        [STAGE_REWRITE] = { .stage = WEIR_AT_REWRITE, .flags = WEIR_DRY_OK, .req = refuse_request },
        [STAGE_SERVE] = { .stage = WEIR_AT_SERVE, .flags = WEIR_DRY_OK, .req = refuse_request },
    };

    return stage < STAGE_COUNT && refusals[stage].stage ? &refusals[stage] : NULL;
}

/* -- transport: nothing is ever opened, so the calls of an open one are never made --------------------------------- */

static void *transport_accept(weir_conn *conn, int fd)
{
    (void)conn;
    (void)fd;
    if (is_time_to_say())
        log_error("the module of transport tls is in quarantine: its connections are closed (weir status says more)");
    return NULL;
}

static void *transport_prepare(weir_conf *conf, const struct weir_transport_wish *wish)
{
    static char nothing;

    (void)conf;
    (void)wish;
    return &nothing; /* binding goes on: plain routes are to be served */
}

static void transport_release(void *prepared)
{
    (void)prepared;
}

static void *transport_open(void *prepared, int fd)
{
    (void)prepared;
    (void)fd;
    if (is_time_to_say())
        log_error("the module of transport tls is in quarantine: upstreams behind it are refused (weir status says "
                  "more)");
    return NULL;
}

static int no_handshake(void *state, weir_str *why)
{
    (void)state;
    *why = WEIR_S("in quarantine");
    return WEIR_IO_ERROR;
}

static int64_t no_readv(void *state, const weir_span *to, uint32_t n)
{
    (void)state;
    (void)to;
    (void)n;
    return WEIR_IO_ERROR;
}

static int64_t no_writev(void *state, const weir_str *from, uint32_t n)
{
    (void)state;
    (void)from;
    (void)n;
    return WEIR_IO_ERROR;
}

static int no_shutdown(void *state)
{
    (void)state;
    return WEIR_IO_ERROR;
}

static void no_close(void *state)
{
    (void)state;
}

static uint32_t no_pending(void *state)
{
    (void)state;
    return 0;
}

static weir_str no_alpn(void *state)
{
    (void)state;
    return (weir_str){ 0 };
}

const struct weir_transport quarantine_transport = {
    .size = sizeof(struct weir_transport),
    .name = "tls",
    .accept = transport_accept,
    .prepare = transport_prepare,
    .release = transport_release,
    .open = transport_open,
    .handshake = no_handshake,
    .readv = no_readv,
    .writev = no_writev,
    .shutdown = no_shutdown,
    .close = no_close,
    .pending = no_pending,
    .alpn = no_alpn,
};

/* -- balancer ------------------------------------------------------------------------------------------------------ */

static int32_t pick_nothing(void *state, const void *conf, weir_req *r, const weir_table *servers)
{
    (void)state;
    (void)conf;
    (void)servers;
    if (!r->is_dry && is_time_to_say())
        log_error("the balancer of an upstream is in quarantine: the upstream is answered for with 503 (weir status "
                  "says more)");
    return -1;
}

const struct weir_balancer quarantine_balancer = { .name = "quarantine", .pick = pick_nothing };
