/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_io.c: an SSL on a descriptor: handshake, reading, writing, farewell; the same for both roles.
 *
 * OpenSSL reads ahead, so that a record costs one recv. The descriptor stands behind a BIO of our own, for two reasons:
 * a write to a closed peer raises no SIGPIPE, and a short recv is remembered, so that filling a caller's room does not
 * end with one more recv that is known to find nothing. WEIR_IO_WANT_READ is still never answered without an EAGAIN: an
 * end that came together with the last bytes gives no further edge.
 *
 * No client waits for its session ticket, and most get an answer at once: the ticket is held until the next record goes
 * out and leaves in the same segment. */
#include "tls.h"

#include <openssl/err.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define HELD_MOST 4096u /* a ticket with a client's certificates in it may be larger: it goes at once */

static BIO_METHOD *fd_method;

char *tls_text(const char *fmt, ...)
{
    static _Thread_local char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return text;
}

const char *tls_reason(void)
{
    unsigned long code = ERR_peek_error();
    const char *reason = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);

    ERR_clear_error();
    return reason != NULL ? reason : "unknown reason";
}

/* libc makes recv and send points where a thread may be cancelled, at the price of two locked instructions a call.
 * Nobody cancels threads here. Sanitizers want to see the buffers. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define receive(fd, p, n) recv(fd, p, n, 0)
#define transmit(fd, p, n, flags) send(fd, p, n, flags)
#else
#define receive(fd, p, n) syscall(SYS_recvfrom, fd, p, n, 0, NULL, NULL)
#define transmit(fd, p, n, flags) syscall(SYS_sendto, fd, p, n, flags, NULL, 0)
#endif

/* -- the descriptor as OpenSSL sees it ----------------------------------------------------------------------------- */

static int fd_read(BIO *bio, char *to, size_t n, size_t *done)
{
    struct tls_conn *t = BIO_get_data(bio);
    ssize_t got;

    *done = 0;
    BIO_clear_retry_flags(bio);
    if (t->is_drained && t->may_stop) {
        BIO_set_retry_read(bio);
        return -1;
    }
    do
        got = receive(t->fd, to, n);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        t->is_drained = (size_t)got < n;
        *done = (size_t)got;
        return 1;
    }
    if (got == 0)
        t->saw_end = true;
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
        BIO_set_retry_read(bio);
    return got == 0 ? 0 : -1;
}

static bool hold_ticket(struct tls_conn *t, const char *from, size_t n)
{
    char *held;

    if (n > HELD_MOST - t->held_n || SSL_get_state(t->ssl) != TLS_ST_SW_SESSION_TICKET)
        return false;
    held = realloc(t->held, t->held_n + n);
    if (held == NULL)
        return false;
    memcpy(held + t->held_n, from, n);
    t->held = held;
    t->held_n += (uint32_t)n;
    return true;
}

/* What of `put` bytes that went out was not held. */
static size_t count_held(struct tls_conn *t, size_t put)
{
    if (put < t->held_n) {
        t->held_n -= (uint32_t)put;
        memmove(t->held, t->held + put, t->held_n);
        return 0;
    }
    put -= t->held_n;
    free(t->held);
    t->held = NULL;
    t->held_n = 0;
    return put;
}

static ssize_t send_all(const struct tls_conn *t, const char *from, size_t n)
{
    struct iovec parts[] = { { t->held, t->held_n }, { (void *)(uintptr_t)from, n } };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
    int flags = MSG_NOSIGNAL | (t->more_follows ? MSG_MORE : 0);

    return t->held_n > 0 ? sendmsg(t->fd, &message, flags) : transmit(t->fd, from, n, flags);
}

static int fd_write(BIO *bio, const char *from, size_t n, size_t *done)
{
    struct tls_conn *t = BIO_get_data(bio);
    ssize_t put;

    *done = 0;
    BIO_clear_retry_flags(bio);
    if (hold_ticket(t, from, n)) {
        *done = n;
        return 1;
    }
    do
        put = send_all(t, from, n);
    while (put < 0 && errno == EINTR);
    if (put > 0 && (*done = count_held(t, (size_t)put)) > 0)
        return 1;
    if (put >= 0 || errno == EAGAIN || errno == EWOULDBLOCK)
        BIO_set_retry_write(bio);
    return -1;
}

