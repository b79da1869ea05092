/* SPDX-License-Identifier: BSD-2-Clause */
/* test_tls_handshake.c: who is shaken hands with, as what, and why not. */
#include "test_host.h"

#include <openssl/err.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct recipe recipes[] = {
    { .name = "ca", .subject = "Test CA", .is_ca = true, .last_day = 100 },
    { .name = "other-ca", .subject = "Other CA", .is_ca = true, .last_day = 100 },
    { .name = "a", .subject = "a.example", .names = "DNS:a.example", .issuer = "ca", .last_day = 50 },
    { .name = "a-rsa", .subject = "a.example", .names = "DNS:a.example", .issuer = "ca", .rsa = true, .last_day = 50 },
    { .name = "b", .subject = "b.example", .names = "DNS:b.example", .issuer = "ca", .last_day = 50 },
    { .name = "wild", .subject = "w.example", .names = "DNS:*.w.example", .issuer = "ca", .last_day = 50 },
    { .name = "deep", .subject = "deep", .names = "DNS:*.deep.w.example", .issuer = "ca", .last_day = 50 },
    { .name = "old", .subject = "old", .names = "DNS:a.example", .issuer = "ca", .first_day = -50, .last_day = -1 },
    { .name = "ip", .subject = "ip", .names = "IP:10.0.0.7,IP:fd00::7", .issuer = "ca", .last_day = 50 },
    { .name = "lonely", .subject = "lonely", .names = "DNS:a.example", .last_day = 50 },
    { .name = "client", .subject = "alice", .issuer = "ca", .last_day = 50 },
    { .name = "stranger", .subject = "mallory", .issuer = "other-ca", .last_day = 50 },
};

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(recipes) / sizeof(recipes[0]); i++)
        make_certificate(&recipes[i]);
    return 0;
}

static struct weir_transport_wish wish_for(const char *name)
{
    return (struct weir_transport_wish){ .server_name = { name, strlen(name) }, .ca_file = WEIR_S("ca.crt"),
                                         .verify = true };
}

/* -- the client role's judgement ----------------------------------------------------------------------------------- */

static const struct judged {
    const char *what, *certificate, *name, *ca, *why; /* why NULL: it is accepted */
    bool unverified;
} judged[] = {
    { "right name and CA", "a", "a.example", "ca.crt", NULL, false },
    { "wildcard", "wild", "x.w.example", "ca.crt", NULL, false },
    { "IPv4 address", "ip", "10.0.0.7", "ca.crt", NULL, false },
    { "IPv6 address in brackets", "ip", "[fd00::7]", "ca.crt", NULL, false },
    { "another name", "a", "b.example", "ca.crt", "certificate of b.example: name does not match", false },
    { "another address", "ip", "10.0.0.8", "ca.crt", "certificate of 10.0.0.8: name does not match", false },
    { "another CA", "a", "a.example", "other-ca.crt",
      "certificate of a.example: unable to get local issuer certificate", false },
    { "self-signed", "lonely", "a.example", "ca.crt", "certificate of a.example: self-signed certificate", false },
    { "self-signed and trusted", "lonely", "a.example", "lonely.crt", NULL, false },
    { "the certificate itself for a CA", "a", "a.example", "a.crt", NULL, false },
    { "expired", "old", "a.example", "ca.crt", "certificate of a.example: certificate has expired", false },
    { "expired, not verified", "old", "a.example", "ca.crt", NULL, true },
};

static void test_client_judges_the_server(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(judged) / sizeof(judged[0]); i++) {
        weir_conf site = { 0 };
        weir_conf *sites[] = { &site, NULL };
        struct weir_transport_wish wish = wish_for(judged[i].name);
        char text[64];
        struct pair p;
        snprintf(text, sizeof(text), "tls_certificate %s.crt %s.key", judged[i].certificate, judged[i].certificate);
        assert_true(host_bind(&site, NULL, "_", text));
        wish.ca_file = (weir_str){ judged[i].ca, strlen(judged[i].ca) };
        wish.verify = !judged[i].unverified;
        void *prepared = host_prepare(&site, wish);
        assert_non_null(prepared);
        pair_open(&p, sites, prepared);
        if (pair_shake(&p) != (judged[i].why == NULL))
            fail_msg("%s: %s / %s", judged[i].what, p.client_why, p.server_why);
        assert_string_equal(p.client_why, judged[i].why != NULL ? judged[i].why : "");
        pair_close(&p);
        host_transport()->release(prepared);
        host_drop(&site);
    }
}

