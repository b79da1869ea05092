/* SPDX-License-Identifier: BSD-2-Clause */
/* test_jwt.c: tokens: the examples of RFC 7515 and RFC 8037, forgeries, what claims must say, and key files. */
#include <weir-harness.h> /* before cmocka.h, whose macros take the names of SDK functions */

#include "claims.h"
#include "jwk.h"
#include "pattern.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(Array) (sizeof(Array) / sizeof((Array)[0]))

/* RFC 7515 A.1, A.2, A.3; RFC 8037 A.4 */
static const char hs256[] =
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA"
    "6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
static const char rs256[] =
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9"
    "pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Q"
    "c_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARN"
    "PvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6I"
    "eYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
static const char es256[] =
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9"
    "pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqP"
    "P3-Kg6NU1Q";
static const char eddsa[] =
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AI"
    "bQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

#define OCT_K "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
#define RSA_N \
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4Ql" \
    "L-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUs" \
    "LA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoud" \
    "F8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define ED_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

#define OCT_KEY "{\"kty\":\"oct\",\"k\":\"" OCT_K "\"}"
#define RSA_KEY "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AQAB\"}"
#define EC_KEY "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}"
#define ED_KEY "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\"}"
#define SET(Keys) "{\"keys\":[" Keys "]}"
#define ALL SET(OCT_KEY "," RSA_KEY "," EC_KEY "," ED_KEY)
#define SECRET "a secret of thirty-two bytes now" /* 32 */

static weir_str text_of(const char *text)
{
    return (weir_str){ text, strlen(text) };
}

static void *keys_of(const char *content, bool is_set)
{
    char why[WHY_MOST] = "";
    void *keys = (is_set ? key_set_read : key_read)(text_of(content), why);

    if (!keys)
        fail_msg("%s", why);
    return keys;
}

static const char *verify(const void *keys, const char *token)
{
    struct jws jws;
    const char *why = jws_read(&jws, text_of(token));

    if (why)
        return why;
    why = keys_verify(keys, &jws);
    jws_end(&jws);
    return why;
}

/* -- making tokens ------------------------------------------------------------------------------------------------- */

