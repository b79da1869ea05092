/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pipeline/crumb.h"
#include "pipeline/metrics.h"
#include "pipeline/overload.h"
#include "pipeline/proxy_preface.h"
#include "pipeline/suspension.h"

#include <unistd.h>

enum { HANDSHAKE_MS = 30 * 1000 };

static void setup_run(struct weir_conn *c);

/* -- birth and death ----------------------------------------------------------------------------------------------- */

static void session_free(struct weir_conn *c)
{
    if (c->codec)
        c->codec->destroy(c);
    mem_free(c->announced);
    mem_free(c->ctx);
    mem_free(c);
}

static void setup_forget(struct weir_conn *c)
{
    if (c->suspension)
        suspension_cancel(c->suspension);
    c->suspension = NULL;
    if (c->setup)
        snapshot_release(c->setup);
    c->setup = NULL;
}

void session_close(struct weir_conn *c)
{
    if (c->reaped)
        return;
    c->reaped = true;
    c->closing = true;
    if (c->codec)
        c->codec->gone(c, "client connection closed");
    setup_forget(c);
    conn_close(&c->conn);
    if (c->codec)
        c->codec->end(c);
    list_remove(&c->link);
    figure_add(&pipeline_worker_self()->connection_count, -1);
    overload_leave(c->client_place);
    conn_later(&c->conn);
}

void session_note_idle(struct weir_conn *c, bool is_idle)
{
    struct pipeline_worker *pw = pipeline_worker_self();

    if (!is_idle && !c->is_idle)
        return;
    c->is_idle = is_idle;
    list_remove(&c->link);
    list_push(is_idle ? &pw->idle : &pw->busy, &c->link);
    c->idle_since = (uint32_t)clock_ms();
}

static void on_due(struct conn *conn)
{
    struct weir_conn *c = list_entry(conn, struct weir_conn, conn);

    if (c->awaits_proxy_header) {
        proxy_preface_late(c);
        session_close(c);
        return;
    }
    if (c->setup) {
        log_info("client connection: no handshake in %d s", HANDSHAKE_MS / 1000);
        session_close(c);
        return;
    }
    c->codec->due(c);
}

/* Asked of the kernel when somebody wants to know, and each time: a listener on all addresses cannot tell, and idle
 * connections should not pay for it with 16 bytes each. */
void session_local_address(const struct weir_conn *c, uint8_t out[16])
{
    struct addr local;

    memset(out, 0, 16);
    if (c->is_unix)
        return;
    if (conn_fd(&c->conn) >= 0)
        addr_of_socket(conn_fd(&c->conn), false, &local);
    else
        local = c->point->addr; /* of a dry run, or closed */
    addr_bytes(&local, out);
}

bool session_client(const struct weir_conn *c, uint8_t out[16], uint16_t *port)
{
    bool is_announced = c->announced && c->announced->is_known;

    memcpy(out, is_announced ? c->announced->source : c->peer, 16);
    *port = is_announced ? c->announced->source_port : c->peer_port;
    return c->announced ? is_announced : !c->is_unix;
}

/* -- callbacks of the connection ----------------------------------------------------------------------------------- */

static void on_readable(struct conn *conn)
{
    struct weir_conn *c = list_entry(conn, struct weir_conn, conn);

    if (c->setup) {
        if (c->stage == STAGE_PREFACE && !c->suspension)
            setup_run(c);
        return;
    }
    c->codec->readable(c);
}

static void on_writable(struct conn *conn)
{
    struct weir_conn *c = list_entry(conn, struct weir_conn, conn);

    if (!c->setup)
        conn_later(conn);
}

/* Output goes out once a turn. */
static void on_later(struct conn *conn)
{
    struct weir_conn *c = list_entry(conn, struct weir_conn, conn);

    if (c->reaped)
        session_free(c);
    else
        c->codec->flush(c);
}

static void setup_done(struct weir_conn *c)
{
    struct snapshot *setup = c->setup;

    c->setup = NULL;
    snapshot_release(setup);
    c->codec = str_equal(conn_alpn(&c->conn), S("h2")) ? &session_h2 : &session_h1;
    c->codec->start(c);
}

static void on_ready(struct conn *conn, bool ok)
{
    struct weir_conn *c = list_entry(conn, struct weir_conn, conn);
    char room[ADDR_TEXT];

    if (!c->setup)
        return;
    if (!ok) {
        log_info("client %.*s: handshake failed: %s", STR_ARG(addr_ip_text(c->peer, room)), conn->why ? conn->why
                 : "closed");
        session_close(c);
        return;
    }
    setup_done(c);
}

static const struct conn_calls calls = { .on_readable = on_readable, .on_writable = on_writable, .on_ready = on_ready,
                                         .on_due = on_due, .on_later = on_later };

/* -- ACCEPT, PREFACE, TRANSPORT ------------------------------------------------------------------------------------ */

static void start_transport(struct weir_conn *c)
{
    const struct snapshot *snapshot = c->setup;

    if (!snapshot->is_tls(snapshot, c->point)) {
        setup_done(c);
        return;
    }
    c->is_tls = true;
    session_note_idle(c, true); /* nothing was heard of it yet */
    void *state = snapshot->tls ? snapshot->tls->accept(c, conn_fd(&c->conn)) : NULL;
    if (!state || !conn_start_transport(&c->conn, snapshot->tls, state))
        session_close(c);
}