/* -- the server role's choice -------------------------------------------------------------------------------------- */

static const struct named {
    const char *asked, *got, *why; /* got: the certificate's subject */
} named[] = {
    { "a.example", "a.example", NULL },
    { "A.Example", "a.example", NULL },
    { "b.example", "b.example", NULL },
    { "x.w.example", "w.example", NULL },
    { "y.x.w.example", "w.example", NULL },
    { "z.deep.w.example", "deep", NULL }, /* the longest wildcard */
    { "w.example", NULL, "unknown server name w.example" },
    { "c.example", NULL, "unknown server name c.example" },
    { "plain.example", NULL, "the site for server name plain.example has no certificate" },
    { "", NULL, "client sent no server name and no site is the default" },
};

static void peer_subject(SSL *ssl, char *to, int room)
{
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(ssl)), NID_commonName, to, room);
}

static void test_server_name_chooses_the_site(void **state)
{
    weir_conf top = { 0 }, a = { 0 }, b = { 0 }, w = { 0 }, deep = { 0 }, plain = { 0 };
    weir_conf *sites[] = { &a, &b, &w, &deep, &plain, NULL };
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    (void)state;
    assert_true(host_bind(&top, NULL, "", ""));
    assert_false(top.offers_tls);
    assert_true(host_bind(&a, &top, "a.example", "tls_certificate a.crt a.key"));
    assert_true(a.offers_tls);
    assert_true(host_bind(&b, &top, "b.example", "tls_certificate b.crt b.key"));
    assert_true(host_bind(&w, &top, "*.w.example", "tls_certificate wild.crt wild.key"));
    assert_true(host_bind(&deep, &top, "*.deep.w.example", "tls_certificate deep.crt deep.key"));
    assert_true(host_bind(&plain, &top, "plain.example", "tls_tickets off"));
    assert_false(plain.offers_tls);
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        SSL *client = SSL_new(ctx);
        char got[64] = "";
        struct pair p;
        if (named[i].asked[0] != 0)
            SSL_set_tlsext_host_name(client, named[i].asked);
        int64_t failed = host_counts[1];
        bool ok = raw_shake(&p, sites, client);
        assert_string_equal(p.server_why, named[i].why != NULL ? named[i].why : "");
        if (ok)
            peer_subject(client, got, sizeof(got));
        else
            assert_string_equal(p.client_why, "tlsv1 unrecognized name");
        assert_string_equal(got, named[i].got != NULL ? named[i].got : "");
        assert_int_equal(host_counts[1] - failed, ok ? 0 : 1);
        pair_close(&p);
        assert_int_equal(host_counts[1] - failed, ok ? 0 : 1);
        SSL_free(client);
    }
    SSL_CTX_free(ctx);
    host_drop(&a), host_drop(&b), host_drop(&w), host_drop(&deep), host_drop(&plain), host_drop(&top);
}

static void test_no_server_name_takes_the_only_site(void **state)
{
    weir_conf a = { 0 };
    weir_conf *sites[] = { &a, NULL };
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *client = SSL_new(ctx);
    char got[64] = "";
    struct pair p;

    (void)state;
    assert_true(host_bind(&a, NULL, "a.example", "tls_certificate a.crt a.key"));
    assert_true(raw_shake(&p, sites, client));
    peer_subject(client, got, sizeof(got));
    assert_string_equal(got, "a.example");
    pair_close(&p);
    SSL_free(client);
    SSL_CTX_free(ctx);
    host_drop(&a);
}

/* -- what is agreed on --------------------------------------------------------------------------------------------- */

