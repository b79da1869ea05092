/* SPDX-License-Identifier: BSD-2-Clause */
/* basic.c: a name and a password with each request (RFC 7617).
 *
 * Hashes are slow on purpose, so they are verified on the job pool, and what was verified is remembered for some
 * minutes: under a keyed hash, not as it came. Who fails is answered later and later, then not at all for a while. */
#include "auth.h"
#include "htpasswd.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    CREDENTIALS_MOST = 1024,         /* after decoding */
    KEY = 32,
    REMEMBER_MS = 5 * 60 * 1000,
    FAILURE_WINDOW_MS = 60 * 1000,
    FAILURES_FREE = 3,               /* mistyped: answered at once */
    FAILURES_MOST = 30,              /* guessed: 429 until the window is over */
    DELAY_MOST_MS = 8000,
    VERIFY_MS = 30 * 1000,
    JOBS_MOST = 64,                  /* waiting or at work; more would only wait longer than clients do */
    TABLE_BYTES = 4 * 1024 * 1024,
};

struct attempt {
    weir_req *r;
    struct ctx *ctx;
    char name[NAME_MOST + 1], password[PASSWORD_MOST + 1], hash[HASH_MOST];
    unsigned char proof[KEY];
    bool exists, fits;
};

static weir_dict *verified, *failures;
static unsigned char key[KEY];
static atomic_uint jobs;

int basic_load(weir_mod *mod)
{
    verified = weir_dict_open(mod, "verified", TABLE_BYTES, 0);
    failures = weir_dict_open(mod, "failures", TABLE_BYTES, 0);
    if (!verified || !failures || RAND_bytes(key, sizeof(key)) != 1)
        return weir_mod_error(mod, "no memory, or no random bytes");
    return 0;
}

