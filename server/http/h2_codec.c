/* SPDX-License-Identifier: BSD-2-Clause */
/* h2_codec.c: h2.h over libnghttp2. Heads are judged by h2_head.c alone (no_http_messaging): nghttp2 drops some fields
 * in silence and answers others with a reset of its own. */
#include "base/mem.h"
#include "http/h2.h"

#include <nghttp2/nghttp2.h>

enum {
    FIELDS_AT_ONCE = 64,
    COPY_MOST = 2048,         /* content so small is copied behind its frame's head */
    SESSION_COSTS = 26 * 1024, /* what nghttp2 holds for a connection at rest */
    PEN_LEAST = 1024,
};

struct h2_session {
    nghttp2_session *ng;
    const struct h2_calls *calls;
    void *owner;
    struct h2_limits limits;
    struct h2_guard guard;
    uint8_t frame_head[H2_FRAME_HEAD];
    uint32_t head_have;  /* of it */
    uint32_t left;       /* of the frame's payload */
    bool dropping;       /* it goes nowhere */
    uint32_t frame_bytes; /* of it, its head included */
    uint64_t now_ms;
    struct h2_fault fault; /* the connection's end, when why is set */
    bool said_goodbye;
    bool no_memory;
    struct h2_head head; /* one header block at a time */
    struct h2_stream *head_of;
    bool head_is_trailers;
    struct chain *out;   /* while h2_produce runs */
    struct block *pen;   /* where frames are written */
    struct list touched;
    struct list pieces;  /* of nghttp2's memory */
};

/* -- memory -------------------------------------------------------------------------------------------------------- */

/* nghttp2's memory, so that a session can be given up without its help: when it has run out of memory on the way, its
 * own clearing up may meet what was freed already. */
struct piece {
    struct list link;
    uint64_t bytes[]; /* aligned for anything that nghttp2 keeps */
};

static void *keep_piece(struct h2_session *session, struct piece *piece)
{
    if (!piece)
        return NULL;
    list_push(&session->pieces, &piece->link);
    return piece->bytes;
}

static void *ng_malloc(size_t n, void *session)
{
    return n > SIZE_MAX / 2 ? NULL : keep_piece(session, mem_alloc(sizeof(struct piece) + n));
}

static void *ng_calloc(size_t count, size_t size, void *session)
{
    if (size && count > SIZE_MAX / 2 / size)
        return NULL;
    return keep_piece(session, mem_zalloc(sizeof(struct piece) + count * size));
}

static void ng_free(void *p, void *session)
{
    (void)session;
    if (!p)
        return;
    struct piece *piece = list_entry(p, struct piece, bytes);
    list_remove(&piece->link);
    mem_free(piece);
}

static void *ng_realloc(void *p, size_t n, void *session)
{
    if (!p)
        return ng_malloc(n, session);
    if (n > SIZE_MAX / 2)
        return NULL;
    struct piece *piece = list_entry(p, struct piece, bytes), *fresh;
    list_remove(&piece->link);
    fresh = mem_realloc(piece, sizeof(*piece) + n);
    list_init(fresh ? &fresh->link : &piece->link);
    keep_piece(session, fresh ? fresh : piece);
    return fresh ? fresh->bytes : NULL;
}

static void drop_pieces(struct h2_session *session)
{
    for (struct list *link = list_first(&session->pieces); link; link = list_first(&session->pieces))
        ng_free(list_entry(link, struct piece, link)->bytes, session);
}

/* -- faults -------------------------------------------------------------------------------------------------------- */

static void broke(struct h2_session *session, enum h2_code code, enum h2_abuse abuse, const char *why)
{
    if (!session->fault.why)
        session->fault = (struct h2_fault){ code, abuse, why };
}

void h2_break(struct h2_session *session, uint32_t code, const char *why)
{
    broke(session, (enum h2_code)code, H2_ABUSE_NONE, why);
}

static void fatal(struct h2_session *session, int rc)
{
    if (rc == NGHTTP2_ERR_NOMEM)
        session->no_memory = true;
    if (rc == NGHTTP2_ERR_FLOODED)
        broke(session, H2_ENHANCE_YOUR_CALM, H2_ABUSE_PING, "too many frames that call for an answer");
    else
        broke(session, H2_INTERNAL_ERROR, H2_ABUSE_NONE, nghttp2_strerror(rc));
}

