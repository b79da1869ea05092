/* SPDX-License-Identifier: BSD-2-Clause */
/* h2_send.c: heads and content in, bytes out. */
#include "base/mem.h"
#include "http/h2_session.h"

enum {
    FIELDS_AT_ONCE = 64,
    COPY_MOST = 2048, /* content so small is copied behind its frame's head */
};

/* -- frames that went out ------------------------------------------------------------------------------------------ */

static void count(struct h2_session *session, enum h2_abuse what)
{
    struct h2_fault fault;

    if (!h2_guard_count(&session->guard, what, 1, session->now_ms, &fault))
        h2_broke(session, fault.code, fault.abuse, fault.why);
}

static void touch(struct h2_stream *stream)
{
    list_remove(&stream->touched);
    list_push(&stream->session->touched, &stream->touched);
}

/* A client can have streams reset without sending a reset itself: then those are counted. One that was refused has cost
 * little, and a client that has not seen our SETTINGS yet may ask for many. */
static void reset_sent(struct h2_session *session, uint32_t id, uint32_t code)
{
    if (code == NGHTTP2_REFUSED_STREAM) {
        count(session, H2_ABUSE_REFUSED);
        return;
    }
    h2_guard_reset(&session->guard, id);
    if (code != NGHTTP2_NO_ERROR && code != NGHTTP2_INTERNAL_ERROR && code != NGHTTP2_CANCEL)
        count(session, H2_ABUSE_OUR_RESETS);
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream = h2_stream_of(session, frame->hd.stream_id);

    (void)ng;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        reset_sent(session, (uint32_t)frame->hd.stream_id, frame->rst_stream.error_code);
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code)
        session->why = h2_code_name(frame->goaway.error_code);
    if (!stream)
        return 0;
    stream->bytes_out += H2_FRAME_HEAD + frame->hd.length;
    if (h2_is_client(session) && frame->hd.type == NGHTTP2_HEADERS) {
        stream->opened = true;
        h2_guard_opened(&session->guard, stream->id);
    }
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

static bool is_dropped(enum field_id id, bool is_request)
{
    if (is_request && (id == FIELD_TE || id == FIELD_HOST)) /* what Host says is the target's authority */
        return id == FIELD_HOST;
    return id != FIELD_OTHER && field_is_hop_by_hop(id) && id != FIELD_TRAILER;
}

/* nghttp2 copies and lowers the names. Fields of the connection never cross (RFC 9113 8.2.2). */
static size_t put_pairs(nghttp2_nv *to, const struct fields *fields, bool is_request)
{
    size_t n = 0;

    for (uint32_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];

        if (is_dropped(field->id, is_request))
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
    pairs->n += put_pairs(pairs->at + 1, fields, false);
    return true;
}

static int send_trailers(struct h2_stream *stream)
{
    struct pairs pairs;

    if (!pairs_begin(&pairs, stream->source_trailers->count))
        return NGHTTP2_ERR_NOMEM;
    pairs.n = put_pairs(pairs.at, stream->source_trailers, false);
    int rc = nghttp2_submit_trailer(stream->session->ng, (int32_t)stream->id, pairs.at, pairs.n);
    pairs_end(&pairs);
    return rc;
}

bool h2_inform(struct h2_stream *stream, int status, const struct fields *fields)
{
    struct h2_session *session = stream->session;
    struct pairs pairs;
    char digits[4];

    if (!session || stream->answered || stream->reset || h2_is_broken(session))
        return true;
    if (!put_status(&pairs, digits, status, fields))
        return false;
    int rc = nghttp2_submit_headers(session->ng, NGHTTP2_FLAG_NONE, (int32_t)stream->id, NULL, pairs.at, pairs.n,
                                    NULL);
    pairs_end(&pairs);
    h2_heed(session, rc);
    return rc == 0;
}

