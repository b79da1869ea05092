/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection for each exchange: where it comes from, what it says, where it goes. */
#include "upstream/announce.h"
#include "upstream/carrier_h1.h"
#include "upstream/hello.h"

static struct pool *pool_of(const struct exchange *x)
{
    return x->local->pools[x->server];
}

/* -- leasing ------------------------------------------------------------------------------------------------------- */

static void begin(struct exchange *x, struct upstream_conn *uc, bool reused)
{
    x->uc = uc;
    uc->exchange = x;
    uc->uses++;
    exchange_begin(x, reused, !reused);
}

static bool take(struct exchange *x, const struct addr *to)
{
    struct proxy_ends ends;
    bool announces = x->upstream->proxy_version > 0;

    if (announces)
        announce_ends(x->r, &ends);
    struct upstream_conn *uc = pool_take_idle(pool_of(x), to, announces ? &ends : NULL);
    if (!uc)
        return false;
    begin(x, uc, true);
    return true;
}

static bool connect_to(struct exchange *x, const struct addr *to)
{
    x->uc = pool_connect(pool_of(x), to, x);
    if (x->uc)
        conn_set_due(&x->uc->conn, x->r->plan->core->timeout_connect);
    return x->uc != NULL;
}

static void give_back(struct exchange *x, bool reusable)
{
    struct upstream_conn *uc = x->uc;

    x->uc = NULL;
    uc->keep = reusable && x->body_done && !x->write_failed;
    pool_give_back(uc, x->upstream->keepalive, x->upstream->keepalive_timeout);
}

static void let_go(struct exchange *x)
{
    struct upstream_conn *uc = x->uc;

    x->uc = NULL;
    if (uc)
        pool_close(uc);
}

/* -- about it ------------------------------------------------------------------------------------------------------ */

static struct conn *conn_of(const struct exchange *x)
{
    return x->uc ? &x->uc->conn : NULL;
}

static bool is_all_sent(const struct exchange *x)
{
    return !x->uc->out.n;
}

static void set_due(struct exchange *x, uint64_t ms)
{
    if (ms)
        conn_set_due(&x->uc->conn, ms);
    else
        conn_cancel_due(&x->uc->conn);
}

static bool has_due(const struct exchange *x)
{
    return conn_has_due(&x->uc->conn);
}

static void tunnel(struct exchange *x)
{
    (void)x; /* what came early waits in uc->in */
}

const struct carrier_calls carrier_h1 = {
    .take = take,
    .connect = connect_to,
    .conn = conn_of,
    .add_fields = carrier_h1_add_fields,
    .put_head = carrier_h1_put_head,
    .send = carrier_h1_send,
    .receive = carrier_h1_receive,
    .tunnel = tunnel,
    .is_all_sent = is_all_sent,
    .set_due = set_due,
    .has_due = has_due,
    .give_back = give_back,
    .let_go = let_go,
};

/* -- what the connection says -------------------------------------------------------------------------------------- */

void exchange_conn_ready(struct upstream_conn *uc, bool ok)
{
    struct exchange *x = uc->exchange;
    const char *why = NULL;

    if (!ok) {
        str parts[] = { uc->conn.transport ? S("TLS: ") : S("connection "),
                        str_of(uc->conn.why ? uc->conn.why : "failed") };
        str text = arena_concat(x->r->arena, parts, 2);
        exchange_connect_failed(x, text.p ? text.p : "connection failed");
        return;
    }
    exchange_connected(x);
    if (x->upstream->proxy_version && !uc->conn.transport)
        announce_ends(x->r, &uc->announced);
    switch (hello_step(&uc->conn, x->upstream, &uc->announced, &why)) {
    case HELLO_DONE:
        begin(x, uc, false);
        return;
    case HELLO_FAILED:
        exchange_connect_failed(x, why);
        return;
    case HELLO_WAITS:
        return;
    }
}

void exchange_conn_readable(struct upstream_conn *uc)
{
    carrier_h1_receive(uc->exchange);
}

void exchange_conn_writable(struct upstream_conn *uc)
{
    struct exchange *x = uc->exchange;

    carrier_h1_write(x);
    if (x->uc == uc && !uc->out.n)
        carrier_h1_send(x);
}

void exchange_conn_due(struct upstream_conn *uc)
{
    exchange_due(uc->exchange);
}