static void heed(struct h2_session *session, int rc)
{
    if (rc && nghttp2_is_fatal(rc))
        fatal(session, rc);
}

/* Nothing but our own GOAWAY follows then. */
static bool is_broken(const struct h2_session *session)
{
    return session->fault.why;
}

static void count(struct h2_session *session, enum h2_abuse what)
{
    struct h2_fault fault;

    if (!h2_guard_count(&session->guard, what, 1, session->now_ms, &fault))
        broke(session, fault.code, fault.abuse, fault.why);
}

/* -- streams ------------------------------------------------------------------------------------------------------- */

static struct h2_stream *stream_of(struct h2_session *session, int32_t id)
{
    return id ? nghttp2_session_get_stream_user_data(session->ng, id) : NULL;
}

static void touch(struct h2_stream *stream)
{
    list_remove(&stream->touched);
    list_push(&stream->session->touched, &stream->touched);
}

static void forget(struct h2_stream *stream)
{
    list_remove(&stream->touched);
    stream->session = NULL;
}

void h2_reset(struct h2_stream *stream, uint32_t code)
{
    struct h2_session *session = stream->session;

    if (!session || stream->reset || is_broken(session))
        return;
    stream->reset = true;
    heed(session, nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE, (int32_t)stream->id, code));
}

/* Without any signal of the client's, responses take turns: one that is long holds up no other. */
static void set_priority(struct h2_session *session, uint32_t id, const struct h2_head *head)
{
    nghttp2_extpri priority = { .urgency = head->urgency, .inc = head->incremental };

    heed(session, nghttp2_session_change_extpri_stream_priority(session->ng, (int32_t)id, &priority, 0));
}

static void open_stream(struct h2_session *session, uint32_t id)
{
    struct h2_stream *stream = session->calls->open(session->owner, id);

    if (!stream) {
        heed(session, nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE, (int32_t)id, NGHTTP2_REFUSED_STREAM));
        return;
    }
    stream->id = id;
    stream->session = session;
    stream->window = H2_WINDOW_FIRST;
    stream->bytes_in = session->frame_bytes;
    list_init(&stream->touched);
    nghttp2_session_set_stream_user_data(session->ng, (int32_t)id, stream);
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

    (void)ng;
    session->head_of = NULL;
    session->head_is_trailers = frame->headers.cat != NGHTTP2_HCAT_REQUEST;
    if (!session->head_is_trailers)
        open_stream(session, (uint32_t)frame->hd.stream_id);
    else
        session->head_of = receiving(stream_of(session, frame->hd.stream_id));
    h2_head_begin(&session->head, session->head_is_trailers ? H2_HEAD_TRAILERS : H2_HEAD_REQUEST);
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
    if (!stream)
        return 0;
    bool fine = h2_head_take(&session->head, &session->limits.head, stream->arena,
                             session->head_is_trailers ? stream->trailers : stream->fields,
                             (str){ (const char *)name, name_n }, (str){ (const char *)value, value_n });
    if (fine)
        return 0;
    broke(session, H2_ENHANCE_YOUR_CALM, H2_ABUSE_HEADER_LIST, "header list that unpacks to too much");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static void break_stream(struct h2_stream *stream, const char *why)
{
    stream->session->calls->broken(stream, why);
    if (stream->session)
        h2_reset(stream, H2_PROTOCOL_ERROR);
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

static void head_received(struct h2_session *session, const nghttp2_frame *frame)
{
    struct h2_stream *stream = session->head_of;
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    session->head_of = NULL;
    if (!stream || stream->reset)
        return;
    if (session->head_is_trailers) {
        trailers_received(session, stream, end);
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
        stream = stream_of(session, frame->hd.stream_id);
        if (stream && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
            end_received(stream);
        break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            session->calls->pong(session->owner);
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
    struct h2_stream *stream = stream_of(session, id);

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
    struct h2_stream *stream = stream_of(session, id);

    (void)ng;
    h2_guard_closed(&session->guard, (uint32_t)id);
    if (!stream)
        return 0;
    if (session->head_of == stream)
        session->head_of = NULL;
    forget(stream);
    session->calls->closed(stream, code);
    return 0;
}

/* A client can have streams reset without sending a reset itself: then those are counted. */
static bool is_provoked(uint32_t code)
{
    return code != NGHTTP2_NO_ERROR && code != NGHTTP2_INTERNAL_ERROR && code != NGHTTP2_CANCEL;
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream = stream_of(session, frame->hd.stream_id);

    (void)ng;
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        h2_guard_reset(&session->guard, (uint32_t)frame->hd.stream_id);
        if (is_provoked(frame->rst_stream.error_code))
            count(session, H2_ABUSE_OUR_RESETS);
    }
    if (!stream)
        return 0;
    stream->bytes_out += H2_FRAME_HEAD + frame->hd.length;
    bool has_end = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (has_end && frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        stream->sent_end = true;
        touch(stream);
    }
    return 0;
}

/* -- content that goes out ----------------------------------------------------------------------------------------- */

/* Where a frame is written: one block after the other, so that a hundred small frames do not take a block each. */
static bool write_down(struct h2_session *session, struct chain *out, const void *p, size_t n)
{
    struct block *pen = session->pen;

    if (pen && pen->size - pen->used < n) {
        block_unref(pen);
        pen = session->pen = NULL;
    }
    if (n > BLOCK_SMALL)
        return chain_append_copy(out, p, n);
    if (!pen)
        pen = session->pen = block_create(BLOCK_SMALL);
    if (!pen)
        return false;
    memcpy(pen->data + pen->used, p, n);
    if (!chain_append_block(out, pen, pen->data + pen->used, n))
        return false;
    pen->used += (uint32_t)n;
    return true;
}

static int send_trailers(struct h2_stream *stream);

static ssize_t read_source(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t most, uint32_t *flags,
                           nghttp2_data_source *source, void *user)
{
    struct h2_stream *stream = source->ptr;
    uint64_t n = stream->source->n;

    (void)ng;
    (void)id;
    (void)buffer;
    (void)user;
    if (n == 0 && !stream->source_ended) {
        stream->waits = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n > most)
        return (ssize_t)most;
    if (!stream->source_ended)
        return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->source_trailers && stream->source_trailers->count) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        int rc = send_trailers(stream);
        if (rc)
            return nghttp2_is_fatal(rc) ? rc : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)n;
}

