/* SPDX-License-Identifier: BSD-2-Clause */
/* test_tls_conf.c: what check() says of directives and files, and the local CA over loads, reloads and months. */
#include "test_host.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct recipe recipes[] = {
    { .name = "ca", .subject = "Test CA", .is_ca = true, .last_day = 100 },
    { .name = "a", .subject = "a.example", .names = "DNS:a.example,DNS:*.a.example", .issuer = "ca", .last_day = 50 },
    { .name = "a2", .subject = "a.example", .names = "DNS:a.example", .issuer = "ca", .last_day = 50 },
    { .name = "rsa", .subject = "a.example", .names = "DNS:a.example", .issuer = "ca", .rsa = true, .last_day = 50 },
    { .name = "old", .subject = "old", .names = "DNS:a.example", .issuer = "ca", .first_day = -9, .last_day = -1 },
    { .name = "new", .subject = "a.example", .names = "DNS:a.example", .issuer = "ca", .first_day = 9, .last_day = 20 },
};

static void append(const char *to, const char *from)
{
    char text[8192];
    FILE *in = fopen(in_dir(from), "r"), *out = fopen(in_dir(to), "a");
    size_t n = fread(text, 1, sizeof(text), in);

    assert_true(n > 0 && fwrite(text, 1, n, out) == n);
    fclose(in);
    fclose(out);
}

static int setup(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *file;

    (void)state;
    for (size_t i = 0; i < sizeof(recipes) / sizeof(recipes[0]); i++)
        make_certificate(&recipes[i]);
    append("chain.crt", "a.crt");
    append("chain.crt", "ca.crt");
    append("upside-down.crt", "ca.crt");
    append("upside-down.crt", "a.crt");
    write_text("empty.pem", "");
    write_text("text.pem", "not what it says\n");
    write_text("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    file = fopen(in_dir("locked.key"), "w");
    PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), (unsigned char *)"secret", 6, NULL, NULL);
    fclose(file);
    EVP_PKEY_free(key);
    return 0;
}

/* -- messages ------------------------------------------------------------------------------------------------------ */

#define LOCKED "error: key DIR/locked.key: is encrypted; write a plain one with \"openssl pkey -in DIR/locked.key\"\n"
#define NEEDS_KEY \
    "error: tls_certificate needs the key too: tls_certificate CERT KEY; (or tls_certificate internal;)\n"

static const struct {
    const char *names, *statements, *said; /* DIR stands for the folder */
} rows[] = {
    { "a.example", "tls_certificate a.crt a.key", "" },
    { "a.example", "tls_certificate a.crt a.key;tls_certificate rsa.crt rsa.key", "" },
    { "a.example", "tls_certificate chain.crt a.key", "" },
    { "x.a.example", "tls_certificate a.crt a.key", "" },
    { "*.a.example", "tls_certificate a.crt a.key", "" },
    { "b.example a.example", "tls_certificate a.crt a.key", "" },
    { "_", "tls_certificate a.crt a.key", "" },
    { "", "tls_certificate a.crt a.key", "" },
    { "b.example", "tls_certificate a.crt a.key",
      "warning: certificate DIR/a.crt: is for none of the site's names (b.example); clients will refuse it\n" },
    { "*.b.example b.example", "tls_certificate a.crt a.key",
      "warning: certificate DIR/a.crt: is for none of the site's names (*.b.example, ...); clients will refuse it\n" },
    { "a.example", "tls_certificate missing.crt a.key", "error: DIR/missing.crt: No such file or directory\n" },
    { "a.example", "tls_certificate a.crt missing.key", "error: DIR/missing.key: No such file or directory\n" },
    { "a.example", "tls_certificate a.crt rsa.key",
      "error: key DIR/rsa.key: does not belong to certificate DIR/a.crt\n" },
    { "a.example", "tls_certificate upside-down.crt a.key",
      "error: key DIR/a.key: does not belong to certificate DIR/upside-down.crt; the file's first certificate must be "
      "the site's own\n" },
    { "a.example", "tls_certificate a.key a.key",
      "error: certificate DIR/a.key: holds none, PEM (BEGIN CERTIFICATE) is expected\n" },
    { "a.example", "tls_certificate a.crt a.crt",
      "error: key DIR/a.crt: holds none, PEM (BEGIN PRIVATE KEY) is expected\n" },
    { "a.example", "tls_certificate empty.pem a.key",
      "error: certificate DIR/empty.pem: holds none, PEM (BEGIN CERTIFICATE) is expected\n" },
    { "a.example", "tls_certificate a.crt locked.key", LOCKED },
    { "a.example", "tls_certificate a.crt", NEEDS_KEY },
    { "a.example", "tls_certificate a.crt a.key;tls_certificate a2.crt a2.key",
      "error: certificate DIR/a2.crt: a second one with a key of kind id-ecPublicKey in this scope; one RSA and one "
      "ECDSA can stand together\n" },
    { "a.example", "tls_certificate internal;tls_certificate a.crt a.key",
      "error: tls_certificate internal stands alone in its scope; remove the others\n" },
    { "a.example", "tls_certificate a.crt a.key;tls_ciphers AES128-NONSENSE",
      "error: cipher \"AES128-NONSENSE\" is not known; \"openssl ciphers -v\" lists names\n" },
    { "a.example", "tls_certificate a.crt a.key;tls_ciphers TLS_NONSENSE:ECDHE-RSA-AES128-GCM-SHA256",
      "error: cipher \"TLS_NONSENSE\" is not known; \"openssl ciphers -v\" lists names\n" },
    { "a.example", "tls_certificate a.crt a.key;tls_ciphers HIGH:!aNULL:@STRENGTH:TLS_AES_256_GCM_SHA384", "" },
    { "a.example", "tls_certificate a.crt a.key;tls_verify_client on",
      "error: tls_verify_client needs to know whose certificates are valid: tls_client_ca FILE;\n" },
    { "a.example", "tls_certificate a.crt a.key;tls_verify_client on;tls_client_ca missing.pem",
      "error: DIR/missing.pem: No such file or directory\n" },
    { "a.example", "tls_certificate a.crt a.key;tls_verify_client on;tls_client_ca text.pem",
      "error: CA file DIR/text.pem: holds no certificate, PEM (BEGIN CERTIFICATE) is expected\n" },
};