static const struct agreed {
    const char *what, *statements;
    int lowest, highest;     /* the client's; 0: any */
    const char *sigalgs, *ciphers, *alpn; /* the client's */
    const char *protocol, *cipher, *kind, *why;
} agreed[] = {
    { "newest version", "", 0, 0, NULL, NULL, NULL, "TLSv1.3", "TLS_AES_128_GCM_SHA256", "EC", NULL },
    { "1.2", "", 0, TLS1_2_VERSION, NULL, NULL, NULL, "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256", "EC", NULL },
    { "RSA for who knows only that", "", 0, TLS1_2_VERSION, NULL, "aRSA", NULL, "TLSv1.2",
      "ECDHE-RSA-AES128-GCM-SHA256", "RSA", NULL },
    { "RSA by signature algorithm", "", TLS1_3_VERSION, 0, "RSA-PSS+SHA256:RSA+SHA256", NULL, NULL, "TLSv1.3", NULL,
      "RSA", NULL },
    { "1.1 is refused", "", 0, TLS1_1_VERSION, NULL, "ALL:@SECLEVEL=0", NULL, NULL, NULL, NULL,
      "unsupported protocol" },
    { "only 1.2", "tls_protocols 1.2", 0, 0, NULL, NULL, NULL, "TLSv1.2", NULL, NULL, NULL },
    { "only 1.3", "tls_protocols 1.3", 0, 0, NULL, NULL, NULL, "TLSv1.3", NULL, NULL, NULL },
    { "1.2 to a 1.3 site", "tls_protocols 1.3", 0, TLS1_2_VERSION, NULL, NULL, NULL, NULL, NULL, NULL,
      "unsupported protocol" },
    { "site's 1.2 cipher", "tls_ciphers ECDHE-ECDSA-AES256-GCM-SHA384", 0, TLS1_2_VERSION, NULL, NULL, NULL, "TLSv1.2",
      "ECDHE-ECDSA-AES256-GCM-SHA384", NULL, NULL },
    { "site's 1.3 suite", "tls_ciphers TLS_CHACHA20_POLY1305_SHA256", 0, 0, NULL, NULL, NULL, "TLSv1.3",
      "TLS_CHACHA20_POLY1305_SHA256", NULL, NULL },
    { "both lists in one", "tls_ciphers TLS_AES_256_GCM_SHA384:ECDHE-RSA-CHACHA20-POLY1305", 0, TLS1_2_VERSION, NULL,
      NULL, NULL, "TLSv1.2", "ECDHE-RSA-CHACHA20-POLY1305", "RSA", NULL },
    { "no cipher in common", "tls_ciphers ECDHE-ECDSA-AES256-GCM-SHA384", 0, TLS1_2_VERSION, NULL, "AES128", NULL, NULL,
      NULL, NULL, "no shared cipher" },
    { "CBC is not offered", "", 0, TLS1_2_VERSION, NULL, "ECDHE-RSA-AES128-SHA", NULL, NULL, NULL, NULL,
      "no shared cipher" },
    { "h2 comes first", "", 0, 0, NULL, NULL, "\x08http/1.1\x02h2", "TLSv1.3", NULL, NULL, NULL },
    { "http/1.1 among others", "", 0, 0, NULL, NULL, "\x02xy\x08http/1.1", "TLSv1.3", NULL, NULL, NULL },
    { "none of ours", "", 0, 0, NULL, NULL, "\x02xy", NULL, NULL, NULL,
      "the client offers no application protocol that is spoken here" },
};

static SSL *raw_client(SSL_CTX *ctx, const struct agreed *row)
{
    SSL *client;

    if (row->ciphers != NULL)
        assert_int_equal(SSL_CTX_set_cipher_list(ctx, row->ciphers), 1);
    client = SSL_new(ctx);
    if (row->lowest != 0)
        SSL_set_min_proto_version(client, row->lowest);
    if (row->highest != 0)
        SSL_set_max_proto_version(client, row->highest);
    if (row->sigalgs != NULL)
        assert_int_equal(SSL_set1_sigalgs_list(client, row->sigalgs), 1);
    if (row->alpn != NULL)
        SSL_set_alpn_protos(client, (const unsigned char *)row->alpn, (unsigned int)strlen(row->alpn));
    SSL_set_tlsext_host_name(client, "a.example");
    return client;
}

static void check_agreed(const struct agreed *row, struct pair *p, SSL *client)
{
    weir_req r = { .conn = &p->conn, .site = "a.example" };
    weir_str alpn = host_transport()->alpn(p->server);

    assert_string_equal(host_variable(&r, "tls_protocol"), row->protocol);
    assert_string_equal(host_variable(&r, "tls_server_name"), "a.example");
    assert_string_equal(host_variable(&r, "tls_cipher"), SSL_get_cipher_name(client));
    if (row->cipher != NULL)
        assert_string_equal(SSL_get_cipher_name(client), row->cipher);
    if (row->kind != NULL)
        assert_string_equal(EVP_PKEY_get0_type_name(X509_get0_pubkey(SSL_get0_peer_certificate(client))), row->kind);
    assert_int_equal(alpn.n, row->alpn == NULL ? 0 : strstr(row->alpn, "h2") != NULL ? 2 : 8);
    host_end_request(&r);
}

