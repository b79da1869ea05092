/* SPDX-License-Identifier: BSD-2-Clause */
/* h2_receive.c: bytes in, events out. */
#include "http/h2_session.h"

/* -- streams ------------------------------------------------------------------------------------------------------- */

static void forget(struct h2_stream *stream)
{
    list_remove(&stream->touched);
    stream->session = NULL;
}

/* Without any signal of the client's, responses take turns: one that is long holds up no other. */
static void set_priority(struct h2_session *session, uint32_t id, const struct h2_head *head)
{
    nghttp2_extpri priority = { .urgency = head->urgency, .inc = head->incremental };

    h2_heed(session, nghttp2_session_change_extpri_stream_priority(session->ng, (int32_t)id, &priority, 0));
}

void h2_attach(struct h2_session *session, struct h2_stream *stream, uint32_t id)
{
    stream->id = id;
    stream->session = session;
    stream->window = H2_WINDOW_FIRST;
    list_init(&stream->touched);
}

static void open_stream(struct h2_session *session, uint32_t id)
{
    bool is_one_more = session->open >= session->limits.streams;
    struct h2_stream *stream = is_one_more ? NULL : session->calls->open(session->owner, id);

    if (!stream) {
        h2_guard_reset(&session->guard, id); /* what comes on it meanwhile was on its way */
        h2_heed(session,
                nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE, (int32_t)id, NGHTTP2_REFUSED_STREAM));
        return;
    }
    h2_attach(session, stream, id);
    stream->bytes_in = session->frame_bytes;
    nghttp2_session_set_stream_user_data(session->ng, (int32_t)id, stream);
    session->open++;
    session->head_of = stream;
}

/* -- what nghttp2 tells: heads ------------------------------------------------------------------------------------- */

static struct h2_stream *receiving(struct h2_stream *stream)
{
    return stream && stream->arena && !stream->reset ? stream : NULL;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_session *session = user;
    enum h2_head_kind kind = H2_HEAD_TRAILERS;

    (void)ng;
    session->head_of = NULL;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        kind = H2_HEAD_REQUEST;
        open_stream(session, (uint32_t)frame->hd.stream_id);
    } else {
        session->head_of = receiving(h2_stream_of(session, frame->hd.stream_id));
    }
    if (h2_is_client(session) && session->head_of && !session->head_of->answered) {
        kind = H2_HEAD_RESPONSE;
        session->head_of->fields->count = 0; /* an interim one's */
    }
    h2_head_begin(&session->head, kind);
    return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
                     const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream = session->head_of;

    (void)ng;
    (void)frame;
    (void)flags;
    if (!stream || !stream->arena) /* its owner may have left it between two reads */
        return 0;
    bool fine = h2_head_take(&session->head, &session->limits.head, stream->arena,
                             session->head.kind == H2_HEAD_TRAILERS ? stream->trailers : stream->fields,
                             (str){ (const char *)name, name_n }, (str){ (const char *)value, value_n });
    if (fine)
        return 0;
    h2_broke(session, H2_ENHANCE_YOUR_CALM, H2_ABUSE_HEADER_LIST, "header list that unpacks to too much");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static void break_stream_with(struct h2_stream *stream, enum h2_code code, const char *why)
{
    stream->session->calls->broken(stream, why);
    if (stream->session)
        h2_reset(stream, code);
}

static void break_stream(struct h2_stream *stream, const char *why)
{
    break_stream_with(stream, H2_PROTOCOL_ERROR, why);
}

/* RFC 9113 8.1.1: the content is as long as content-length says. */
static void end_received(struct h2_stream *stream)
{
    if (stream->reset)
        return;
    stream->received_end = true;
    if (stream->has_length && stream->received != stream->length)
        break_stream(stream, "content shorter than content-length");
    else
        stream->session->calls->end(stream);
}

static void trailers_received(struct h2_session *session, struct h2_stream *stream, bool end)
{
    const char *why = session->head.malformed;

    if (!end)
        why = "head in the middle of the content";
    if (session->head.status && !why)
        why = session->head.why;
    if (why)
        break_stream(stream, why);
    else
        end_received(stream);
}

/* A response to HEAD, a 204 and a 304 have no content, whatever length they speak of. */
static void response_received(struct h2_session *session, struct h2_stream *stream, bool end)
{
    struct h2_head *head = &session->head;
    struct h1_response response;

    if (!h2_head_response(head, end, stream->asked, &response)) {
        if (head->malformed)
            break_stream(stream, head->malformed);
        else
            break_stream_with(stream, H2_CANCEL, head->why);
        return;
    }
    if (response.status >= 200) {
        stream->answered = true;
        stream->received_end = end;
        stream->has_length = response.body != BODY_UNTIL_CLOSE;
        stream->length = response.body == BODY_LENGTH ? response.content_length : 0;
    }
    session->calls->response(stream, &response);
}