static const char *expected(const char *said)
{
    static char text[1024];
    char *to = text;

    for (const char *p = said; *p != 0;) {
        if (strncmp(p, "DIR", 3) == 0) {
            to += sprintf(to, "%s", host_dir);
            p += 3;
        } else {
            *to++ = *p++;
        }
    }
    *to = 0;
    return text;
}

static void test_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        weir_conf c = { 0 };
        bool ok = host_bind(&c, NULL, rows[i].names, rows[i].statements);
        assert_string_equal(c.said, expected(rows[i].said));
        assert_int_equal(ok, strncmp(rows[i].said, "error", 5) != 0);
        assert_int_equal(c.offers_tls, ok);
        host_drop(&c);
    }
}

static void test_dates_are_warned_of(void **state)
{
    weir_conf c = { 0 };

    (void)state;
    assert_true(host_bind(&c, NULL, "a.example", "tls_certificate old.crt old.key"));
    assert_non_null(strstr(c.said, "old.crt: expired on 20"));
    host_drop(&c);
    assert_true(host_bind(&c, NULL, "a.example", "tls_certificate new.crt new.key"));
    assert_non_null(strstr(c.said, "new.crt: is not valid before 20"));
    host_drop(&c);
}

static void test_broken_pem_is_named(void **state)
{
    weir_conf c = { 0 };

    (void)state;
    assert_false(host_bind(&c, NULL, "a.example", "tls_certificate broken.pem a.key"));
    assert_non_null(strstr(c.said, "broken.pem: cannot be read: "));
    host_drop(&c);
    assert_false(host_bind(&c, NULL, "a.example", "tls_verify_client on;tls_client_ca broken.pem"));
    assert_non_null(strstr(c.said, "broken.pem: certificate 1 cannot be read: "));
    host_drop(&c);
}