static void encode(const void *bytes, size_t n, char *to)
{
    char text[16 * 1024];
    size_t length = (size_t)EVP_EncodeBlock((unsigned char *)text, bytes, (int)n);

    while (length && text[length - 1] == '=')
        length--;
    for (size_t i = 0; i < length; i++)
        to[i] = text[i];
    for (size_t i = 0; i < length; i++)
        to[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    to[length] = '\0';
}

static const char *signed_with(const void *secret, size_t n, const char *header, const char *claims)
{
    static char token[32 * 1024];
    unsigned char mac[32];

    encode(header, strlen(header), token);
    strcat(token, ".");
    encode(claims, strlen(claims), token + strlen(token));
    HMAC(EVP_sha256(), secret, (int)n, (unsigned char *)token, strlen(token), mac, NULL);
    strcat(token, ".");
    encode(mac, sizeof(mac), token + strlen(token));
    return token;
}

static const char *made(const char *header, const char *claims)
{
    return signed_with(SECRET, strlen(SECRET), header, claims);
}

/* -- signatures ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *token, *key;
} examples[] = { { hs256, OCT_KEY }, { rs256, RSA_KEY }, { es256, EC_KEY }, { eddsa, ED_KEY } };

static void examples_of_the_standards_verify(void **state)
{
    (void)state;
    void *all = keys_of(ALL, true);
    for (size_t i = 0; i < COUNT(examples); i++) {
        char set[4096];
        assert_null(verify(all, examples[i].token));
        snprintf(set, sizeof(set), "{\"keys\":[%s]}", examples[i].key);
        void *one = keys_of(set, true);
        for (size_t k = 0; k < COUNT(examples); k++)
            assert_true((verify(one, examples[k].token) == NULL) == (k == i));
        keys_free(one);
    }
    keys_free(all);
}

/* Each character of each token, another one in its place. */
static void what_was_changed_does_not_verify(void **state)
{
    (void)state;
    void *all = keys_of(ALL, true);
    for (size_t i = 0; i < COUNT(examples); i++) {
        char token[2048];
        size_t n = strlen(examples[i].token);
        for (size_t at = 0; at < n; at++) {
            snprintf(token, sizeof(token), "%s", examples[i].token);
            token[at] = token[at] == 'A' ? 'B' : 'A';
            if (!verify(all, token))
                fail_msg("example %zu with another character at %zu", i, at);
        }
        for (size_t cut = 0; cut < n; cut++) {
            snprintf(token, sizeof(token), "%.*s", (int)cut, examples[i].token);
            assert_non_null(verify(all, token));
        }
        snprintf(token, sizeof(token), "%sA", examples[i].token);
        assert_non_null(verify(all, token));
    }
    keys_free(all);
}

#define CLAIMS "eyJpc3MiOiJqb2UifQ"

static const struct {
    const char *token, *why;
} malformed[] = {
    { "", "three parts" },
    { "..", "three parts" },
    { "e30." CLAIMS ".", "three parts" },
    { "e30." CLAIMS, "three parts" },
    { "e30." CLAIMS ".AA.AA", "three parts" },
    { "e30..AA", "three parts" },
    { "e30." CLAIMS ".A", "signature is not base64url" },
    { "e30." CLAIMS ".AB", "signature is not base64url" },
    { "e30." CLAIMS ".AA==", "signature is not base64url" },
    { "e30=." CLAIMS ".AA", "part of it is not base64url" },
    { "e3+0." CLAIMS ".AA", "part of it is not base64url" },
    { "e30." CLAIMS ".AA", "its algorithm" },
    { "W10." CLAIMS ".AA", "not a JSON object" },
    { "bnVsbA." CLAIMS ".AA", "not JSON" },
    { "e317fQ." CLAIMS ".AA", "not JSON" },
};

static const struct {
    const char *header, *why;
} headers[] = {
    { "{\"alg\":\"HS256\"}", NULL },
    { "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"any\"}", NULL },
    { "{\"alg\":\"none\"}", "its algorithm" },
    { "{\"alg\":\"NONE\"}", "its algorithm" },
    { "{\"alg\":\"\"}", "its algorithm" },
    { "{\"alg\":\"hs256\"}", "its algorithm" },
    { "{\"alg\":\"HS512\"}", "its algorithm" },
    { "{\"alg\":[\"HS256\"]}", "its algorithm" },
    { "{\"alg\":\"HS256\\u0000\"}", "not JSON" },
    { "{\"typ\":\"JWT\"}", "its algorithm" },
    { "{\"alg\":\"RS256\"}", "no key" },
    { "{\"alg\":\"ES256\"}", "no key" },
    { "{\"alg\":\"EdDSA\"}", "no key" },
    { "{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "twice" },
    { "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "crit" },
    { "{\"alg\":\"HS256\",\"crit\":null}", "crit" },
    { "{\"alg\":\"HS256\",\"kid\":7}", "kid" },
    { "{\"alg\":\"HS256\",\"x\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", "too deep" },
    { "{\"alg\":\"HS256\",\"x\":\"[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"}", NULL },
};

static void expect(const char *what, const char *why, const char *expected)
{
    if (!expected != !why || (why && !strstr(why, expected)))
        fail_msg("%s: %s, expected %s", what, why ? why : "fine", expected ? expected : "fine");
}

static void tokens_are_read_strictly(void **state)
{
    (void)state;
    void *secret = keys_of(SECRET, false), *all = keys_of(ALL, true);
    char *large = malloc(TOKEN_MOST + 2);
    for (size_t i = 0; i < COUNT(malformed); i++)
        expect(malformed[i].token, verify(all, malformed[i].token), malformed[i].why);
    for (size_t i = 0; i < COUNT(headers); i++)
        expect(headers[i].header, verify(secret, made(headers[i].header, "{}")), headers[i].why);
    assert_non_null(large);
    memset(large, 'A', TOKEN_MOST + 1);
    large[TOKEN_MOST + 1] = '\0';
    expect("large", verify(all, large), "longer than 8 KiB");
    large[TOKEN_MOST] = '\0';
    expect("as large as may be", verify(all, large), "three parts");
    free(large);
    keys_free(secret);
    keys_free(all);
}

/* The oldest forgery: what everybody knows, the public key, taken for the secret. */
static void public_keys_are_never_secrets(void **state)
{
    static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                              "-----END PUBLIC KEY-----\n";
    (void)state;
    void *key = keys_of(pem, false), *set = keys_of(SET(RSA_KEY "," EC_KEY "," ED_KEY), true);
    assert_null(verify(key, eddsa));
    expect("pem", verify(key, signed_with(pem, strlen(pem), "{\"alg\":\"HS256\"}", "{}")), "no key");
    expect("json", verify(set, signed_with(RSA_KEY, strlen(RSA_KEY), "{\"alg\":\"HS256\"}", "{}")), "no key");
    expect("n", verify(set, signed_with(RSA_N, strlen(RSA_N), "{\"alg\":\"HS256\"}", "{}")), "no key");
    expect("nothing", verify(set, signed_with("", 0, "{\"alg\":\"HS256\"}", "{}")), "no key");
    keys_free(key);
    keys_free(set);
}

static void the_kid_chooses(void **state)
{
    static const char set[] =
        SET("{\"kty\":\"oct\",\"kid\":\"one\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"},"
            "{\"kty\":\"oct\",\"kid\":\"two\",\"k\":\"" OCT_K "\"}," EC_KEY);
    static const char zeros[32];
    (void)state;
    void *keys = keys_of(set, true);
    assert_null(verify(keys, signed_with(zeros, 32, "{\"alg\":\"HS256\",\"kid\":\"one\"}", "{}")));
    expect("other", verify(keys, signed_with(zeros, 32, "{\"alg\":\"HS256\",\"kid\":\"two\"}", "{}")), "signature");
    expect("none", verify(keys, signed_with(zeros, 32, "{\"alg\":\"HS256\"}", "{}")), "several would do");
    expect("path", verify(keys, signed_with(zeros, 32, "{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}", "{}")),
           "no key");
    expect("empty", verify(keys, signed_with(zeros, 32, "{\"alg\":\"HS256\",\"kid\":\"\"}", "{}")), "no key");
    expect("more", verify(keys, signed_with(zeros, 32, "{\"alg\":\"HS256\",\"kid\":\"one \"}", "{}")), "no key");
    assert_null(verify(keys, es256)); /* without a kid, but the only one of its type */
    keys_free(keys);
}

/* -- key files ----------------------------------------------------------------------------------------------------- */

static const struct {
    bool is_set;
    const char *content, *why;
} files[] = {
    { false, SECRET, NULL },
    { false, SECRET "\n", NULL },
    { false, "a secret of thirty-one bytes no", "at least 32 bytes" },
    { false, "a secret of thirty-one bytes no\n", "at least 32 bytes" },
    { false, "", "at least 32 bytes" },
    { false, " " SET(RSA_KEY), "jwks=" },
    { false, "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQDk me@here", "not in PEM" },
    { false, "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n", "no public key" },
    { false, "junk\n-----BEGIN CERTIFICATE-----\nMCow\n-----END CERTIFICATE-----\n", "no public key" },
    { true, ALL, NULL },
    { true, SECRET, "not JSON" },
    { true, "[]", "not a JSON object" },
    { true, RSA_KEY, "\"keys\" is missing" },
    { true, SET(""), "no key in it" },
    { true, SET("7"), "is no object" },
    { true, SET("{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AA\",\"y\":\"AA\"}"), "no key in it" },
    { true, SET("{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AA\",\"y\":\"AA\"}," ED_KEY), NULL },
    { true, SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_X "\"}"), "broken" },
    { true, SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\"}"), "broken" },
    { true, SET("{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AQ\"}"), "broken" },
    { true, SET("{\"kty\":\"RSA\",\"n\":\"" EC_X "\",\"e\":\"AQAB\"}"), "2048" },
    { true, SET("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}"), "broken" },
    { true, SET("{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}"), "32 to 1024" },
    { true, SET("{\"kty\":\"oct\",\"alg\":\"RS256\",\"k\":\"" OCT_K "\"}"), "no key in it" },
    { true, SET("{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"" OCT_K "\"}"), "no key in it" },
    { true, SET("{\"kty\":\"oct\",\"key_ops\":[\"sign\"],\"k\":\"" OCT_K "\"}"), "no key in it" },
    { true, SET("{\"kty\":\"oct\",\"use\":\"sig\",\"alg\":\"HS256\",\"key_ops\":[\"sign\",\"verify\"],\"k\":\"" OCT_K
                "\"}"), NULL },
    { true, SET("{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"" OCT_K "\"},{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"" OCT_K
                "\"}"), "the same kid" },
    { true, SET("{\"kty\":\"oct\",\"kty\":\"oct\",\"k\":\"" OCT_K "\"}"), "twice" },
};

