/* SPDX-License-Identifier: BSD-2-Clause */
/* test_host.h: as much of a host as driving the built module takes: a table of functions, a binder that goes by the
 * module's own directive table, connections without a server, certificates made on the spot.
 *
 * Owner:   what a bind hands out lives until host_drop. Thread: one. Errors: a broken test asserts. */
#ifndef TEST_HOST_H
#define TEST_HOST_H

#include <weir/weir.h>

#include <openssl/ssl.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

extern const struct weir_module weir_module; /* of tls.so */

struct weir_conf {
    const char *names[4]; /* of the site; none: top level */
    weir_str name_texts[4];
    uint32_t name_count;
    bool rehearsal, offers_tls, is_bound;
    char said[2048]; /* errors and warnings: "error: ...\n" */
    void *conf;      /* the module's struct */
    void *memory[256];
    uint32_t memory_count;
};

struct weir_conn {
    weir_conf *const *sites; /* ends with NULL */
    void *transport;         /* state */
};

struct weir_req {
    weir_conn *conn;
    const char *site;
    void *memory[64];
    uint32_t memory_count;
    uint32_t refused; /* status */
};

/* -- bind: statements are "name arg arg" lines; outer may be NULL -------------------------------------------------- */

bool host_bind(weir_conf *c, weir_conf *outer, const char *names, const char *statements);
void host_drop(weir_conf *c);
extern char host_dir[64];        /* state folder and certificates; paths in statements are relative to it */
extern uint64_t host_now_ms;     /* added to both clocks */
extern int64_t host_counts[8];   /* metrics */
extern uint64_t host_openssl_bytes; /* held by OpenSSL now */
extern uint64_t host_fail_after; /* OpenSSL's allocation of that number fails, and all after it; 0: none */
extern uint32_t host_files_read;
void host_start(void);           /* once, first thing */
void host_stop(void);
const struct weir_transport *host_transport(void);
weir_verdict host_run_hook(weir_req *r, uint32_t stage, const weir_conf *site);
const char *host_variable(weir_req *r, const char *name); /* "-": no value; until host_end_request */
void host_end_request(weir_req *r);

/* -- connections --------------------------------------------------------------------------------------------------- */

struct pair {
    weir_conn conn;
    int fds[2];         /* server, client */
    void *server, *client;
    int server_rc, client_rc; /* of the handshake */
    char server_why[512], client_why[512];
};

void *host_prepare(weir_conf *c, struct weir_transport_wish wish); /* server_name and so on; paths relative */
void pair_open(struct pair *p, weir_conf *const *sites, void *prepared);
bool pair_shake(struct pair *p); /* until both are done or one has failed */
void pair_close(struct pair *p);
void make_sockets(int fds[2]);
/* A client of OpenSSL's own instead of the module's; the server side is shaken hands with. */
bool raw_shake(struct pair *p, weir_conf *const *sites, SSL *client);

/* -- certificates: NAME.crt and NAME.key in host_dir --------------------------------------------------------------- */

struct recipe {
    const char *name, *subject, *names; /* names: "DNS:a,IP:1.2.3.4" */
    const char *issuer;                 /* another recipe's name; NULL: itself */
    bool rsa, is_ca;
    int first_day, last_day;            /* from now */
};
void make_certificate(const struct recipe *recipe);
void write_text(const char *name, const char *text);
char *in_dir(const char *name); /* the path; one of a few rotating buffers */

#endif