static void test_agreements(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(agreed) / sizeof(agreed[0]); i++) {
        weir_conf a = { 0 }, b = { 0 };
        weir_conf *sites[] = { &a, &b, NULL };
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        char text[256];
        struct pair p;
        snprintf(text, sizeof(text), "tls_certificate a.crt a.key;tls_certificate a-rsa.crt a-rsa.key;%s",
                 agreed[i].statements);
        assert_true(host_bind(&a, NULL, "a.example", text));
        assert_true(host_bind(&b, NULL, "b.example", "tls_certificate b.crt b.key"));
        SSL *client = raw_client(ctx, &agreed[i]);
        if (raw_shake(&p, sites, client) != (agreed[i].why == NULL))
            fail_msg("%s: %s / %s", agreed[i].what, p.client_why, p.server_why);
        assert_string_equal(p.server_why, agreed[i].why != NULL ? agreed[i].why : "");
        if (agreed[i].why == NULL)
            check_agreed(&agreed[i], &p, client);
        pair_close(&p);
        SSL_free(client);
        SSL_CTX_free(ctx);
        host_drop(&a), host_drop(&b);
    }
}

static void test_client_role_offers_protocols(void **state)
{
    weir_conf a = { 0 };
    weir_conf *sites[] = { &a, NULL };
    struct weir_transport_wish wish = wish_for("a.example");
    struct pair p;

    (void)state;
    assert_true(host_bind(&a, NULL, "a.example", "tls_certificate a.crt a.key"));
    wish.alpn = (weir_str)WEIR_S("h2,http/1.1");
    void *prepared = host_prepare(&a, wish);
    pair_open(&p, sites, prepared);
    assert_true(pair_shake(&p));
    weir_str got = host_transport()->alpn(p.client);
    assert_int_equal(got.n, 2);
    assert_memory_equal(got.p, "h2", 2);
    pair_close(&p);
    host_transport()->release(prepared);
    host_drop(&a);
}

/* -- client certificates ------------------------------------------------------------------------------------------- */

static const struct verified {
    const char *mode, *certificate, *verify, *subject, *why;
} verified[] = {
    { "off", NULL, "NONE", "-", NULL },
    { "off", "client", "NONE", "-", NULL }, /* not asked for */
    { "optional", NULL, "NONE", "-", NULL },
    { "optional", "client", "SUCCESS", "CN=alice", NULL },
    { "optional", "stranger", "FAILED:unable to verify the first certificate", "-", NULL },
    { "on", "client", "SUCCESS", "CN=alice", NULL },
    { "on", NULL, NULL, NULL, "peer did not return a certificate" },
    { "on", "stranger", NULL, NULL, "client certificate: unable to get local issuer certificate" },
};

static void check_verified(const struct verified *row, struct pair *p)
{
    weir_req r = { .conn = &p->conn, .site = "a.example" };
    bool known = strcmp(row->verify, "SUCCESS") == 0;

    assert_string_equal(host_variable(&r, "tls_client_verify"), row->verify);
    assert_string_equal(host_variable(&r, "tls_client_subject"), row->subject);
    assert_string_equal(host_variable(&r, "tls_client_issuer"), known ? "CN=Test CA" : "-");
    assert_string_equal(host_variable(&r, "tls_client_serial"), known ? "1234" : "-");
    assert_int_equal(strlen(host_variable(&r, "tls_client_fingerprint")), known ? 64 : 1);
    host_end_request(&r);
}

static void test_client_certificates(void **state)
{
    static const char *const versions[] = { "1.2", "1.3" };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(verified) / sizeof(verified[0]); i++) {
        const struct verified *row = &verified[i / 2];
        struct weir_transport_wish wish = wish_for("a.example");
        weir_conf a = { 0 };
        weir_conf *sites[] = { &a, NULL };
        char text[256], certificate[32], key[32];
        struct pair p;
        snprintf(text, sizeof(text),
                 "tls_certificate a.crt a.key;tls_client_ca ca.crt;tls_verify_client %s;tls_protocols %s", row->mode,
                 versions[i % 2]);
        assert_true(host_bind(&a, NULL, "a.example", text));
        if (row->certificate != NULL) {
            wish.certificate = (weir_str){ certificate, (size_t)snprintf(certificate, 32, "%s.crt", row->certificate) };
            wish.key = (weir_str){ key, (size_t)snprintf(key, 32, "%s.key", row->certificate) };
        }
        void *prepared = host_prepare(&a, wish);
        assert_non_null(prepared);
        pair_open(&p, sites, prepared);
        pair_shake(&p);
        assert_string_equal(p.server_why, row->why != NULL ? row->why : "");
        assert_int_equal(p.server_rc, row->why != NULL ? WEIR_IO_ERROR : 1);
        if (row->why == NULL)
            check_verified(row, &p);
        pair_close(&p);
        host_transport()->release(prepared);
        host_drop(&a);
    }
}