static void key_files_are_read_strictly(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        char why[WHY_MOST] = "";
        void *keys = (files[i].is_set ? key_set_read : key_read)(text_of(files[i].content), why);
        expect(files[i].content, keys ? NULL : why, files[i].why);
        keys_free(keys);
    }
}

/* -- claims -------------------------------------------------------------------------------------------------------- */

enum { NOW = 1700000000 };

static const weir_str audience[] = { { "one", 3 }, { "two", 3 } };
static const weir_str asked[] = { { "role:admin", 10 }, { "level:7", 7 } };
static const struct claim_rules plain = { 0 }, late = { .leeway = 5000 }, named = { .issuer = { "idp", 3 } },
                                ours = { .audience = WEIR_TABLE(audience) }, admins = { .claims = WEIR_TABLE(asked) };

static const struct {
    const struct claim_rules *rules;
    const char *claims, *why;
} sayings[] = {
    { &plain, "{}", NULL },
    { &plain, "{\"exp\":1700000001}", NULL },
    { &plain, "{\"exp\":1700000000.5}", NULL },
    { &plain, "{\"exp\":1700000000}", "expired" },
    { &plain, "{\"exp\":1699999999}", "expired" },
    { &plain, "{\"exp\":-1}", "expired" },
    { &plain, "{\"exp\":\"1700000001\"}", "no number" },
    { &plain, "{\"exp\":null}", "no number" },
    { &late, "{\"exp\":1699999996}", NULL },
    { &late, "{\"exp\":1699999995}", "expired" },
    { &plain, "{\"nbf\":1700000000}", NULL },
    { &plain, "{\"nbf\":1700000001}", "not valid yet" },
    { &plain, "{\"nbf\":[1]}", "no number" },
    { &late, "{\"nbf\":1700000005}", NULL },
    { &late, "{\"nbf\":1700000006}", "not valid yet" },
    { &plain, "{\"sub\":7}", "sub" },
    { &named, "{\"iss\":\"idp\"}", NULL },
    { &named, "{\"iss\":\"idp2\"}", "issuer" },
    { &named, "{\"iss\":[\"idp\"]}", "issuer" },
    { &named, "{}", "issuer" },
    { &plain, "{\"aud\":\"one\"}", "audience" },
    { &ours, "{\"aud\":\"two\"}", NULL },
    { &ours, "{\"aud\":[\"zero\",\"one\"]}", NULL },
    { &ours, "{\"aud\":[\"zero\"]}", "audience" },
    { &ours, "{\"aud\":[]}", "audience" },
    { &ours, "{\"aud\":{\"one\":1}}", "audience" },
    { &ours, "{}", "audience" },
    { &admins, "{\"role\":\"admin\",\"level\":7}", NULL },
    { &admins, "{\"role\":[\"user\",\"admin\"],\"level\":\"7\"}", NULL },
    { &admins, "{\"role\":\"admin\",\"level\":70}", "claim" },
    { &admins, "{\"role\":\"admins\",\"level\":7}", "claim" },
    { &admins, "{\"role\":\"admin\"}", "claim" },
    { &admins, "{}", "claim" },
};