bool h2_respond(struct h2_stream *stream, int status, const struct fields *fields, bool end)
{
    struct h2_session *session = stream->session;
    nghttp2_data_provider source = { .source.ptr = stream, .read_callback = read_source };
    struct pairs pairs;
    char digits[4];

    if (!session || stream->answered || stream->reset || h2_is_broken(session))
        return true;
    if (!put_status(&pairs, digits, status, fields))
        return false;
    stream->answered = true;
    int rc = nghttp2_submit_response(session->ng, (int32_t)stream->id, pairs.at, pairs.n, end ? NULL : &source);
    pairs_end(&pairs);
    h2_heed(session, rc);
    return rc == 0;
}

static bool put_target(struct pairs *pairs, const struct h2_target *target, const struct fields *fields)
{
    const struct {
        str name, value;
    } all[] = {
        { S(":method"), target->method },       { S(":scheme"), target->scheme }, { S(":path"), target->path },
        { S(":authority"), target->authority }, { S(":protocol"), target->protocol },
    };
    const size_t count = sizeof(all) / sizeof(all[0]);

    if (!pairs_begin(pairs, fields->count + (uint32_t)count))
        return false;
    for (size_t i = 0; i < count; i++)
        if (all[i].value.n)
            pairs->at[pairs->n++] = pair(all[i].name, all[i].value);
    pairs->n += put_pairs(pairs->at + pairs->n, fields, true);
    return true;
}

bool h2_request(struct h2_session *session, struct h2_stream *stream, const struct h2_target *target,
                const struct fields *fields, bool end)
{
    nghttp2_data_provider source = { .source.ptr = stream, .read_callback = read_source };
    struct pairs pairs;

    if (!h2_may_request(session) || !put_target(&pairs, target, fields))
        return false;
    int32_t id = nghttp2_submit_request(session->ng, NULL, pairs.at, pairs.n, end ? NULL : &source, stream);
    pairs_end(&pairs);
    h2_heed(session, id < 0 ? id : 0);
    if (id < 0)
        return false;
    h2_attach(session, stream, (uint32_t)id);
    return true;
}

void h2_wake(struct h2_stream *stream)
{
    struct h2_session *session = stream->session;

    if (!session || !stream->waits || h2_is_broken(session))
        return;
    stream->waits = false;
    h2_heed(session, nghttp2_session_resume_data(session->ng, (int32_t)stream->id));
}

/* -- producing ----------------------------------------------------------------------------------------------------- */

/* How many streams a client may have is announced by a frame of our own: nghttp2, if it knew, would end the connection
 * over one more, where RFC 9113 5.1.2 asks for the end of that stream. It comes first in any case (3.4), and so it is
 * the one to say that priorities are not those of RFC 7540 (RFC 9218 2.1). */
static bool greet(struct h2_session *session, struct chain *out)
{
    const uint32_t settings[][2] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, session->limits.streams },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
    };
    enum { COUNT = sizeof(settings) / sizeof(settings[0]), EACH = 6 };
    uint8_t text[H2_FRAME_HEAD + COUNT * EACH], *at = text + H2_FRAME_HEAD;

    session->greeted = true;
    h2_frame_write(text, &(struct h2_frame){ .length = COUNT * EACH, .type = H2_SETTINGS });
    for (unsigned i = 0; i < COUNT; i++) {
        *at++ = (uint8_t)(settings[i][0] >> 8);
        *at++ = (uint8_t)settings[i][0];
        for (int shift = 24; shift >= 0; shift -= 8)
            *at++ = (uint8_t)(settings[i][1] >> shift);
    }
    return write_down(session, out, text, sizeof(text));
}

/* nghttp2 may be in any state: the last word is our own. */
static bool say_goodbye(struct h2_session *session, struct chain *out)
{
    uint8_t text[H2_FRAME_HEAD + 8] = { 0 };
    const uint32_t words[2] = { h2_is_client(session) ? 0 : session->guard.last_id, session->fault.code };

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
            h2_fatal(session, (int)n);
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
    bool fine = session->greeted || h2_is_client(session) || greet(session, out);
    fine = fine && produce(session, out, most);
    session->out = NULL;
    if (session->pen && !block_is_shared(session->pen)) {
        block_unref(session->pen);
        session->pen = NULL;
    }
    return fine && (!session->fault.why || say_goodbye(session, out));
}

/* -- registration -------------------------------------------------------------------------------------------------- */

void h2_tell(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
}