static void test_origin_messages(void **state)
{
    static const struct {
        struct weir_transport_wish wish;
        const char *said;
    } wishes[] = {
        { { .verify = true, .ca_file = WEIR_S("missing.pem") }, "error: DIR/missing.pem: No such file or directory\n" },
        { { .verify = true, .ca_file = WEIR_S("empty.pem") },
          "error: CA file DIR/empty.pem: holds no certificate, PEM (BEGIN CERTIFICATE) is expected\n" },
        { { .certificate = WEIR_S("a.crt"), .key = WEIR_S("rsa.key") },
          "error: key DIR/rsa.key: does not belong to certificate DIR/a.crt\n" },
        { { .certificate = WEIR_S("a.crt") },
          "error: a certificate to show to the server needs both files, certificate and key\n" },
        { { .alpn = WEIR_S("h2,,http/1.1") }, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        weir_conf c = { 0 };
        assert_null(host_prepare(&c, wishes[i].wish));
        if (wishes[i].said != NULL)
            assert_string_equal(c.said, expected(wishes[i].said));
        assert_true(strncmp(c.said, "error: ", 7) == 0);
        host_drop(&c);
    }
}

static void test_a_ca_file_is_read_once_until_it_changes(void **state)
{
    weir_conf first = { 0 }, second = { 0 }, third = { 0 };
    const char *text = "tls_verify_client on;tls_client_ca shared.pem";

    (void)state;
    append("shared.pem", "ca.crt");
    host_files_read = 0;
    assert_true(host_bind(&first, NULL, "a.example", text));
    assert_true(host_bind(&second, NULL, "b.example", text));
    assert_int_equal(host_files_read, 1);
    append("shared.pem", "a.crt");
    assert_true(host_bind(&third, NULL, "c.example", text));
    assert_int_equal(host_files_read, 2);
    host_drop(&first), host_drop(&second), host_drop(&third);
    assert_true(host_bind(&first, NULL, "a.example", text));
    assert_int_equal(host_files_read, 3); /* nobody held it any more */
    host_drop(&first);
}

static void test_the_systems_ca_certificates(void **state)
{
    weir_conf c = { 0 };

    (void)state;
    struct weir_transport_wish wish = { .verify = true, .server_name = WEIR_S("a.example") };
    void *prepared = host_prepare(&c, wish);
    assert_non_null(prepared);
    assert_string_equal(c.said, "");
    host_transport()->release(prepared);
    host_drop(&c);
}

/* -- the local CA -------------------------------------------------------------------------------------------------- */

static X509 *root_on_disk(void)
{
    FILE *file = fopen(in_dir("state/ca.crt"), "r");
    X509 *root = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

    if (file != NULL)
        fclose(file);
    return root;
}

static void remove_ca(void)
{
    unlink(in_dir("state/ca.crt"));
    unlink(in_dir("state/ca.key"));
}

static X509 *leaf_for(weir_conf *site, const char *name)
{
    weir_conf *sites[] = { site, NULL };
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *client = SSL_new(ctx);
    struct pair p;

    if (name[0] != 0)
        SSL_set_tlsext_host_name(client, name);
    if (!raw_shake(&p, sites, client))
        fail_msg("%s", p.server_why);
    X509 *leaf = SSL_get1_peer_certificate(client);
    pair_close(&p);
    SSL_free(client);
    SSL_CTX_free(ctx);
    return leaf;
}

static int64_t days_left(const X509 *leaf)
{
    ASN1_TIME *now = ASN1_TIME_set(NULL, time(NULL) + (time_t)(host_now_ms / 1000));
    int days = 0, seconds = 0;

    assert_int_equal(ASN1_TIME_diff(&days, &seconds, now, X509_get0_notAfter(leaf)), 1);
    ASN1_TIME_free(now);
    return days;
}

static void test_internal_certificates_are_verified_with_the_root(void **state)
{
    static const char *const names[] = { "home.example", "x.home.example", "localhost", "127.0.0.1", "::1" };
    weir_conf site = { 0 };
    struct weir_transport_wish wish = { .verify = true, .ca_file = WEIR_S("state/ca.crt") };

    (void)state;
    remove_ca();
    assert_true(host_bind(&site, NULL, "home.example *.home.example _", "tls_certificate internal"));
    assert_string_equal(site.said, "");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        weir_conf *sites[] = { &site, NULL };
        struct pair p;
        wish.server_name = (weir_str){ names[i], strlen(names[i]) };
        void *prepared = host_prepare(&site, wish);
        assert_non_null(prepared);
        pair_open(&p, sites, prepared);
        if (!pair_shake(&p))
            fail_msg("%s: %s", names[i], p.client_why);
        pair_close(&p);
        host_transport()->release(prepared);
    }
    host_drop(&site);
}

