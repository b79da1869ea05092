/* SPDX-License-Identifier: BSD-2-Clause */
/* h2_codec.c: a session's beginning and end. Heads are judged by h2_head.c alone (no_http_messaging): nghttp2 drops
 * some fields in silence and answers others with a reset of its own. */
#include "base/mem.h"
#include "http/h2_session.h"

enum {
    SESSION_COSTS = 26 * 1024, /* what nghttp2 holds for a connection at rest */
    HEAD_MOST = 2 * 1024 * 1024, /* sent: who made it had limits of his own */
};

/* -- faults -------------------------------------------------------------------------------------------------------- */

void h2_broke(struct h2_session *session, enum h2_code code, enum h2_abuse abuse, const char *why)
{
    if (!session->fault.why)
        session->fault = (struct h2_fault){ code, abuse, why };
}

void h2_break(struct h2_session *session, uint32_t code, const char *why)
{
    h2_broke(session, (enum h2_code)code, H2_ABUSE_NONE, why);
}

void h2_fatal(struct h2_session *session, int rc)
{
    if (rc == NGHTTP2_ERR_NOMEM)
        session->no_memory = true;
    if (rc == NGHTTP2_ERR_FLOODED)
        h2_broke(session, H2_ENHANCE_YOUR_CALM, H2_ABUSE_PING, "too many frames that call for an answer");
    else
        h2_broke(session, H2_INTERNAL_ERROR, H2_ABUSE_NONE, nghttp2_strerror(rc));
}

void h2_heed(struct h2_session *session, int rc)
{
    if (rc && nghttp2_is_fatal(rc))
        h2_fatal(session, rc);
}

/* -- streams ------------------------------------------------------------------------------------------------------- */

void h2_reset(struct h2_stream *stream, uint32_t code)
{
    struct h2_session *session = stream->session;

    if (!session || stream->reset || h2_is_broken(session))
        return;
    stream->reset = true;
    h2_heed(session, nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE, (int32_t)stream->id, code));
}

void h2_grant(struct h2_stream *stream, uint64_t room)
{
    struct h2_session *session = stream->session;

    if (!session || stream->reset || stream->received_end || h2_is_broken(session))
        return;
    int32_t id = (int32_t)stream->id;
    uint32_t most = room < INT32_MAX ? (uint32_t)room : INT32_MAX;
    /* A sender that has filled half of it and is kept up with gets more, so that distance costs it less. */
    if (most > stream->window && stream->received >= stream->window / 2 &&
        nghttp2_session_set_local_window_size(session->ng, NGHTTP2_FLAG_NONE, id, (int32_t)most) == 0)
        stream->window = most;
    uint64_t open = stream->window - (stream->received - stream->consumed);
    uint64_t target = most < stream->window ? most : stream->window;
    if (target <= open)
        return;
    stream->consumed += target - open;
    h2_heed(session, nghttp2_session_consume_stream(session->ng, id, (size_t)(target - open)));
}

/* -- the connection ------------------------------------------------------------------------------------------------ */

bool h2_is_over(const struct h2_session *session)
{
    if (session->fault.why)
        return session->said_goodbye;
    return !nghttp2_session_want_read(session->ng) && !nghttp2_session_want_write(session->ng);
}

uint32_t h2_head_of(const struct h2_session *session)
{
    return session->head_of ? session->head_of->id : session->guard.block_id;
}

const struct h2_fault *h2_fault(const struct h2_session *session)
{
    return &session->fault;
}

const char *h2_why(const struct h2_session *session)
{
    return session->fault.why && session->fault.code != H2_NO_ERROR ? session->fault.why : session->why;
}

struct list *h2_touched(struct h2_session *session)
{
    return &session->touched;
}

bool h2_may_request(const struct h2_session *session)
{
    return !h2_is_broken(session) && nghttp2_session_check_request_allowed(session->ng);
}

