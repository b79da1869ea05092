/* SPDX-License-Identifier: BSD-2-Clause */
/* request.h: one request and its response, whatever protocol version carries them: the engine that the pipeline runs
 * in.
 *
 *     codec --request_start--> hooks --> origin.start            codec: HTTP/1 session, HTTP/2 stream
 *     codec --request_body---> up: REQ_BODY hooks --> origin.more_body
 *     codec <--calls.head/body-- RSP_HEAD, down: STORE.. ENCODE hooks <--request_origin_*-- origin
 *     codec --request_sent---> LOG, memory goes back
 *
 * Owner:   created by a codec, ended by the engine: after calls.done the codec has nothing of it any more.
 * Thread:  the worker of its connection.
 * Errors:  each ends in an answer (status and reason) as long as no head was sent, else in calls.abort. */
#ifndef PIPELINE_REQUEST_H
#define PIPELINE_REQUEST_H

#include "http/h1.h"
#include "loop/deadline.h"
#include "pipeline/body.h"
#include "pipeline/snapshot.h"

struct weir_req;

/* What a codec does for the engine. None of these may end the request in place; all are told at most what is said
 * here. */
struct codec_calls {
    void (*info)(struct weir_req *r, int status, const struct fields *fields);  /* an interim response: 100, 103 */
    void (*head)(struct weir_req *r);  /* r->status, r->rsp, r->rsp_body are final: frame and queue them */
    /* r->down.out has bytes or has ended: take what goes; call request_drained when there is room again */
    void (*body)(struct weir_req *r);
    void (*tunnel)(struct weir_req *r); /* behind a head with 101: both ways are raw bytes from now on */
    void (*want_body)(struct weir_req *r); /* r->up has room (again): read on */
    void (*send_continue)(struct weir_req *r); /* the client waits for 100-continue and may go on */
    void (*abort)(struct weir_req *r); /* the response cannot be ended properly: let the client see that */
    void (*done)(struct weir_req *r);  /* the engine is through: forget r (its memory goes right after) */
};

/* Where responses come from: the proxy (upstream/), later a cache or files. */
struct origin_calls {
    void (*start)(struct weir_req *r);     /* head is ready, r->up may hold bytes or its end already */
    void (*more_body)(struct weir_req *r); /* r->up.out has bytes or has ended; also in a tunnel */
    void (*more_room)(struct weir_req *r); /* r->down has room (again); in PHASE_TUNNEL: both ways are raw now */
    /* the request ends or is answered otherwise: let go of everything now; called once behind start */
    void (*abandon)(struct weir_req *r);
};

enum request_phase {
    PHASE_HOOKS,    /* request stages are running or suspended */
    PHASE_ORIGIN,   /* waiting for the origin's head */
    PHASE_RSP_HOOKS, /* UP_RSP, RSP_HEAD stages are running or suspended */
    PHASE_BODY,     /* the response's body flows */
    PHASE_TUNNEL,
    PHASE_SENT,     /* the codec has handed everything to the kernel, or given up */
};

struct suspension;
struct undo;
struct trace;

struct weir_req {
    /* identity */
    struct arena *arena;
    struct weir_conn *conn;
    const struct codec_calls *codec;
    void *stream; /* the codec's own */
    struct snapshot *snapshot;
    const struct plan *plan;
    uint64_t number;
    uint64_t of_connection; /* by the codec: which one of its connection it is, from 1 */
    uint64_t started_us;
    str id;
    uint8_t client[16]; /* the address that rules and logs speak of */
    uint16_t client_port;
    bool client_is_trusted_proxy; /* the peer (or whom its PROXY header names) is in trusted_proxies */

    /* the request as it stands */
    str method;
    struct uri uri;
    str host; /* lower case, no port */
    uint16_t host_port;
    str host_field;
    str uri_received; /* path and query before a module changed them; empty while none did */
    str scheme;
    int version; /* 10, 11, 20 */
    struct fields fields, trailers;
    enum body_kind body_kind; /* BODY_NONE, BODY_LENGTH or BODY_CHUNKED (length not known) */
    uint64_t content_length;
    bool is_head;
    bool expects_continue; /* and has not been told to go on */
    str upgrade; /* what the client asks for; behind `proxy`: the one protocol that may pass */
    str websocket_key; /* made for a client that has none: the origin's answer must fit it; else empty */

    /* where it goes */
    str site, route;
    const void *site_of, *route_of; /* the app's */
    str route_prefix; /* what of uri.match the route's path matched: replaced when the proxy URL has a path */
    str proxy_path; /* path for the upstream when the route's prefix is replaced; else empty */

    /* the response as it stands */
    int status;
    str reason;
    struct fields rsp, rsp_trailers;
    enum body_kind rsp_body; /* BODY_NONE, BODY_LENGTH, BODY_UNTIL_CLOSE (length not known) */
    uint64_t rsp_length;
    bool rsp_no_content; /* HEAD, 204, 304, 1xx: fields only */
    bool from_origin;
    bool answered;       /* a reply was set or the origin's head was taken */
    bool head_sent;
    bool aborted;        /* the client is gone or the response was broken off */