/* -- resumption ---------------------------------------------------------------------------------------------------- */

/* One connection with a byte each way, so that a ticket (TLS 1.3: after the handshake) arrives. Was it resumed? */
static bool visit(weir_conf *const *sites, void *prepared)
{
    const struct weir_transport *t = host_transport();
    weir_str hello = WEIR_S("x");
    char room[4];
    weir_span span = { room, sizeof(room) };
    struct pair p;

    pair_open(&p, sites, prepared);
    if (!pair_shake(&p))
        fail_msg("%s / %s", p.client_why, p.server_why);
    assert_int_equal(t->writev(p.server, &hello, 1), 1);
    assert_int_equal(t->readv(p.client, &span, 1), 1);
    weir_req r = { .conn = &p.conn, .site = "" };
    bool resumed = strcmp(host_variable(&r, "tls_resumed"), "1") == 0;
    host_end_request(&r);
    pair_close(&p);
    return resumed;
}

static const struct resumed {
    const char *what, *first, *second;
    uint64_t hours; /* between them */
    bool is_resumed;
} resumed[] = {
    { "same settings after a reload", "", "", 0, true },
    { "same settings, TLS 1.2", "tls_protocols 1.2", "tls_protocols 1.2", 0, true },
    { "the ticket key was rotated once", "", "", 1, true },
    { "the ticket key was rotated once, TLS 1.2", "tls_protocols 1.2", "tls_protocols 1.2", 1, true },
    { "tickets off", "tls_tickets off", "tls_tickets off", 0, false },
    { "tickets off, TLS 1.2", "tls_tickets off;tls_protocols 1.2", "tls_tickets off;tls_protocols 1.2", 0, false },
    { "tickets switched off meanwhile", "", "tls_tickets off", 0, false },
    { "other versions", "", "tls_protocols 1.3", 0, false },
    { "other ciphers", "", "tls_ciphers TLS_AES_128_GCM_SHA256", 0, false },
    { "client certificates asked for", "", "tls_client_ca ca.crt;tls_verify_client optional", 0, false },
    { "other client CA", "tls_client_ca other-ca.crt;tls_verify_client optional",
      "tls_client_ca ca.crt;tls_verify_client optional", 0, false },
    { "client CA that nobody uses", "", "tls_client_ca ca.crt", 0, true },
};

static void test_resumption(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(resumed) / sizeof(resumed[0]); i++) {
        weir_conf before = { 0 }, after = { 0 };
        weir_conf *sites_before[] = { &before, NULL }, *sites_after[] = { &after, NULL };
        char text[256];
        snprintf(text, sizeof(text), "tls_certificate a.crt a.key;%s", resumed[i].first);
        assert_true(host_bind(&before, NULL, "a.example", text));
        void *prepared = host_prepare(&before, wish_for("a.example"));
        assert_false(visit(sites_before, prepared));
        snprintf(text, sizeof(text), "tls_certificate a.crt a.key;%s", resumed[i].second);
        assert_true(host_bind(&after, NULL, "a.example", text));
        host_now_ms += resumed[i].hours * 3600000;
        int64_t counted = host_counts[2];
        if (visit(sites_after, prepared) != resumed[i].is_resumed)
            fail_msg("%s", resumed[i].what);
        assert_int_equal(host_counts[2] - counted, resumed[i].is_resumed);
        host_transport()->release(prepared);
        host_drop(&before), host_drop(&after);
    }
}

static void test_resumption_does_not_cross_certificates(void **state)
{
    weir_conf a = { 0 }, b = { 0 };
    weir_conf *sites_a[] = { &a, NULL }, *sites_b[] = { &b, NULL };

    (void)state;
    assert_true(host_bind(&a, NULL, "a.example", "tls_certificate a.crt a.key"));
    assert_true(host_bind(&b, NULL, "a.example", "tls_certificate wild.crt wild.key"));
    struct weir_transport_wish wish = wish_for("a.example");
    wish.verify = false;
    void *prepared = host_prepare(&a, wish);
    assert_false(visit(sites_a, prepared));
    assert_false(visit(sites_b, prepared));
    assert_true(visit(sites_b, prepared));
    host_transport()->release(prepared);
    host_drop(&a), host_drop(&b);
}