static void claims_must_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sayings); i++) {
        const char *why = NULL;
        json_t *claims = object_read(text_of(sayings[i].claims), &why);
        assert_non_null(claims);
        expect(sayings[i].claims, claims_check(claims, sayings[i].rules, NOW * 1000ULL), sayings[i].why);
        json_decref(claims);
    }
}

/* -- patterns ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *pattern, *text;
    bool is_match, is_list;
} patterns[] = {
    { "CN=ann", "CN=ann", true, false },       { "CN=ann", "CN=anna", false, false },
    { "CN=*,O=Home", "CN=ann,O=Home", true, false },
    { "CN=*,O=Home", "CN=ann\\,O=Home", false, false }, /* one name with a comma in it */
    { "CN=*,O=Home", "CN=ann\\\\,O=Home", true, false },
    { "*", "", true, false },                  { "*", "CN=*", true, false },
    { "CN=\\*", "CN=\\*", true, false },       { "a*b*c", "a--b--b--c", true, false },
    { "a*b*c", "a--b--b--", false, false },    { "*a", "aaab", false, false },
    { "DNS:*.home", "DNS:x.home", true, true }, { "DNS:*.home", "IP:::1,DNS:x.home", true, true },
    { "DNS:*.home", "DNS:x.home,IP:::1", true, true },
    { "DNS:*.home", "DNS:x,URI:http://y/.home", false, true },
    { "DNS:x.home", "URI:a\\,DNS:x.home", false, true },
    { "DNS:x.home", "", false, true },
};