    /* the engine's place */
    enum request_phase phase;
    enum stage stage;
    uint32_t step;
    unsigned reroutes;
    bool running;        /* inside request_run: do not enter again */
    bool up_head_open;   /* up_fields may be changed */
    bool is_reset;       /* WEIR_CLOSE: no answer */
    bool is_shed;        /* too much is under way: 503, and the connection ends */
    bool is_timed;       /* what its hooks take is measured (metrics.h) */
    bool is_dry;         /* weir explain: nothing is counted, waited for or started */
    bool ending;
    const struct step *calling; /* whose callback is running */
    struct suspension *suspension;
    uint64_t wait_body;  /* WEIR_WAIT_BODY: how much the hook wants; 0: none */
    struct list fetches;   /* requests of its hooks that are under way (fetch.h) */
    struct deferred ended; /* frees the memory at the end of the turn */

    struct body up, down;
    uint64_t engaged[4]; /* bytes hooks asked for, a bit per step: REQ_BODY, STORE, TRANSFORM, ENCODE */
    struct chain reply;  /* content of an answer of our own */
    struct fields up_fields; /* the head that goes upstream, while UP_HEAD runs */
    const struct origin_calls *origin;
    void *origin_data;
    bool origin_started, origin_abandoned;
    bool is_module_own; /* a fetch for no request: its module is told of failures, and says what they mean */

    uint8_t *ctx;  /* all modules' request contexts */
    str *cached;   /* variables by index; p NULL: not asked yet */
    struct undo *undo;         /* before the hook that is being weighed (deciders.h) */
    struct undo *kept_refusal; /* `satisfy any`: before the first hook that refused; NULL: none did */
    str would_refuse;          /* what shadow mode let through */
    const char *refuse_reason; /* static or in the arena */
    str error_module, error_text;

    struct trace *trace; /* trace.h; NULL: it is not remembered */

    /* figures */
    struct tally *tally; /* its site's */
    uint64_t bytes_received, bytes_sent; /* by the codec: heads and framing included */
    uint64_t body_sent;
    str upstream_addr;
    int upstream_status;
    uint64_t upstream_us;
};

/* -- for codecs ---------------------------------------------------------------------------------------------------- */
/* NULL without memory */
struct weir_req *request_create(struct weir_conn *conn, const struct codec_calls *codec, void *stream);
void request_take_head(struct weir_req *r, const struct h1_request *head); /* an HTTP/1 head, before request_start */
void request_discard(struct weir_req *r); /* before request_start: nothing has seen it (no LOG) */
void request_start(struct weir_req *r);   /* the head is complete and filled in */
/* instead of start: the head was refused; answered and logged */
void request_bad(struct weir_req *r, int status, const char *why);
void request_body(struct weir_req *r, struct chain *chain, bool end); /* content that came; end: and no more will */
void request_broken_body(struct weir_req *r, int status, const char *why); /* the body's framing broke */
/* r->body_sent and what waits in r->down.out keep to the length that was announced; end: and are all of it */
bool request_length_is_kept(const struct weir_req *r, bool end);
void request_drained(struct weir_req *r); /* the codec took from r->down.out and can take more */
void request_sent(struct weir_req *r);    /* the whole response (or tunnel) went out */
void request_gone(struct weir_req *r, const char *why); /* the client is gone: ends the request */
void request_timed_out(struct weir_req *r, int status, const char *why); /* a deadline on the client's side passed */

/* -- for origins --------------------------------------------------------------------------------------------------- */
void request_origin_info(struct weir_req *r, int status, const struct fields *fields);
/* r->status, r->reason, r->rsp, r->rsp_body, r->rsp_length are filled in */
void request_origin_head(struct weir_req *r);
void request_origin_body(struct weir_req *r, struct chain *chain, bool end, bool pause);
/* before the head: answered so; later: broken off */
void request_origin_failed(struct weir_req *r, int status, const char *why);

/* -- for the SDK table and built-in parts -------------------------------------------------------------------------- */
weir_verdict request_reply(struct weir_req *r, int status, str body);        /* copied; WEIR_REPLY */
/* The same with content that need not lie in memory: takes it all. HEAD: content may be empty, length is what GET would
 * get. */
weir_verdict request_reply_content(struct weir_req *r, int status, struct chain *content, uint64_t length);
/* error page by status; reason kept by pointer */
weir_verdict request_refuse(struct weir_req *r, int status, const char *reason);
void request_resume(struct weir_req *r, weir_verdict verdict);                /* a suspended call's verdict came */
str request_eval(struct weir_req *r, const weir_tmpl *tmpl);
int request_variable(struct weir_req *r, const struct variable *variable, str rest, str *value);
void *request_ctx(struct weir_req *r, const weir_mod *mod);
str request_uri_text(struct weir_req *r); /* path and query */
bool request_engage(struct weir_req *r, enum stage stage); /* the calling module's bytes hook of that stage */
str client_address_text(struct weir_req *r);
struct fields *request_upstream_fields(struct weir_req *r); /* NULL outside UP_HEAD */
/* for origins: UP_HEAD hooks over r->up_fields; false: answered otherwise */
bool request_run_up_head(struct weir_req *r);

/* The error page for a status: by error_page, else a small one of ours, JSON when asked for. error_page.c */
void request_error_body(struct weir_req *r, int status);

#endif