/* Clients use a ticket of TLS 1.3 once (RFC 8446 C.4), so a resumed connection brings the next one. */
static void test_a_resumed_session_brings_a_new_ticket(void **state)
{
    weir_conf a = { 0 };
    weir_conf *sites[] = { &a, NULL };

    (void)state;
    assert_true(host_bind(&a, NULL, "a.example", "tls_certificate a.crt a.key;tls_protocols 1.3"));
    void *prepared = host_prepare(&a, wish_for("a.example"));
    assert_false(visit(sites, prepared));
    for (int hour = 0; hour < 5; hour++) { /* longer than the first ticket's key is kept */
        assert_true(visit(sites, prepared));
        host_now_ms += 3600000;
    }
    host_transport()->release(prepared);
    host_drop(&a);
}

/* A key is forgotten with its third successor. */
static void test_ticket_keys_end(void **state)
{
    weir_conf a = { 0 };
    weir_conf *sites[] = { &a, NULL };

    (void)state;
    assert_true(host_bind(&a, NULL, "a.example", "tls_certificate a.crt a.key"));
    void *old = host_prepare(&a, wish_for("a.example")), *busy = host_prepare(&a, wish_for("a.example"));
    assert_false(visit(sites, old));
    for (int hour = 0; hour < 3; hour++) {
        host_now_ms += 3600000;
        visit(sites, busy);
    }
    assert_false(visit(sites, old));
    host_transport()->release(old);
    host_transport()->release(busy);
    host_drop(&a);
}

static void test_resumed_client_certificate_is_remembered(void **state)
{
    weir_conf a = { 0 };
    weir_conf *sites[] = { &a, NULL };
    struct weir_transport_wish wish = wish_for("a.example");
    struct pair p;

    (void)state;
    assert_true(host_bind(&a, NULL, "a.example",
                          "tls_certificate a.crt a.key;tls_client_ca ca.crt;tls_verify_client on"));
    wish.certificate = (weir_str)WEIR_S("client.crt");
    wish.key = (weir_str)WEIR_S("client.key");
    void *prepared = host_prepare(&a, wish);
    assert_false(visit(sites, prepared));
    pair_open(&p, sites, prepared);
    assert_true(pair_shake(&p));
    weir_req r = { .conn = &p.conn, .site = "" };
    assert_string_equal(host_variable(&r, "tls_resumed"), "1");
    assert_string_equal(host_variable(&r, "tls_client_verify"), "SUCCESS");
    assert_string_equal(host_variable(&r, "tls_client_subject"), "CN=alice");
    host_end_request(&r);
    pair_close(&p);
    host_transport()->release(prepared);
    host_drop(&a);
}

/* -- 421 ----------------------------------------------------------------------------------------------------------- */

static const struct misdirected {
    const char *what, *other; /* settings of the site asked for; the handshake's are defaults */
    const char *site;
    bool is_refused;
} misdirected[] = {
    { "same policy", "", "b.example", false },
    { "other certificate only", "tls_certificate b.crt b.key", "b.example", false },
    { "client certificates", "tls_client_ca ca.crt;tls_verify_client on", "b.example", true },
    { "optional ones too", "tls_client_ca ca.crt;tls_verify_client optional", "b.example", true },
    { "versions", "tls_protocols 1.3", "b.example", true },
    { "no site at all is the core's 404", "tls_protocols 1.3", "", false },
};

static void test_host_with_another_policy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(misdirected) / sizeof(misdirected[0]); i++) {
        weir_conf a = { 0 }, b = { 0 };
        weir_conf *sites[] = { &a, NULL };
        struct pair p;
        assert_true(host_bind(&a, NULL, "a.example", "tls_certificate a.crt a.key"));
        assert_true(host_bind(&b, NULL, "b.example", misdirected[i].other));
        void *prepared = host_prepare(&a, wish_for("a.example"));
        pair_open(&p, sites, prepared);
        assert_true(pair_shake(&p));
        weir_req r = { .conn = &p.conn, .site = misdirected[i].site };
        assert_int_equal(host_run_hook(&r, WEIR_AT_GUARD, &a), WEIR_NEXT);
        assert_int_equal(host_run_hook(&r, WEIR_AT_GUARD, &b), misdirected[i].is_refused ? WEIR_REPLY : WEIR_NEXT);
        assert_int_equal(r.refused, misdirected[i].is_refused ? 421 : 0);
        weir_conn plain = { .sites = sites };
        weir_req over_plain = { .conn = &plain, .site = "b.example" };
        assert_int_equal(host_run_hook(&over_plain, WEIR_AT_GUARD, &b), WEIR_NEXT);
        assert_string_equal(host_variable(&over_plain, "tls_protocol"), "-");
        pair_close(&p);
        host_transport()->release(prepared);
        host_drop(&a), host_drop(&b);
    }
}