static void test_the_root_is_kept(void **state)
{
    weir_conf site = { 0 };
    struct stat st;

    (void)state;
    remove_ca();
    assert_true(host_bind(&site, NULL, "home.example", "tls_certificate internal"));
    X509 *root = root_on_disk(), *again;
    assert_non_null(root);
    assert_int_equal(stat(in_dir("state/ca.key"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(X509_check_ca(root) == 1);
    host_drop(&site); /* the last user is gone: the next bind reads the files, as a new process would */
    assert_true(host_bind(&site, NULL, "home.example", "tls_certificate internal"));
    again = root_on_disk();
    X509 *leaf = leaf_for(&site, "home.example");
    assert_int_equal(X509_cmp(root, again), 0);
    assert_int_equal(X509_verify(leaf, X509_get0_pubkey(root)), 1);
    host_drop(&site);
    X509_free(root), X509_free(again), X509_free(leaf);
}

static void test_a_rehearsal_writes_nothing(void **state)
{
    weir_conf first = { .rehearsal = true }, second = { .rehearsal = true };

    (void)state;
    remove_ca();
    assert_true(host_bind(&first, NULL, "home.example", "tls_certificate internal"));
    assert_true(host_bind(&second, NULL, "other.example", "tls_certificate internal"));
    assert_null(root_on_disk());
    host_drop(&first), host_drop(&second);
}

static void test_a_damaged_ca_is_an_error(void **state)
{
    weir_conf site = { 0 };

    (void)state;
    remove_ca();
    assert_true(host_bind(&site, NULL, "home.example", "tls_certificate internal"));
    host_drop(&site);
    unlink(in_dir("state/ca.key"));
    assert_false(host_bind(&site, NULL, "home.example", "tls_certificate internal"));
    assert_string_equal(site.said, expected("error: the local CA is incomplete: DIR/state/ca.key is missing; bring it "
                                            "back or remove DIR/state/ca.crt to get a new one\n"));
    host_drop(&site);
    append("state/ca.key", "a.key");
    assert_false(host_bind(&site, NULL, "home.example", "tls_certificate internal"));
    assert_non_null(strstr(site.said, "do not belong together"));
    host_drop(&site);
    remove_ca();
}

static void test_leaves_are_renewed_while_running(void **state)
{
    weir_conf site = { 0 };

    (void)state;
    remove_ca();
    host_now_ms = 0;
    assert_true(host_bind(&site, NULL, "home.example", "tls_certificate internal"));
    X509 *first = leaf_for(&site, "home.example"), *same = leaf_for(&site, "home.example"), *renewed;
    assert_int_equal(X509_cmp(first, same), 0);
    assert_in_range(days_left(first), 89, 90);
    host_now_ms = 59ull * 86400000;
    X509_free(same);
    same = leaf_for(&site, "home.example");
    assert_int_equal(X509_cmp(first, same), 0);
    host_now_ms = 61ull * 86400000;
    renewed = leaf_for(&site, "home.example");
    assert_int_not_equal(X509_cmp(first, renewed), 0);
    assert_in_range(days_left(renewed), 89, 90);
    host_now_ms = 0;
    host_drop(&site);
    X509_free(first), X509_free(same), X509_free(renewed);
}

/* At top level there are no names: each name asked for gets its own certificate, and the store of them is bounded. */
static void test_internal_at_top_level(void **state)
{
    weir_conf top = { 0 };

    (void)state;
    remove_ca();
    assert_true(host_bind(&top, NULL, "", "tls_certificate internal"));
    assert_true(top.offers_tls);
    top.names[0] = "_"; /* a site that shares the top level's settings */
    top.name_count = 1;
    for (int i = 0; i < 150; i++) {
        char name[32];
        snprintf(name, sizeof(name), "host%d.example", i % 75);
        X509 *leaf = leaf_for(&top, name);
        assert_int_equal(X509_check_host(leaf, name, 0, 0, NULL), 1);
        assert_int_equal(X509_check_host(leaf, "other.example", 0, 0, NULL), 0);
        X509_free(leaf);
    }
    X509 *nameless = leaf_for(&top, "");
    assert_int_equal(X509_check_ip_asc(nameless, "127.0.0.1", 0), 1);
    X509_free(nameless);
    host_drop(&top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_dates_are_warned_of),
        cmocka_unit_test(test_broken_pem_is_named),
        cmocka_unit_test(test_origin_messages),
        cmocka_unit_test(test_a_ca_file_is_read_once_until_it_changes),
        cmocka_unit_test(test_the_systems_ca_certificates),
        cmocka_unit_test(test_internal_certificates_are_verified_with_the_root),
        cmocka_unit_test(test_the_root_is_kept),
        cmocka_unit_test(test_a_rehearsal_writes_nothing),
        cmocka_unit_test(test_a_damaged_ca_is_an_error),
        cmocka_unit_test(test_leaves_are_renewed_while_running),
        cmocka_unit_test(test_internal_at_top_level),
    };
    int rc;

    host_start();
    rc = cmocka_run_group_tests_name("tls configuration", tests, setup, NULL);
    host_stop();
    return rc;
}