static long fd_ctrl(BIO *bio, int what, long number, void *pointer)
{
    struct tls_conn *t = BIO_get_data(bio);

    (void)number, (void)pointer;
    switch (what) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return t->saw_end;
    default: return 0;
    }
}

int tls_io_start(void)
{
    fd_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir descriptor");
    if (fd_method == NULL)
        return -1;
    BIO_meth_set_read_ex(fd_method, fd_read);
    BIO_meth_set_write_ex(fd_method, fd_write);
    BIO_meth_set_ctrl(fd_method, fd_ctrl);
    return 0;
}

struct tls_conn *tls_conn_create(SSL_CTX *ctx, int fd)
{
    struct tls_conn *t = calloc(1, sizeof(*t));
    BIO *bio = BIO_new(fd_method);

    if (t != NULL)
        t->ssl = SSL_new(ctx);
    if (bio == NULL || t == NULL || t->ssl == NULL) {
        BIO_free(bio);
        if (t != NULL)
            SSL_free(t->ssl);
        free(t);
        return NULL;
    }
    t->fd = fd;
    t->ended = 1;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_app_data(t->ssl, t);
    return t;
}

void tls_conn_destroy(struct tls_conn *t)
{
    SSL_free(t->ssl);
    free(t->server_name);
    free(t->held);
    free(t);
}

/* -- handshake ----------------------------------------------------------------------------------------------------- */

/* What others left in this thread's error queue would be taken for ours. It is nearly always empty, and to see that
 * costs a quarter of clearing it. */
static void clear_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

static void begin_call(struct tls_conn *t)
{
    clear_errors();
    errno = 0;
    t->is_drained = false;
    t->may_stop = false;
    t->more_follows = false;
}

static int answer_to(struct tls_conn *t, int code)
{
    switch (code) {
    case SSL_ERROR_WANT_READ: return WEIR_IO_WANT_READ;
    case SSL_ERROR_WANT_WRITE: return WEIR_IO_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN: return WEIR_IO_EOF;
    default:
        t->is_broken = true;
        return WEIR_IO_ERROR;
    }
}

static const char *certificate_reason(const struct tls_conn *t, long result)
{
    const char *reason = X509_verify_cert_error_string(result);

    if (t->origin == NULL)
        return tls_text("client certificate: %s", reason);
    if (result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH)
        reason = "name does not match";
    return tls_text("certificate of %s: %s", tls_origin_name(t->origin), reason);
}

/* Fatal alerts of the peer have reasons of their own (RFC 8446 6.2). NULL: it is none. */
static const char *alert_reason(const struct tls_conn *t, unsigned long error)
{
    int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
    const char *text = ERR_reason_error_string(error);

    if (t->origin == NULL || reason < SSL_AD_REASON_OFFSET || reason >= SSL_AD_REASON_OFFSET + 256 || text == NULL)
        return NULL;
    if (reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED)
        text = "it asks for a client certificate (tls_client_certificate)";
    return tls_text("refused by %s: %s", tls_origin_name(t->origin), text);
}