static void *conn_ctx(struct weir_conn *c, const weir_mod *mod)
{
    if (mod->desc.conn_ctx_size == 0)
        return NULL;
    if (!c->ctx) {
        c->ctx_size = __atomic_load_n(&modules.conn_ctx_size, __ATOMIC_RELAXED);
        c->ctx = mem_zalloc(c->ctx_size);
    }
    bool fits = mod->conn_ctx_offset + mod->desc.conn_ctx_size <= c->ctx_size; /* not when it was loaded later */
    return c->ctx && fits ? c->ctx + mod->conn_ctx_offset : NULL;
}

void *session_ctx(struct weir_conn *c, const weir_mod *mod)
{
    return conn_ctx(c, mod);
}

/* True: go on with the next hook. */
static bool setup_verdict(struct weir_conn *c, const struct step *step, weir_verdict verdict)
{
    switch (verdict) {
    case WEIR_NEXT:
        c->step++;
        return true;
    case WEIR_SKIP:
        c->step = UINT16_MAX;
        return true;
    case WEIR_SUSPEND:
        if (c->suspension)
            return false;
        break;
    case WEIR_WAIT_BODY:
        if (c->stage == STAGE_PREFACE && !c->conn.peer_closed)
            return false;
        break;
    case WEIR_FAIL:
        if (step->hook->flags & WEIR_FAIL_OPEN) {
            c->step++;
            return true;
        }
        break;
    default:
        break;
    }
    session_close(c);
    return false;
}

static bool take_proxy_header(struct weir_conn *c)
{
    if (!proxy_preface_read(c))
        return false;
    conn_set_due(&c->conn, HANDSHAKE_MS);
    return true;
}

static void setup_run(struct weir_conn *c)
{
    struct pipeline_worker *pw = pipeline_worker_self();

    for (; c->stage <= STAGE_PREFACE; c->stage++, c->step = 0) {
        if (c->stage == STAGE_PREFACE && c->awaits_proxy_header && !take_proxy_header(c))
            return;
        const struct steps *steps = &c->setup->top_plan->stages[c->stage];
        while (c->step < steps->count) {
            const struct step *step = &steps->at[c->step];
            void *ctx = conn_ctx(c, step->mod);
            weir_verdict verdict = WEIR_FAIL; /* without the context it was promised */
            crumb_enter(pw, step->mod, c->stage, NULL);
            uint64_t since = cost_begin(pw, step, c->is_timed);
            if (ctx || step->mod->desc.conn_ctx_size == 0)
                verdict = step->hook->conn(c, step->conf, ctx);
            cost_end(pw, step, since);
            crumb_leave(pw);
            if (c->reaped || !setup_verdict(c, step, verdict))
                return;
        }
    }
    start_transport(c);
}

void session_resume(struct weir_conn *c, weir_verdict verdict)
{
    c->suspension = NULL;
    if (c->reaped || !c->setup)
        return;
    if (c->stage == STAGE_TRANSPORT) {
        if (verdict == WEIR_NEXT)
            conn_resume_handshake(&c->conn);
        else
            session_close(c);
        return;
    }
    const struct steps *steps = &c->setup->top_plan->stages[c->stage];
    if (c->step < steps->count && setup_verdict(c, &steps->at[c->step], verdict))
        setup_run(c);
}

static void note_addresses(struct weir_conn *c, const struct addr *peer)
{
    c->is_unix = addr_is_unix(peer);
    addr_bytes(peer, c->peer);
    c->peer_port = addr_port(peer);
    if (c->is_unix)
        return;
    c->local_port = addr_port(&c->point->addr);
}

void session_accept(const struct listen_point *point, int fd, const struct addr *peer)
{
    struct pipeline_worker *pw = pipeline_worker_self();
    bool awaits_proxy_header = proxy_preface_is_due(point, peer);
    uint32_t place;

    if (!overload_enter(awaits_proxy_header ? NULL : peer, &place)) {
        close(fd);
        return;
    }
    struct weir_conn *c = mem_zalloc(sizeof(*c));
    if (!c || !conn_open(&c->conn, fd, &calls)) {
        mem_free(c);
        log_warn("client connection: no memory");
        if (!c)
            close(fd);
        overload_leave(place);
        return;
    }
    c->client_place = place;
    c->point = point;
    note_addresses(c, peer);
    list_push(&pw->busy, &c->link);
    figure_add(&pw->connection_count, 1);
    figure_add(&pw->accepted_total, 1);
    c->setup = snapshot_take();
    c->awaits_proxy_header = awaits_proxy_header;
    conn_set_due(&c->conn, awaits_proxy_header ? c->setup->top_plan->core->timeout_header : HANDSHAKE_MS);
    c->is_timed = cost_is_timed(pw);
    c->stage = STAGE_ACCEPT;
    setup_run(c);
}

/* -- all of a worker's --------------------------------------------------------------------------------------------- */

void sessions_drain(struct pipeline_worker *pw)
{
    pw->draining = true;
    struct list *all[] = { &pw->idle, &pw->busy };
    for (int i = 0; i < 2; i++)
        list_each(link, all[i]) {
            struct weir_conn *c = list_entry(link, struct weir_conn, link);
            if (c->codec)
                c->codec->drain(c);
        }
}

void sessions_close(struct pipeline_worker *pw)
{
    struct list *link;

    while ((link = list_first(&pw->busy)) || (link = list_first(&pw->idle)))
        session_close(list_entry(link, struct weir_conn, link));
}