/* -- peers that do not speak TLS ----------------------------------------------------------------------------------- */

static void test_strange_first_bytes(void **state)
{
    static const struct {
        const char *sent, *why;
    } rows[] = {
        { "GET / HTTP/1.1\r\n\r\n", "the client speaks plain HTTP on a TLS port" },
        { "SSH-2.0-OpenSSH_9.2\r\n", "the peer does not speak TLS" },
        { "", "the peer closed the connection during the handshake" },
        { "\x16\x03\x01", "the peer closed the connection during the handshake" },
    };
    weir_conf a = { 0 };
    weir_conf *sites[] = { &a, NULL };

    (void)state;
    assert_true(host_bind(&a, NULL, "a.example", "tls_certificate a.crt a.key"));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        weir_conn conn = { .sites = sites };
        weir_str why = { NULL, 0 };
        int fds[2];
        make_sockets(fds);
        conn.transport = host_transport()->accept(&conn, fds[0]);
        assert_int_equal(host_transport()->handshake(conn.transport, &why), WEIR_IO_WANT_READ);
        assert_int_equal(write(fds[1], rows[i].sent, strlen(rows[i].sent)), strlen(rows[i].sent));
        close(fds[1]);
        assert_int_equal(host_transport()->handshake(conn.transport, &why), WEIR_IO_ERROR);
        assert_int_equal(why.n, strlen(rows[i].why));
        assert_memory_equal(why.p, rows[i].why, why.n);
        host_transport()->close(conn.transport);
        close(fds[0]);
    }
    host_drop(&a);
}

static void test_handshake_given_up_is_counted_once(void **state)
{
    weir_conf a = { 0 };
    weir_conf *sites[] = { &a, NULL };
    int64_t failed = host_counts[1], done = host_counts[0];
    int fds[2];

    (void)state;
    assert_true(host_bind(&a, NULL, "a.example", "tls_certificate a.crt a.key"));
    weir_conn conn = { .sites = sites };
    make_sockets(fds);
    conn.transport = host_transport()->accept(&conn, fds[0]);
    assert_int_equal(host_transport()->handshake(conn.transport, NULL), WEIR_IO_WANT_READ);
    host_transport()->close(conn.transport);
    assert_int_equal(host_counts[1] - failed, 1);
    assert_int_equal(host_counts[0] - done, 0);
    close(fds[0]), close(fds[1]);
    host_drop(&a);
}

/* A connection outlives the configuration it was shaken hands under. */
static void test_connection_outlives_its_snapshot(void **state)
{
    const struct weir_transport *t = host_transport();
    weir_conf a = { 0 };
    weir_conf *sites[] = { &a, NULL };
    weir_str hello = WEIR_S("hello");
    char room[8];
    weir_span span = { room, sizeof(room) };
    struct pair p;

    (void)state;
    assert_true(host_bind(&a, NULL, "a.example", "tls_certificate a.crt a.key"));
    void *prepared = host_prepare(&a, wish_for("a.example"));
    pair_open(&p, sites, prepared);
    assert_true(pair_shake(&p));
    t->release(prepared);
    host_drop(&a);
    assert_int_equal(t->writev(p.client, &hello, 1), 5);
    assert_int_equal(t->readv(p.server, &span, 1), 5);
    assert_int_equal(t->writev(p.server, &hello, 1), 5);
    assert_int_equal(t->readv(p.client, &span, 1), 5);
    assert_memory_equal(room, "hello", 5);
    pair_close(&p);
}

/* -- little memory ------------------------------------------------------------------------------------------------- */