static const char *handshake_reason(const struct tls_conn *t, int code, int system_error)
{
    unsigned long first = ERR_peek_error();
    int reason = ERR_GET_LIB(first) == ERR_LIB_SSL ? ERR_GET_REASON(first) : 0;

    if (t->refusal != NULL)
        return t->refusal;
    if (t->saw_end || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return "the peer closed the connection during the handshake";
    if (code == SSL_ERROR_SYSCALL && first == 0)
        return system_error != 0 ? strerror(system_error) : "the peer closed the connection during the handshake";
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return certificate_reason(t, SSL_get_verify_result(t->ssl));
    if (reason == SSL_R_HTTP_REQUEST)
        return "the client speaks plain HTTP on a TLS port";
    if (reason == SSL_R_WRONG_VERSION_NUMBER)
        return "the peer does not speak TLS";
    if (alert_reason(t, first) != NULL)
        return alert_reason(t, first);
    return tls_reason();
}

static void count_handshake(struct tls_conn *t, uint32_t metric)
{
    if (t->conn != NULL && !t->is_counted)
        weir_mod_count(tls_mod, metric, 1);
    t->is_counted = true;
}

int tls_handshake(void *state, weir_str *why)
{
    struct tls_conn *t = state;
    int rc, answer, code, system_error;

    begin_call(t);
    rc = SSL_do_handshake(t->ssl);
    if (rc == 1) {
        t->is_done = true;
        t->has_more = true; /* the first request may lie behind the last handshake message */
        count_handshake(t, TLS_HANDSHAKES);
        if (t->conn != NULL && SSL_session_reused(t->ssl))
            weir_mod_count(tls_mod, TLS_RESUMED, 1);
        return 1;
    }
    system_error = errno;
    code = SSL_get_error(t->ssl, rc);
    answer = answer_to(t, code);
    if (answer == WEIR_IO_WANT_READ || answer == WEIR_IO_WANT_WRITE)
        return answer;
    t->is_broken = true;
    if (why != NULL) {
        const char *text = handshake_reason(t, code, system_error);
        *why = (weir_str){ text, strlen(text) };
    }
    ERR_clear_error();
    count_handshake(t, TLS_HANDSHAKES_FAILED);
    return WEIR_IO_ERROR;
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

static int64_t stop_reading(struct tls_conn *t, int64_t total)
{
    int answer = answer_to(t, SSL_get_error(t->ssl, 0));

    t->has_more = answer == WEIR_IO_WANT_WRITE; /* an answer to the peer has to go out first */
    if (answer == WEIR_IO_EOF || answer == WEIR_IO_ERROR)
        t->ended = answer;
    if (answer == WEIR_IO_ERROR)
        t->failure = ERR_peek_error();
    if (answer == WEIR_IO_ERROR || answer == WEIR_IO_EOF) /* SSL_get_error has found nothing for the others */
        ERR_clear_error();
    return total > 0 ? total : answer;
}

/* Asking once more would make OpenSSL take a buffer for a record, find nothing, and give it back. */
static bool has_all(const struct tls_conn *t)
{
    return t->is_drained && !SSL_has_pending(t->ssl);
}

int64_t tls_readv(void *state, const weir_span *to, uint32_t count)
{
    struct tls_conn *t = state;
    int64_t total = 0;

    if (t->ended != 1)
        return t->ended;
    begin_call(t);
    for (uint32_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < to[i].n) {
            size_t got = 0;
            if (SSL_read_ex(t->ssl, (char *)to[i].p + at, to[i].n - at, &got) != 1)
                return stop_reading(t, total);
            at += got;
            total += (int64_t)got;
            t->may_stop = true;
            if (has_all(t)) {
                t->has_more = false;
                return total;
            }
        }
    }
    t->has_more = true;
    return total;
}

/* An incomplete record that was read ahead is not counted unless readv has yet to look at it: the caller would spin. */
uint32_t tls_pending(void *state)
{
    const struct tls_conn *t = state;
    int n = SSL_pending(t->ssl);

    if (n > 0)
        return (uint32_t)n;
    if (t->ended != 1)
        return 1;
    return t->has_more && (SSL_has_pending(t->ssl) || SSL_want_write(t->ssl)) ? 1 : 0;
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

struct cursor {
    const weir_str *from;
    uint32_t count, i;
    size_t at; /* in from[i] */
};

static void skip_empty(struct cursor *c)
{
    while (c->i < c->count && c->at == c->from[c->i].n) {
        c->i++;
        c->at = 0;
    }
}

/* The next record's content, at most `limit` bytes: where it lies when one slice holds it all, or gathered in room. */
static weir_str next_record(const struct cursor *start, size_t limit, char *room)
{
    struct cursor c = *start;
    size_t first = c.from[c.i].n - c.at, n = 0;

    if (first >= limit || c.i + 1 == c.count)
        return (weir_str){ c.from[c.i].p + c.at, first < limit ? first : limit };
    for (skip_empty(&c); c.i < c.count && n < limit; skip_empty(&c)) {
        size_t part = c.from[c.i].n - c.at;
        if (part > limit - n)
            part = limit - n;
        memcpy(room + n, c.from[c.i].p + c.at, part);
        n += part;
        c.at += part;
    }
    return (weir_str){ room, n };
}

static void advance(struct cursor *c, size_t n)
{
    for (skip_empty(c); n > 0; skip_empty(c)) {
        size_t part = c->from[c->i].n - c->at;
        if (part > n)
            part = n;
        c->at += part;
        n -= part;
    }
}

/* An origin that refuses our certificate says so behind the handshake (TLS 1.3) and closes; a write may meet the closed
 * socket before the alert was read. */
static unsigned long failure_of_write(struct tls_conn *t)
{
    unsigned long failure = ERR_peek_error();
    size_t got;
    char byte;

    if (t->origin == NULL)
        return failure;
    ERR_clear_error();
    if (SSL_peek_ex(t->ssl, &byte, 1, &got) != 1 && alert_reason(t, ERR_peek_error()) != NULL)
        failure = ERR_peek_error();
    return failure;
}

int64_t tls_writev(void *state, const weir_str *from, uint32_t count)
{
    struct tls_conn *t = state;
    struct cursor c = { from, count, 0, 0 };
    char room[TLS_RECORD];
    int64_t total = 0;
    size_t left = 0;

    if (t->is_broken)
        return WEIR_IO_ERROR;
    begin_call(t);
    for (uint32_t i = 0; i < count; i++)
        left += from[i].n;
    for (skip_empty(&c); c.i < c.count; skip_empty(&c)) {
        /* A record the socket did not take is already sealed: OpenSSL wants the same content offered again. */
        weir_str record = next_record(&c, t->retry > 0 ? t->retry : TLS_RECORD, room);
        size_t sent = 0;
        t->more_follows = record.n < left;
        if (SSL_write_ex(t->ssl, record.p, record.n, &sent) != 1) {
            int answer = answer_to(t, SSL_get_error(t->ssl, 0));
            t->retry = answer == WEIR_IO_WANT_WRITE ? (uint32_t)record.n : 0;
            if (answer == WEIR_IO_EOF)
                answer = WEIR_IO_ERROR;
            if (answer == WEIR_IO_ERROR)
                t->failure = failure_of_write(t);
            ERR_clear_error();
            return total > 0 ? total : answer;
        }
        t->retry = 0;
        total += (int64_t)sent;
        left -= sent;
        advance(&c, sent);
    }
    return total;
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

int tls_shutdown(void *state)
{
    struct tls_conn *t = state;
    int rc, answer;

    if (!t->is_done || t->is_broken || t->retry > 0)
        return WEIR_IO_ERROR;
    begin_call(t);
    t->more_follows = true;
    rc = SSL_shutdown(t->ssl);
    if (rc >= 0)
        return 1; /* ours is on its way; nobody waits for the peer's */
    answer = answer_to(t, SSL_get_error(t->ssl, rc));
    ERR_clear_error();
    return answer == WEIR_IO_WANT_READ || answer == WEIR_IO_WANT_WRITE ? answer : WEIR_IO_ERROR;
}

void tls_close(void *state)
{
    struct tls_conn *t = state;
    struct tls_origin *origin = t->origin;

    count_handshake(t, TLS_HANDSHAKES_FAILED); /* a handshake that was given up */
    tls_conn_destroy(t);
    if (origin != NULL)
        tls_release(origin);
}

weir_str tls_why(void *state)
{
    const struct tls_conn *t = state;
    const char *text = t->failure != 0 ? alert_reason(t, t->failure) : NULL;
    char whole[256];

    if (text == NULL && t->failure != 0)
        text = ERR_SYSTEM_ERROR(t->failure) ? strerror(ERR_GET_REASON(t->failure))
                                            : ERR_reason_error_string(t->failure);
    if (text == NULL)
        return (weir_str){ NULL, 0 };
    snprintf(whole, sizeof(whole), "TLS: %s", text); /* it may lie in tls_text's own room */
    text = tls_text("%s", whole);
    return (weir_str){ text, strlen(text) };
}

weir_str tls_alpn(void *state)
{
    const struct tls_conn *t = state;
    const unsigned char *p = NULL;
    unsigned int n = 0;

    SSL_get0_alpn_selected(t->ssl, &p, &n);
    return (weir_str){ (const char *)p, n };
}
