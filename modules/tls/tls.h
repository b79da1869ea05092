/* SPDX-License-Identifier: BSD-2-Clause */
/* tls.h: what the files of this module share.
 *
 * Shape:   conf (directives, one per distinct scope) --check()--> tls_scope (SSL_CTX, digests, made once per snapshot);
 *          a connection is a tls_conn: an SSL on the descriptor. The server role begins on one base SSL_CTX and moves
 *          to the scope's own once the ClientHello named the site; the client role begins on its tls_origin's.
 * Owner:   tls_conf owns its tls_scope until drop(); SSLs hold references to what they use, so that connections
 *          outlive snapshots. Trust stores and the local CA are counted and shared by path.
 * Thread:  conf, scope, trust: the thread that binds; tls_conn: its worker; tickets, leaves, sessions: any, locked.
 * Errors:  bind-time functions report through weir_conf_error_at and answer -1 or NULL. */
#ifndef TLS_H
#define TLS_H

#include <weir/weir.h>

#include <openssl/ssl.h>

#define TLS_RECORD 16384u /* content of one record at most (RFC 8446 5.1) */
#define TLS_DIGEST 32u    /* SHA-256 */
#define TLS_NAME 256u     /* a server name and its NUL */

enum { TLS_HANDSHAKES, TLS_HANDSHAKES_FAILED, TLS_RESUMED }; /* metrics */
enum { TLS_VERIFY_OFF, TLS_VERIFY_ON, TLS_VERIFY_OPTIONAL };
enum { TLS_1_2, TLS_1_3 };

struct tls_certificate { /* one `tls_certificate` */
    weir_str certificate, key; /* without a key: `internal` */
    struct weir_place place;
};

struct tls_scope;

struct tls_conf {
    weir_table certificates; /* of struct tls_certificate */
    weir_table protocols;    /* of uint32_t TLS_1_x; empty: both */
    weir_str ciphers, client_ca;
    uint32_t verify;         /* TLS_VERIFY_* */
    bool tickets;
    struct weir_place protocols_at, ciphers_at, client_ca_at, verify_at;
    struct tls_scope *scope; /* made by check(), not a directive's; an inner scope's copy of it means nothing */
};

struct tls_scope {
    SSL_CTX *ctx;           /* NULL: no certificate, TLS is not offered */
    struct tls_leaf *leaf;  /* `tls_certificate internal` */
    struct tls_trust *trust; /* tls_client_ca */
    int lowest, highest;    /* TLS1_2_VERSION, TLS1_3_VERSION */
    bool tickets;
    uint8_t policy[TLS_DIGEST];  /* of what a client must fulfil: certificates asked for, versions */
    uint8_t session[TLS_DIGEST]; /* sessions are resumed only where this is equal */
};

struct tls_conn {
    SSL *ssl;
    weir_conn *conn;           /* server role */
    struct tls_origin *origin; /* client role; a reference */
    char *server_name;         /* server role: lower case; NULL: the client sent none */
    unsigned long failure;     /* OpenSSL's code, when reading or writing broke; 0: not known */
    const char *refusal;       /* why the ClientHello was refused; this thread's text */
    uint8_t policy[TLS_DIGEST];
    int fd;
    uint32_t retry;            /* content bytes of the record that the socket would not take; 0: none */
    int32_t ended;             /* 1: readv goes on; else the WEIR_IO_EOF or WEIR_IO_ERROR that it stays at */
    bool is_done, is_broken, is_counted;
    bool is_drained;           /* the last read of the socket was short */
    bool may_stop;             /* then do not ask it again in this call */
    bool saw_end;              /* the socket's end */
    bool has_more;             /* readv stopped for lack of room, or the handshake read ahead */
    bool more_follows;         /* at once: another record, or the end of the socket behind the farewell */
    uint32_t held_n;
    char *held;                /* a sealed ticket that leaves with the next record */
};

extern weir_mod *tls_mod;
extern const struct weir_transport tls_transport;
#define TLS_VARIABLES 10u
extern const struct weir_variable tls_variables[TLS_VARIABLES];

/* -- tls_scope.c: configuration into SSL_CTX ----------------------------------------------------------------------- */

struct tls_scope *tls_scope_create(weir_conf *c, const struct tls_conf *conf);
void tls_scope_destroy(struct tls_scope *scope);
/* Certificate, chain and key from PEM files into ctx. fingerprint: NULL or TLS_DIGEST bytes. leaf: NULL or borrowed. */
int tls_use_files(weir_conf *c, SSL_CTX *ctx, const struct tls_certificate *files, uint8_t *fingerprint, X509 **leaf);
/* What both roles' contexts have in common. */
SSL_CTX *tls_ctx_create(const SSL_METHOD *method);
/* This thread's earliest OpenSSL error in words; empties the queue. */
const char *tls_reason(void);

/* -- tls_trust.c: sets of CA certificates -------------------------------------------------------------------------- */

struct tls_trust {
    struct tls_trust *next;
    uint32_t users;
    char *path; /* "": the system's */
    uint64_t seen[8]; /* which version of the file this is */
    X509_STORE *store;
    STACK_OF(X509_NAME) *names;
    uint8_t digest[TLS_DIGEST]; /* of the file */
};

struct tls_trust *tls_trust_get(weir_conf *c, const struct weir_place *at, weir_str path); /* empty: the system's */
void tls_trust_release(struct tls_trust *trust);

/* -- tls_local_ca.c: `tls_certificate internal` -------------------------------------------------------------------- */

/* The local CA's certificates for these names (weir_str; none: for whatever name a client asks). */
struct tls_leaf *tls_leaf_create(weir_conf *c, const struct weir_place *at, weir_table names);
void tls_leaf_destroy(struct tls_leaf *leaf);
int tls_leaf_use(struct tls_leaf *leaf, SSL *ssl, const char *server_name); /* "": none. 0 or -1 */
const uint8_t *tls_leaf_authority(const struct tls_leaf *leaf); /* TLS_DIGEST bytes of the CA's certificate */

/* -- tls_tickets.c ------------------------------------------------------------------------------------------------- */

int tls_tickets_start(void);
int tls_tickets_use(SSL_CTX *ctx);

/* -- tls_io.c: both roles once the SSL stands ---------------------------------------------------------------------- */

int tls_io_start(void);
struct tls_conn *tls_conn_create(SSL_CTX *ctx, int fd);
void tls_conn_destroy(struct tls_conn *t);
int tls_handshake(void *state, weir_str *why);
int64_t tls_readv(void *state, const weir_span *to, uint32_t count);
int64_t tls_writev(void *state, const weir_str *from, uint32_t count);
int tls_shutdown(void *state);
void tls_close(void *state);
uint32_t tls_pending(void *state);
weir_str tls_alpn(void *state);
weir_str tls_why(void *state);
char *tls_text(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* valid until this thread's next one */

/* -- tls_server.c, tls_client.c ------------------------------------------------------------------------------------ */

int tls_server_start(void);
void *tls_accept(weir_conn *conn, int fd);
int tls_choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned int n,
                    void *arg);
void *tls_prepare(weir_conf *c, const struct weir_transport_wish *wish);
void tls_release(void *prepared);
void *tls_open(void *prepared, int fd);
const char *tls_origin_name(const struct tls_origin *origin);

#endif