static void visit_if_possible(weir_conf *const *sites, void *prepared)
{
    const struct weir_transport *t = host_transport();
    weir_str hello = WEIR_S("hello");
    char room[8];
    weir_span span = { room, sizeof(room) };
    weir_conn conn = { .sites = sites };
    int server = WEIR_IO_WANT_READ, client = WEIR_IO_WANT_READ, fds[2];
    void *origin;

    make_sockets(fds);
    conn.transport = t->accept(&conn, fds[0]);
    origin = t->open(prepared, fds[1]);
    for (int turn = 0; conn.transport != NULL && origin != NULL && turn < 6; turn++) {
        if (client == WEIR_IO_WANT_READ)
            client = t->handshake(origin, NULL);
        if (server == WEIR_IO_WANT_READ)
            server = t->handshake(conn.transport, NULL);
    }
    if (server == 1 && client == 1) {
        t->writev(conn.transport, &hello, 1);
        t->readv(origin, &span, 1);
        t->shutdown(origin);
        t->readv(conn.transport, &span, 1);
    }
    if (conn.transport != NULL)
        t->close(conn.transport);
    if (origin != NULL)
        t->close(origin);
    close(fds[0]), close(fds[1]);
}

static void test_every_allocation_may_fail(void **state)
{
    weir_conf a = { 0 };
    weir_conf *sites[] = { &a, NULL };
    bool was_reached = true;

    (void)state;
    host_now_ms = 0;
    assert_true(host_bind(&a, NULL, "a.example", "tls_certificate internal"));
    struct weir_transport_wish wish = wish_for("a.example");
    wish.ca_file = (weir_str)WEIR_S("state/ca.crt");
    void *prepared = host_prepare(&a, wish);
    assert_false(visit(sites, prepared));
    uint64_t before = host_openssl_bytes;
    for (uint64_t n = 2; was_reached; n += n < 200 ? 1 : 5) {
        host_fail_after = n;
        visit_if_possible(sites, prepared);
        was_reached = host_fail_after == 1;
        host_fail_after = 0;
    }
    visit(sites, prepared);
    assert_in_range(host_openssl_bytes, before / 2, before * 2); /* sessions differ in size */
    host_transport()->release(prepared);
    host_drop(&a);
}

/* -- workers ------------------------------------------------------------------------------------------------------- */

struct shared {
    weir_conf *const *sites;
    void *prepared;
    uint32_t failures;
};

static void *work(void *arg)
{
    struct shared *shared = arg;

    for (int i = 0; i < 40; i++) {
        struct pair p;
        pair_open(&p, shared->sites, shared->prepared);
        if (!pair_shake(&p))
            __atomic_add_fetch(&shared->failures, 1, __ATOMIC_RELAXED);
        pair_close(&p);
    }
    return NULL;
}

/* Contexts, tickets, sessions and leaves are shared by all workers; ThreadSanitizer is the judge of this one. */
static void test_workers_share(void **state)
{
    weir_conf a = { 0 };
    weir_conf *sites[] = { &a, NULL };
    struct shared shared = { .sites = sites };
    pthread_t threads[3];

    (void)state;
    host_now_ms = 0;
    assert_true(host_bind(&a, NULL, "a.example", "tls_certificate internal"));
    struct weir_transport_wish wish = wish_for("a.example");
    wish.ca_file = (weir_str)WEIR_S("state/ca.crt");
    shared.prepared = host_prepare(&a, wish);
    int64_t done = host_counts[0];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &shared), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(shared.failures, 0);
    assert_int_equal(host_counts[0] - done, 120);
    host_transport()->release(shared.prepared);
    host_drop(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_judges_the_server),
        cmocka_unit_test(test_server_name_chooses_the_site),
        cmocka_unit_test(test_no_server_name_takes_the_only_site),
        cmocka_unit_test(test_agreements),
        cmocka_unit_test(test_client_role_offers_protocols),
        cmocka_unit_test(test_client_certificates),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_resumption_does_not_cross_certificates),
        cmocka_unit_test(test_a_resumed_session_brings_a_new_ticket),
        cmocka_unit_test(test_ticket_keys_end),
        cmocka_unit_test(test_resumed_client_certificate_is_remembered),
        cmocka_unit_test(test_host_with_another_policy),
        cmocka_unit_test(test_strange_first_bytes),
        cmocka_unit_test(test_handshake_given_up_is_counted_once),
        cmocka_unit_test(test_connection_outlives_its_snapshot),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_workers_share),
    };
    int rc;

    host_start();
    rc = cmocka_run_group_tests_name("tls handshake", tests, setup, NULL);
    host_stop();
    return rc;
}