/* -- credentials --------------------------------------------------------------------------------------------------- */

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* RFC 4648 4, its padding included; the length, or -1. */
static int decode(weir_str text, char *to, size_t room)
{
    size_t n = 0, digits = text.n;
    uint32_t bits = 0;

    while (digits > 0 && text.p[digits - 1] == '=' && text.n - digits < 2)
        digits--;
    if (text.n % 4 || text.n / 4 * 3 > room || digits % 4 == 1)
        return -1;
    for (size_t i = 0; i < digits; i++) {
        int digit = digit_of(text.p[i]);
        if (digit < 0)
            return -1;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 == 0)
            continue;
        to[n++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    return (int)n;
}

static bool is_basic(weir_str value)
{
    static const char scheme[] = "basic ";

    for (size_t i = 0; i < sizeof(scheme) - 1; i++)
        if (i >= value.n || (value.p[i] | 0x20) != (scheme[i] | 0x20))
            return false;
    return true;
}

/* Name and password out of the field; false: there are none that could be right. */
static bool read_credentials(weir_req *r, struct attempt *attempt)
{
    weir_str value = weir_req_get(r, WEIR_S("Authorization"));
    char text[CREDENTIALS_MOST + 3];

    if (!is_basic(value))
        return false;
    value = (weir_str){ value.p + 6, value.n - 6 };
    while (value.n && value.p[0] == ' ')
        value = (weir_str){ value.p + 1, value.n - 1 };
    int n = decode(value, text, CREDENTIALS_MOST);
    const char *colon = n > 0 ? memchr(text, ':', (size_t)n) : NULL;
    size_t name = colon ? (size_t)(colon - text) : 0, password = colon ? (size_t)n - name - 1 : 0;
    bool fine = colon && name && name <= NAME_MOST && password <= PASSWORD_MOST && !memchr(text, '\0', (size_t)n);

    if (fine) {
        memcpy(attempt->name, text, name);
        memcpy(attempt->password, colon + 1, password);
    }
    OPENSSL_cleanse(text, sizeof(text));
    return fine;
}

/* Stands for name, password and the hash they fit: another hash in the file, and nothing is remembered any more. */
static void prove(struct attempt *attempt)
{
    unsigned char text[NAME_MOST + PASSWORD_MOST + HASH_MOST + 3];
    size_t n = 0;

    for (const char *at = attempt->name; *at; at++)
        text[n++] = (unsigned char)*at;
    text[n++] = 0;
    for (const char *at = attempt->password; *at; at++)
        text[n++] = (unsigned char)*at;
    text[n++] = 0;
    for (const char *at = attempt->hash; *at; at++)
        text[n++] = (unsigned char)*at;
    HMAC(EVP_sha256(), key, sizeof(key), text, n, attempt->proof, NULL);
    OPENSSL_cleanse(text, sizeof(text));
}

static weir_str proof_of(const struct attempt *attempt)
{
    return (weir_str){ (const char *)attempt->proof, sizeof(attempt->proof) };
}

static bool is_remembered(const struct attempt *attempt)
{
    char one;
    size_t n;

    return attempt->exists && weir_dict_get(verified, proof_of(attempt), (weir_span){ &one, 1 }, &n) == 0;
}

/* -- who fails ----------------------------------------------------------------------------------------------------- */

/* IPv6 by its /64: within one, addresses are free. */
static weir_str client_key(weir_req *r, uint8_t room[16])
{
    static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

    weir_client_address(r, room);
    return (weir_str){ (const char *)room, memcmp(room, mapped, sizeof(mapped)) == 0 ? 16 : 8 };
}

static uint64_t count_failures(weir_req *r, int64_t more)
{
    uint8_t room[16];
    uint64_t sum = 0;

    if (weir_dict_add(failures, client_key(r, room), more, FAILURE_WINDOW_MS, &sum) != 0)
        return 0;
    return sum;
}

static uint64_t delay_after(uint64_t failed)
{
    uint64_t delay = 250;

    for (; failed > FAILURES_FREE && delay < DELAY_MOST_MS; failed--)
        delay *= 2;
    return delay < DELAY_MOST_MS ? delay : DELAY_MOST_MS;
}

static weir_verdict challenge(weir_req *r, const struct conf *conf, const char *reason)
{
    if (!weir_is_dry(r))
        weir_count(r, METRIC_REFUSED, 1);
    weir_rsp_set(r, WEIR_S("WWW-Authenticate"), conf->challenge);
    return weir_refuse(r, 401, reason);
}

static void on_delay_over(weir_req *r, void *ctx_)
{
    struct ctx *ctx = ctx_;

    weir_resume(ctx->token, challenge(r, ctx->conf, "wrong name or password"));
}

/* A suspension is under way: after the first few failures its end waits, too. */
static void fail_later(weir_req *r, struct ctx *ctx)
{
    uint64_t failed = count_failures(r, 1);

    if (failed <= FAILURES_FREE || !weir_timer_start(r, delay_after(failed), on_delay_over, ctx)) {
        on_delay_over(r, ctx);
        return;
    }
    weir_count(r, METRIC_DELAYED, 1);
}

/* -- verifying ----------------------------------------------------------------------------------------------------- */

static void work(void *arg)
{
    struct attempt *attempt = arg;

    attempt->fits = password_fits(attempt->password, attempt->hash);
}

static void done(weir_req *r, void *arg)
{
    struct attempt *attempt = arg;
    struct ctx *ctx = attempt->ctx;

    if (!attempt->exists || !attempt->fits) {
        fail_later(r, ctx);
        return;
    }
    weir_dict_put(verified, proof_of(attempt), WEIR_S("1"), REMEMBER_MS);
    weir_resume(ctx->token, auth_admit(r, ctx, weir_printf(r, "%s", attempt->name)));
}

static void drop(void *arg)
{
    atomic_fetch_sub(&jobs, 1);
    OPENSSL_cleanse(arg, sizeof(struct attempt));
    free(arg);
}

static weir_verdict verify(weir_req *r, struct ctx *ctx, const struct attempt *attempt)
{
    static const struct weir_job_calls calls = { .work = work, .done = done, .drop = drop };
    struct attempt *copy = NULL;

    if (atomic_fetch_add(&jobs, 1) < JOBS_MOST && (copy = malloc(sizeof(*copy)))) {
        *copy = *attempt;
        ctx->token = weir_suspend(r, VERIFY_MS + DELAY_MOST_MS, WEIR_FAIL);
        if (weir_job(r, &calls, copy) == 0)
            return WEIR_SUSPEND;
        OPENSSL_cleanse(copy, sizeof(*copy));
        free(copy);
    }
    atomic_fetch_sub(&jobs, 1);
    weir_count(r, METRIC_UNAVAILABLE, 1);
    weir_rsp_set(r, WEIR_S("Retry-After"), WEIR_S("1"));
    return weir_refuse(r, 503, "too many passwords to verify");
}

weir_verdict basic_decide(weir_req *r, const struct conf *conf, struct ctx *ctx)
{
    struct attempt attempt = { .r = r, .ctx = ctx };
    weir_verdict verdict;

    if (!read_credentials(r, &attempt))
        return challenge(r, conf, "no name and password");
    attempt.exists = passwords_find(conf->passwords, (weir_str){ attempt.name, strlen(attempt.name) }, attempt.hash);
    prove(&attempt);
    if (is_remembered(&attempt)) {
        verdict = auth_admit(r, ctx, weir_printf(r, "%s", attempt.name));
    } else if (weir_is_dry(r)) {
        verdict = WEIR_SUSPEND; /* it depends on the password */
    } else if (count_failures(r, 0) >= FAILURES_MOST) {
        weir_count(r, METRIC_REFUSED, 1);
        weir_rsp_set(r, WEIR_S("Retry-After"), WEIR_S("60"));
        verdict = weir_refuse(r, 429, "too many wrong passwords");
    } else {
        verdict = verify(r, ctx, &attempt);
    }
    OPENSSL_cleanse(&attempt, sizeof(attempt));
    return verdict;
}

/* -- configuration ------------------------------------------------------------------------------------------------- */

int basic_check(weir_conf *c, struct conf *conf)
{
    char why[WHY_MOST];
    weir_str content;

    if (!auth_quote(c, conf, "Basic realm=", ", charset=\"UTF-8\"", &conf->challenge))
        return -1;
    if (weir_conf_read_file(c, conf->path, &content) != 0)
        return -1;
    if (!(conf->passwords = passwords_open(conf->path.p, content, why)))
        return weir_conf_error_at(c, &conf->place, "%.*s: %s", (int)conf->path.n, conf->path.p, why);
    return 0;
}