static bool put_small(struct h2_session *session, struct h2_stream *stream, const uint8_t *head, size_t n)
{
    uint8_t copy[H2_FRAME_HEAD + COPY_MOST];

    memcpy(copy, head, H2_FRAME_HEAD);
    if (chain_copy_out(stream->source, copy + H2_FRAME_HEAD, n) != n)
        return false;
    chain_eat(stream->source, n);
    return write_down(session, session->out, copy, H2_FRAME_HEAD + n);
}

static int send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t n,
                     nghttp2_data_source *source, void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream = source->ptr;

    (void)ng;
    (void)frame;
    if (n <= COPY_MOST) {
        if (!put_small(session, stream, head, n))
            return NGHTTP2_ERR_NOMEM;
    } else if (!write_down(session, session->out, head, H2_FRAME_HEAD) ||
               chain_move(session->out, stream->source, n) != n) {
        return NGHTTP2_ERR_NOMEM;
    }
    stream->moved += n;
    h2_guard_sent(&session->guard, n);
    touch(stream);
    return 0;
}

/* -- heads that go out --------------------------------------------------------------------------------------------- */

static nghttp2_nv pair(str name, str value)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name.p, (uint8_t *)(uintptr_t)value.p, name.n, value.n,
                         NGHTTP2_NV_FLAG_NONE };
}

/* nghttp2 copies and lowers the names. Fields of the connection never cross (RFC 9113 8.2.2). */
static size_t put_pairs(nghttp2_nv *to, const struct fields *fields)
{
    size_t n = 0;

    for (uint32_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];

        if (field->id != FIELD_OTHER && field_is_hop_by_hop(field->id) && field->id != FIELD_TRAILER)
            continue;
        to[n++] = pair(field->name, field->value);
    }
    return n;
}

struct pairs {
    nghttp2_nv room[FIELDS_AT_ONCE], *at;
    size_t n;
};

static bool pairs_begin(struct pairs *pairs, uint32_t most)
{
    pairs->n = 0;
    pairs->at = most <= FIELDS_AT_ONCE ? pairs->room : mem_array(most, sizeof(nghttp2_nv));
    return pairs->at;
}