static void head_received(struct h2_session *session, const nghttp2_frame *frame)
{
    struct h2_stream *stream = session->head_of;
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    session->head_of = NULL;
    if (!stream || stream->reset)
        return;
    if (session->head.kind == H2_HEAD_TRAILERS) {
        trailers_received(session, stream, end);
        return;
    }
    if (session->head.kind == H2_HEAD_RESPONSE) {
        response_received(session, stream, end);
        return;
    }
    stream->received_end = end;
    stream->has_length = session->head.has_length && !session->head.malformed;
    stream->length = session->head.length;
    set_priority(session, stream->id, &session->head);
    session->calls->head(stream, &session->head);
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream;

    (void)ng;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        head_received(session, frame);
        break;
    case NGHTTP2_DATA:
        stream = h2_stream_of(session, frame->hd.stream_id);
        if (stream && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
            end_received(stream);
        break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            session->calls->pong(session->owner);
        break;
    case NGHTTP2_SETTINGS:
        if (session->calls->settled && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
            session->calls->settled(session->owner);
        break;
    case NGHTTP2_GOAWAY:
        if (session->calls->leaving)
            session->calls->leaving(session->owner, frame->goaway.error_code);
        break;
    default:
        break;
    }
    return 0;
}

/* -- what nghttp2 tells: content and ends -------------------------------------------------------------------------- */

/* The connection's window is given back at once: what a slow stream does not take is bounded by its own. */
static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream = h2_stream_of(session, id);

    (void)flags;
    int rc = nghttp2_session_consume_connection(ng, n);
    if (rc)
        return rc;
    if (!stream || stream->reset)
        return 0;
    stream->received += n;
    if (stream->has_length && stream->received > stream->length)
        break_stream(stream, "content longer than content-length");
    else
        session->calls->data(stream, p, n);
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream = h2_stream_of(session, id);

    (void)ng;
    h2_guard_closed(&session->guard, (uint32_t)id);
    if (!stream)
        return 0;
    if (session->head_of == stream)
        session->head_of = NULL;
    if (h2_is_client(session) && !stream->opened)
        code = NGHTTP2_REFUSED_STREAM; /* its head never went out */
    forget(stream);
    session->open -= !h2_is_client(session);
    session->calls->closed(stream, code);
    return 0;
}

/* -- receiving ----------------------------------------------------------------------------------------------------- */

static enum h2_state state_of(struct h2_session *session, uint32_t id, struct h2_stream **stream)
{
    *stream = NULL;
    if (id == 0)
        return H2_OPEN;
    *stream = h2_stream_of(session, (int32_t)id);
    if (*stream)
        return (*stream)->received_end ? H2_HALF_CLOSED : H2_OPEN;
    return h2_guard_state(&session->guard, id);
}

static bool feed(struct h2_session *session, const uint8_t *p, size_t n)
{
    ssize_t used = nghttp2_session_mem_recv(session->ng, p, n);

    if (used >= 0)
        return !session->fault.why;
    h2_fatal(session, (int)used);
    return false;
}

/* RFC 9113 8.1: of a response the head comes first. nghttp2 would end the connection for it. */
static bool is_out_of_order(struct h2_session *session, const struct h2_frame *frame, struct h2_stream *stream)
{
    if (!h2_is_client(session) || frame->type != H2_DATA || !stream || stream->answered)
        return false;
    if (!stream->reset)
        break_stream(stream, "content in front of its head");
    return true;
}

/* nghttp2 knows nothing of the SETTINGS that we sent by ourselves. */
static bool is_about_ours(struct h2_session *session, const struct h2_frame *frame)
{
    bool is_ack = frame->type == H2_SETTINGS && frame->flags & H2_FLAG_ACK && frame->length == 0;

    if (!is_ack || session->is_known || h2_is_client(session))
        return false;
    session->is_known = true;
    return true;
}

/* A whole frame head is there: shall the frame be seen? */
static bool begin_frame(struct h2_session *session)
{
    struct h2_frame frame;
    struct h2_fault fault;
    struct h2_stream *stream;

    h2_frame_read(session->frame_head, &frame);
    enum h2_state state = state_of(session, frame.id, &stream);
    enum h2_verdict verdict = h2_guard_frame(&session->guard, &frame, state, session->now_ms, &fault);
    session->left = frame.length;
    session->dropping = verdict == H2_DROP;
    if (verdict == H2_BREAK) {
        h2_broke(session, fault.code, fault.abuse, fault.why);
        return false;
    }
    session->frame_bytes = H2_FRAME_HEAD + frame.length;
    if (stream)
        stream->bytes_in += session->frame_bytes;
    session->dropping |= is_out_of_order(session, &frame, stream) || is_about_ours(session, &frame);
    return true;
}

/* One frame, or as much of it as is there; how many bytes, 0 when the connection broke. What lies in one piece is fed
 * in one. */
static size_t receive_frame(struct h2_session *session, const uint8_t *p, size_t n)
{
    size_t head = 0, body;
    bool split = session->head_have > 0;

    if (session->left == 0) {
        head = H2_FRAME_HEAD - session->head_have;
        if (head > n)
            head = n;
        memcpy(session->frame_head + session->head_have, p, head);
        session->head_have += (uint32_t)head;
        if (session->head_have < H2_FRAME_HEAD)
            return head;
        session->head_have = 0;
        if (!begin_frame(session))
            return 0;
        if (split && !session->dropping && !feed(session, session->frame_head, H2_FRAME_HEAD))
            return 0;
    }
    body = session->left < n - head ? session->left : n - head;
    session->left -= (uint32_t)body;
    size_t skip = split ? head : 0;
    if (!session->dropping && head + body > skip && !feed(session, p + skip, head + body - skip))
        return 0;
    return head + body;
}

bool h2_receive(struct h2_session *session, const uint8_t *p, size_t n, uint64_t now_ms)
{
    session->now_ms = now_ms;
    for (size_t at = 0; at < n && !session->fault.why;) {
        size_t used = receive_frame(session, p + at, n - at);
        if (used == 0)
            break;
        at += used;
    }
    return !session->fault.why;
}

/* -- registration -------------------------------------------------------------------------------------------------- */

void h2_hear(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