uint32_t h2_streams_most(const struct h2_session *session)
{
    return nghttp2_session_get_remote_settings(session->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool h2_takes_connect(const struct h2_session *session)
{
    return nghttp2_session_get_remote_settings(session->ng, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

const char *h2_code_name(uint32_t code)
{
    return nghttp2_http2_strerror(code);
}

void h2_ping(struct h2_session *session)
{
    if (!h2_is_broken(session))
        h2_heed(session, nghttp2_submit_ping(session->ng, NGHTTP2_FLAG_NONE, NULL));
}

void h2_announce_goaway(struct h2_session *session)
{
    if (!h2_is_broken(session))
        h2_heed(session, nghttp2_submit_shutdown_notice(session->ng));
}

void h2_goaway(struct h2_session *session)
{
    session->guard.goaway_id = session->guard.last_id;
    if (!h2_is_broken(session))
        h2_heed(session, nghttp2_submit_goaway(session->ng, NGHTTP2_FLAG_NONE, (int32_t)session->guard.last_id,
                                            NGHTTP2_NO_ERROR, NULL, 0));
}

/* One for all sessions and threads; made before the first of them. */
static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *c;

    if (nghttp2_session_callbacks_new(&c))
        return NULL;
    h2_hear(c);
    h2_tell(c);
    return c;
}

static nghttp2_option *make_options(void)
{
    nghttp2_option *o;

    if (nghttp2_option_new(&o))
        return NULL;
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_recv_client_magic(o, 1);
    nghttp2_option_set_no_http_messaging(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_builtin_recv_extension_type(o, NGHTTP2_PRIORITY_UPDATE);
    nghttp2_option_set_max_send_header_block_length(o, HEAD_MOST);
    return o;
}

static int start(struct h2_session *session)
{
    __typeof__(&nghttp2_session_server_new3) create = nghttp2_session_server_new3;
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_option *options = make_options();
    nghttp2_mem memory = h2_memory(session);
    int rc = NGHTTP2_ERR_NOMEM;

    if (h2_is_client(session))
        create = nghttp2_session_client_new3;
    if (callbacks && options)
        rc = create(&session->ng, callbacks, session, options, &memory);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(options);
    return rc;
}

static int settle(struct h2_session *session)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)h2_head_list_most(&session->limits.head) },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
        { h2_is_client(session) ? NGHTTP2_SETTINGS_ENABLE_PUSH : NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL,
          !h2_is_client(session) },
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0 }, /* pushed ones */
    };
    size_t count = sizeof(settings) / sizeof(settings[0]);
    if (!h2_is_client(session))
        count--; /* that many are announced by h2_send.c */
    int rc = nghttp2_submit_settings(session->ng, NGHTTP2_FLAG_NONE, settings, count);

    return rc ? rc : nghttp2_session_set_local_window_size(session->ng, NGHTTP2_FLAG_NONE, 0,
                                                           (int32_t)session->limits.window);
}

static struct h2_session *create(enum h2_role role, const struct h2_calls *calls, void *owner,
                                 const struct h2_limits *limits)
{
    struct h2_session *session = mem_zalloc(sizeof(*session));

    if (!session)
        return NULL;
    session->calls = calls;
    session->owner = owner;
    session->limits = *limits;
    list_init(&session->touched);
    list_init(&session->pieces);
    h2_guard_init(&session->guard, role, (uint32_t)h2_head_list_most(&limits->head) * 2 + H2_FRAME_MOST, 0);
    mem_hold(SESSION_COSTS);
    int rc = start(session);
    if (rc == 0)
        rc = settle(session);
    if (rc == 0)
        return session;
    session->no_memory = true;
    h2_destroy(session);
    return NULL;
}

struct h2_session *h2_create_server(const struct h2_calls *calls, void *owner, const struct h2_limits *limits)
{
    return create(H2_SERVER, calls, owner, limits);
}

struct h2_session *h2_create_client(const struct h2_calls *calls, void *owner, const struct h2_limits *limits)
{
    return create(H2_CLIENT, calls, owner, limits);
}

void h2_destroy(struct h2_session *session)
{
    if (!session)
        return;
    if (!session->no_memory)
        nghttp2_session_del(session->ng);
    h2_memory_drop(session);
    block_unref(session->pen);
    mem_hold(-SESSION_COSTS);
    mem_free(session);
}