static void pairs_end(struct pairs *pairs)
{
    if (pairs->at != pairs->room)
        mem_free(pairs->at);
}

static bool put_status(struct pairs *pairs, char digits[4], int status, const struct fields *fields)
{
    if (!pairs_begin(pairs, fields->count + 1))
        return false;
    digits[0] = (char)('0' + status / 100 % 10);
    digits[1] = (char)('0' + status / 10 % 10);
    digits[2] = (char)('0' + status % 10);
    pairs->at[pairs->n++] = pair(S(":status"), (str){ digits, 3 });
    pairs->n += put_pairs(pairs->at + 1, fields);
    return true;
}

static int send_trailers(struct h2_stream *stream)
{
    struct pairs pairs;

    if (!pairs_begin(&pairs, stream->source_trailers->count))
        return NGHTTP2_ERR_NOMEM;
    pairs.n = put_pairs(pairs.at, stream->source_trailers);
    int rc = nghttp2_submit_trailer(stream->session->ng, (int32_t)stream->id, pairs.at, pairs.n);
    pairs_end(&pairs);
    return rc;
}

bool h2_inform(struct h2_stream *stream, int status, const struct fields *fields)
{
    struct h2_session *session = stream->session;
    struct pairs pairs;
    char digits[4];

    if (!session || stream->answered || stream->reset || is_broken(session))
        return true;
    if (!put_status(&pairs, digits, status, fields))
        return false;
    int rc = nghttp2_submit_headers(session->ng, NGHTTP2_FLAG_NONE, (int32_t)stream->id, NULL, pairs.at, pairs.n,
                                    NULL);
    pairs_end(&pairs);
    heed(session, rc);
    return rc == 0;
}

bool h2_respond(struct h2_stream *stream, int status, const struct fields *fields, bool end)
{
    struct h2_session *session = stream->session;
    nghttp2_data_provider source = { .source.ptr = stream, .read_callback = read_source };
    struct pairs pairs;
    char digits[4];

    if (!session || stream->answered || stream->reset || is_broken(session))
        return true;
    if (!put_status(&pairs, digits, status, fields))
        return false;
    stream->answered = true;
    int rc = nghttp2_submit_response(session->ng, (int32_t)stream->id, pairs.at, pairs.n, end ? NULL : &source);
    pairs_end(&pairs);
    heed(session, rc);
    return rc == 0;
}

void h2_wake(struct h2_stream *stream)
{
    struct h2_session *session = stream->session;

    if (!session || !stream->waits || is_broken(session))
        return;
    stream->waits = false;
    heed(session, nghttp2_session_resume_data(session->ng, (int32_t)stream->id));
}

/* -- windows ------------------------------------------------------------------------------------------------------- */

void h2_grant(struct h2_stream *stream, uint64_t room)
{
    struct h2_session *session = stream->session;

    if (!session || stream->reset || stream->received_end || is_broken(session))
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
    heed(session, nghttp2_session_consume_stream(session->ng, id, (size_t)(target - open)));
}

/* -- receiving ----------------------------------------------------------------------------------------------------- */

static enum h2_state state_of(struct h2_session *session, uint32_t id, struct h2_stream **stream)
{
    *stream = NULL;
    if (id == 0)
        return H2_OPEN;
    *stream = stream_of(session, (int32_t)id);
    if (*stream)
        return (*stream)->received_end ? H2_HALF_CLOSED : H2_OPEN;
    return h2_guard_state(&session->guard, id);
}

static bool feed(struct h2_session *session, const uint8_t *p, size_t n)
{
    ssize_t used = nghttp2_session_mem_recv(session->ng, p, n);

    if (used >= 0)
        return !session->fault.why;
    fatal(session, (int)used);
    return false;
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
        broke(session, fault.code, fault.abuse, fault.why);
        return false;
    }
    session->frame_bytes = H2_FRAME_HEAD + frame.length;
    if (stream)
        stream->bytes_in += session->frame_bytes;
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

/* -- producing ----------------------------------------------------------------------------------------------------- */