static void patterns_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(patterns); i++) {
        bool (*matches)(weir_str, weir_str) = patterns[i].is_list ? pattern_matches_any : pattern_matches;
        if (matches(text_of(patterns[i].pattern), text_of(patterns[i].text)) != patterns[i].is_match)
            fail_msg("%s and %s", patterns[i].pattern, patterns[i].text);
    }
}

/* -- the module ---------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    return (*state = harness_open("auth")) ? 0 : -1;
}

static int tear_down(void **state)
{
    harness_close(*state);
    return 0;
}

static struct harness_scope *bind(struct harness *h, struct harness_scope *outer, const char *statements)
{
    struct harness_scope *scope = harness_bind(h, outer, outer ? WEIR_IN_SITE : WEIR_IN_TOP, statements);

    if (!scope)
        fail_msg("%s", harness_errors(h));
    return scope;
}

#define HEADER "{\"alg\":\"HS256\"}"
#define CLAIMED(Rest) HEADER, "{\"sub\":\"ann\"" Rest "}"

/* The harness's clock says 1767226600. */
static const struct {
    const char *before, *header, *claims, *behind;
    bool is_let_in, is_told_why;
} requests[] = {
    { "Authorization: Bearer ", CLAIMED(""), "", true, false },
    { "Authorization: bEARER  ", CLAIMED(",\"exp\":1767226601,\"nbf\":1767226600"), " ", true, false },
    { "Authorization: Bearer ", CLAIMED(",\"exp\":1767226599"), "", false, true },
    { "Authorization: Bearer ", CLAIMED(",\"nbf\":1767226601"), "", false, true },
    { "Authorization: Bearer ", CLAIMED(",\"sub\":\"root\""), "", false, true },
    { "Authorization: Bearer ", HEADER, "[]", "", false, true },
    { "Authorization: Bearer ", "{\"alg\":\"none\"}", "{}", "", false, true },
    { "Cookie: a=b; session=", CLAIMED(""), "; c=d", true, false },
    { "Cookie: session=", CLAIMED(""), "\nCookie: session=x", false, true },
    { "Cookie: other=", CLAIMED(""), "", false, false },
    { "Authorization: Basic eDp5\nAuthorization: Bearer ", CLAIMED(""), "", false, true },
    { "Authorization: Bearer x.y.z\nAuthorization: Bearer ", CLAIMED(""), "", false, true },
    { "Authorization: Bearer", CLAIMED(""), "", false, false },
    { "X-Nothing: ", CLAIMED(""), "", false, false },
};

static void requests_show_tokens(void **state)
{
    char fields[8192];

    harness_set_file(*state, "/secret", SECRET "\n");
    struct harness_scope *scope = bind(*state, NULL, "auth jwt key=/secret cookie=session realm=x;");
    for (size_t i = 0; i < COUNT(requests); i++) {
        snprintf(fields, sizeof(fields), "%s%s%s\nRemote-User: root\n", requests[i].before,
                 made(requests[i].header, requests[i].claims), requests[i].behind);
        weir_req *r = harness_request(*state, scope, "GET", "/", fields);
        weir_verdict verdict = harness_run(r, WEIR_AT_AUTH);
        weir_str user = weir_req_get(r, WEIR_S("Remote-User"));
        weir_str challenge = weir_rsp_get(r, WEIR_S("WWW-Authenticate"));
        if ((verdict == WEIR_SKIP) != requests[i].is_let_in)
            fail_msg("request %zu: %s", i, harness_refuse_reason(r));
        assert_int_equal(user.n, requests[i].is_let_in ? 3 : 0);
        if (requests[i].is_let_in)
            continue;
        assert_int_equal(weir_status(r), 401);
        assert_string_equal(challenge.p, requests[i].is_told_why ? "Bearer realm=\"x\", error=\"invalid_token\""
                                                                 : "Bearer realm=\"x\"");
        harness_end(r);
    }
}

/* Whatever fails, nobody comes in who should not. */
static void every_allocation_may_fail(void **state)
{
    char fields[2048];

    harness_set_file(*state, "/secret", SECRET);
    struct harness_scope *scope = bind(*state, NULL, "auth jwt key=/secret;");
    snprintf(fields, sizeof(fields), "Authorization: Bearer %s\n", made(CLAIMED(",\"exp\":1")));
    for (size_t n = 1, failed = 1; failed; n++) {
        weir_req *r = harness_request(*state, scope, "GET", "/", fields);
        harness_fail_allocation(*state, n);
        assert_int_not_equal(harness_run(r, WEIR_AT_AUTH), WEIR_SKIP);
        failed = harness_has_failed(*state);
        harness_fail_allocation(*state, 0);
        harness_end(r);
    }
}