/* nghttp2 may be in any state: the last word is our own. */
static bool say_goodbye(struct h2_session *session, struct chain *out)
{
    uint8_t text[H2_FRAME_HEAD + 8] = { 0 };
    const uint32_t words[2] = { session->guard.last_id, session->fault.code };

    if (session->said_goodbye)
        return true;
    session->said_goodbye = true;
    h2_frame_write(text, &(struct h2_frame){ .length = 8, .type = H2_GOAWAY });
    for (unsigned i = 0; i < 8; i++)
        text[H2_FRAME_HEAD + i] = (uint8_t)(words[i / 4] >> (24 - 8 * (i % 4)));
    return write_down(session, out, text, sizeof(text));
}

static bool produce(struct h2_session *session, struct chain *out, uint64_t most)
{
    while (out->n < most && !session->fault.why) {
        const uint8_t *p;
        ssize_t n = nghttp2_session_mem_send(session->ng, &p);
        if (n < 0)
            fatal(session, (int)n);
        if (n <= 0)
            return n == 0 || !session->no_memory;
        if (!write_down(session, out, p, (size_t)n))
            return false;
    }
    return true;
}

bool h2_produce(struct h2_session *session, struct chain *out, uint64_t most)
{
    session->out = out;
    bool fine = produce(session, out, most);
    session->out = NULL;
    if (session->pen && !block_is_shared(session->pen)) {
        block_unref(session->pen);
        session->pen = NULL;
    }
    return fine && (!session->fault.why || say_goodbye(session, out));
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

struct list *h2_touched(struct h2_session *session)
{
    return &session->touched;
}

void h2_ping(struct h2_session *session)
{
    if (!is_broken(session))
        heed(session, nghttp2_submit_ping(session->ng, NGHTTP2_FLAG_NONE, NULL));
}

void h2_announce_goaway(struct h2_session *session)
{
    if (!is_broken(session))
        heed(session, nghttp2_submit_shutdown_notice(session->ng));
}

void h2_goaway(struct h2_session *session)
{
    session->guard.goaway_id = session->guard.last_id;
    if (!is_broken(session))
        heed(session, nghttp2_submit_goaway(session->ng, NGHTTP2_FLAG_NONE, (int32_t)session->guard.last_id,
                                            NGHTTP2_NO_ERROR, NULL, 0));
}

/* What nghttp2 itself finds wrong with a frame: a reset or the end follows from it by itself. */
static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *user)
{
    (void)ng;
    (void)frame;
    (void)error;
    (void)user;
    return 0;
}

/* One for all sessions and threads; made before the first of them. */
static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *c;

    if (nghttp2_session_callbacks_new(&c))
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
    nghttp2_session_callbacks_set_send_data_callback(c, send_data);
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
    return o;
}

static int start(struct h2_session *session)
{
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_option *options = make_options();
    nghttp2_mem memory = { session, ng_malloc, ng_free, ng_calloc, ng_realloc };
    int rc = NGHTTP2_ERR_NOMEM;

    if (callbacks && options)
        rc = nghttp2_session_server_new3(&session->ng, callbacks, session, options, &memory);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(options);
    return rc;
}

static int settle(struct h2_session *session)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, session->limits.streams },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)h2_head_list_most(&session->limits.head) },
        { NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
    };
    int rc = nghttp2_submit_settings(session->ng, NGHTTP2_FLAG_NONE, settings, sizeof(settings) / sizeof(settings[0]));

    return rc ? rc : nghttp2_session_set_local_window_size(session->ng, NGHTTP2_FLAG_NONE, 0,
                                                           (int32_t)session->limits.window);
}

struct h2_session *h2_create_server(const struct h2_calls *calls, void *owner, const struct h2_limits *limits)
{
    struct h2_session *session = mem_zalloc(sizeof(*session));

    if (!session)
        return NULL;
    session->calls = calls;
    session->owner = owner;
    session->limits = *limits;
    list_init(&session->touched);
    list_init(&session->pieces);
    h2_guard_init(&session->guard, (uint32_t)h2_head_list_most(&limits->head) * 2 + H2_FRAME_MOST, 0);
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

void h2_destroy(struct h2_session *session)
{
    if (!session)
        return;
    if (!session->no_memory)
        nghttp2_session_del(session->ng);
    drop_pieces(session);
    block_unref(session->pen);
    mem_hold(-SESSION_COSTS);
    mem_free(session);
}