/* Nothing of the outer scope's options is left, whatever the kinds are. */
static void each_statement_says_everything(void **state)
{
    char fields[2048];

    harness_set_file(*state, "/secret", SECRET);
    harness_set_file(*state, "/set", ALL);
    harness_set_file(*state, "/users", "ann:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\n");
    struct harness_scope *outer =
        bind(*state, NULL, "auth jwt jwks=/set claim=a:b audience=us issuer=idp cookie=c leeway=10m;");
    struct harness_scope *inner = bind(*state, outer, "auth jwt key=/secret;");
    snprintf(fields, sizeof(fields), "Authorization: Bearer %s\n", made(CLAIMED("")));
    weir_req *r = harness_request(*state, inner, "GET", "/", fields);
    assert_int_equal(harness_run(r, WEIR_AT_AUTH), WEIR_SKIP);
    snprintf(fields, sizeof(fields), "Authorization: Bearer %s\n", made(CLAIMED(",\"exp\":1767226500")));
    r = harness_request(*state, inner, "GET", "/", fields);
    assert_int_equal(harness_run(r, WEIR_AT_AUTH), WEIR_REPLY);
    r = harness_request(*state, bind(*state, outer, "auth basic /users;"), "GET", "/",
                        "Authorization: Basic YW5uOm15UGFzc3dvcmQ=\n");
    assert_int_equal(harness_run(r, WEIR_AT_AUTH), WEIR_SUSPEND);
    harness_run_jobs(*state);
    assert_int_equal(harness_settle(r), WEIR_SKIP);
    bind(*state, bind(*state, outer, "auth cert subject=CN=a;"), "auth off;");
    bind(*state, bind(*state, bind(*state, NULL, "auth basic /users;"), "auth cert;"), "auth jwt key=/secret;");
}

static void certificates_are_matched(void **state)
{
    static const struct {
        const char *verify, *subject, *issuer, *san;
        bool is_let_in;
    } clients[] = {
        { "SUCCESS", "CN=ann,O=Home", "CN=ca", "DNS:a.home,DNS:b.home", true },
        { "SUCCESS", "CN=ann,O=Work", "CN=ca", "DNS:a.home", false },
        { "SUCCESS", "CN=ann,O=Home", "CN=other", "DNS:a.home", false },
        { "SUCCESS", "CN=ann,O=Home", "CN=ca", "DNS:a.work", false },
        { "SUCCESS", "CN=ann,O=Home", "CN=ca", NULL, false },
        { "FAILED:self-signed certificate", "CN=ann,O=Home", "CN=ca", "DNS:a.home", false },
        { "NONE", NULL, NULL, NULL, false },
        { NULL, NULL, NULL, NULL, false },
    };
    struct harness_scope *scope = bind(*state, NULL, "auth cert subject=CN=*,O=Home issuer=CN=ca san=DNS:*.home;");

    for (size_t i = 0; i < COUNT(clients); i++) {
        harness_set_variable(*state, "tls_client_verify", clients[i].verify);
        harness_set_variable(*state, "tls_client_subject", clients[i].subject);
        harness_set_variable(*state, "tls_client_issuer", clients[i].issuer);
        harness_set_variable(*state, "tls_client_san", clients[i].san);
        weir_req *r = harness_request(*state, scope, "GET", "/", NULL);
        assert_true((harness_run(r, WEIR_AT_AUTH) == WEIR_SKIP) == clients[i].is_let_in);
        assert_int_equal(weir_status(r), clients[i].is_let_in ? 0 : 403);
        harness_end(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_standards_verify),
        cmocka_unit_test(what_was_changed_does_not_verify),
        cmocka_unit_test(tokens_are_read_strictly),
        cmocka_unit_test(public_keys_are_never_secrets),
        cmocka_unit_test(the_kid_chooses),
        cmocka_unit_test(key_files_are_read_strictly),
        cmocka_unit_test(claims_must_hold),
        cmocka_unit_test(patterns_match),
        cmocka_unit_test_setup_teardown(requests_show_tokens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_statement_says_everything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(certificates_are_matched, set_up, tear_down),
    };
    if (jwk_load() != 0)
        return 1;
    return cmocka_run_group_tests_name("jwt", tests, NULL, NULL);
}
