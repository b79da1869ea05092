/* SPDX-License-Identifier: BSD-2-Clause */
/* crasher.c: a module that crashes where it is told to, for the tests of quarantine. Built by them, once a place:
 *
 *     -DAT_<STAGE>   one hook there, such as AT_GUARD; or AT_VARIABLE, AT_TIMER, AT_THREAD_TIMER, AT_JOB, AT_THREAD_UP
 *     -DFLAGS=...    of that hook, such as WEIR_FAIL_OPEN
 *     -DREVISION=n   another build of the same
 *
 * A request tells it with the field X-Crash: "segv" in its own code, "abort" in libc. Where there is no request, each
 * line of the file $WEIR_CRASHER says one crash, and is taken off before. */
#include <weir/weir.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef FLAGS
#define FLAGS 0
#endif
#ifndef REVISION
#define REVISION 0
#endif

struct conf { bool is_on; };

__attribute__((used)) static const int revision = REVISION;

static void crash(weir_str how)
{
    volatile int *volatile nowhere = NULL;

    if (how.n == 5 && memcmp(how.p, "abort", 5) == 0)
        abort();
    if (how.n)
        *nowhere = 1;
}

/* -- where there is a request -------------------------------------------------------------------------------------- */

__attribute__((unused)) static weir_verdict on_request(weir_req *r, const void *conf, void *ctx)
{
    (void)conf;
    (void)ctx;
    crash(weir_req_get(r, WEIR_S("X-Crash")));
    return WEIR_NEXT;
}

__attribute__((unused)) static weir_verdict on_bytes(weir_flow *flow, weir_chain *in, weir_chain *out, uint32_t how)
{
    (void)how;
    crash(weir_req_get(weir_flow_req(flow), WEIR_S("X-Crash")));
    weir_pass(in, out, weir_size(in));
    return WEIR_NEXT;
}

__attribute__((unused)) static int get_value(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    (void)rest;
#ifdef AT_VARIABLE
    on_request(r, conf, ctx);
#else
    (void)r;
    (void)conf;
    (void)ctx;
#endif
    *value = WEIR_S("calm");
    return 0;
}

__attribute__((unused)) static void on_timer(weir_req *r, void *token)
{
    on_request(r, NULL, NULL);
    weir_resume(*(weir_token *)token, WEIR_NEXT);
}

__attribute__((unused)) static weir_verdict start_timer(weir_req *r, const void *conf, void *ctx)
{
    weir_token *token = weir_alloc(r, sizeof(*token));

    (void)conf;
    (void)ctx;
    if (!token)
        return WEIR_FAIL;
    *token = weir_suspend(r, 5000, WEIR_FAIL);
    return weir_timer_start(r, 1, on_timer, token) ? WEIR_SUSPEND : WEIR_FAIL;
}

struct work {
    weir_token token;
    char how[8];
    size_t n;
};

static void work(void *arg)
{
    struct work *w = arg;

    crash((weir_str){ w->how, w->n });
    weir_resume(w->token, WEIR_NEXT);
}

__attribute__((unused)) static weir_verdict start_job(weir_req *r, const void *conf, void *ctx)
{
    static const struct weir_job_calls calls = { .work = work, .drop = free };
    struct work *w = calloc(1, sizeof(*w));
    weir_str how = weir_req_get(r, WEIR_S("X-Crash"));

    (void)conf;
    (void)ctx;
    if (!w)
        return WEIR_FAIL;
    w->n = how.n < sizeof(w->how) ? how.n : sizeof(w->how);
    if (w->n)
        memcpy(w->how, how.p, w->n);
    w->token = weir_suspend(r, 5000, WEIR_FAIL);
    return weir_job(r, &calls, w) == 0 ? WEIR_SUSPEND : WEIR_FAIL;
}

/* -- where there is none ------------------------------------------------------------------------------------------- */

static void crash_if_told(void)
{
    char line[16];
    const char *path = getenv("WEIR_CRASHER");
    FILE *file = path ? fopen(path, "r+") : NULL;

    if (!file)
        return;
    bool is_told = fseek(file, -2, SEEK_END) == 0 && fgets(line, sizeof(line), file);
    if (is_told && ftruncate(fileno(file), ftell(file) - 2) == 0)
        crash(WEIR_S("segv"));
    fclose(file);
}

__attribute__((unused)) static weir_verdict on_connection(weir_conn *c, const void *conf, void *ctx)
{
    (void)c;
    (void)conf;
    (void)ctx;
    crash_if_told();
    return WEIR_NEXT;
}

__attribute__((unused)) static void on_thread_timer(weir_mod *mod, void *arg)
{
    (void)mod;
    (void)arg;
    crash_if_told();
}

__attribute__((unused)) static int thread_up(weir_mod *mod, void *slot)
{
    (void)slot;
#ifdef AT_THREAD_TIMER
    return weir_thread_timer(mod, 10, on_thread_timer, NULL) ? 0 : -1;
#else
    (void)mod;
    crash_if_told();
    return 0;
#endif
}

/* -- balancer ------------------------------------------------------------------------------------------------------ */

__attribute__((unused)) static int32_t pick(void *state, const void *conf, weir_req *r, const weir_table *servers)
{
    (void)state;
    (void)servers;
    on_request(r, conf, NULL);
    return 0;
}

__attribute__((unused)) static const struct weir_balancer balancer = { .name = "crasher", .pick = pick };

/* -- what it offers ------------------------------------------------------------------------------------------------ */

static const struct weir_hook hooks[] = {
#if defined(AT_ACCEPT)
    { .stage = WEIR_AT_ACCEPT, .flags = FLAGS, .conn = on_connection },
#elif defined(AT_PREFACE)
    { .stage = WEIR_AT_PREFACE, .flags = FLAGS, .conn = on_connection },
#elif defined(AT_IDENTIFY)
    { .stage = WEIR_AT_IDENTIFY, .flags = FLAGS, .req = on_request },
#elif defined(AT_GUARD)
    { .stage = WEIR_AT_GUARD, .flags = FLAGS, .req = on_request },
#elif defined(AT_AUTH)
    { .stage = WEIR_AT_AUTH, .flags = FLAGS, .req = on_request },
#elif defined(AT_REWRITE)
    { .stage = WEIR_AT_REWRITE, .flags = FLAGS, .req = on_request },
#elif defined(AT_SERVE)
    { .stage = WEIR_AT_SERVE, .flags = FLAGS, .req = on_request },
#elif defined(AT_REQ_BODY)
    { .stage = WEIR_AT_REQ_BODY, .flags = FLAGS | WEIR_ENGAGED, .bytes = on_bytes },
#elif defined(AT_BALANCE)
    { .stage = WEIR_AT_BALANCE, .flags = FLAGS, .balance = &balancer },
#elif defined(AT_UP_HEAD)
    { .stage = WEIR_AT_UP_HEAD, .flags = FLAGS, .req = on_request },
#elif defined(AT_UP_RSP)
    { .stage = WEIR_AT_UP_RSP, .flags = FLAGS, .req = on_request },
#elif defined(AT_STORE)
    { .stage = WEIR_AT_STORE, .flags = FLAGS | WEIR_ENGAGED, .bytes = on_bytes },
#elif defined(AT_RSP_HEAD)
    { .stage = WEIR_AT_RSP_HEAD, .flags = FLAGS, .req = on_request },
#elif defined(AT_TRANSFORM)
    { .stage = WEIR_AT_TRANSFORM, .flags = FLAGS | WEIR_ENGAGED, .bytes = on_bytes },
#elif defined(AT_ENCODE)
    { .stage = WEIR_AT_ENCODE, .flags = FLAGS | WEIR_ENGAGED, .bytes = on_bytes },
#elif defined(AT_LOG)
    { .stage = WEIR_AT_LOG, .flags = FLAGS, .req = on_request },
#elif defined(AT_TIMER)
    { .stage = WEIR_AT_GUARD, .flags = FLAGS, .req = start_timer },
#elif defined(AT_JOB)
    { .stage = WEIR_AT_GUARD, .flags = FLAGS, .req = start_job },
#else
    { .stage = WEIR_AT_LOG, .flags = WEIR_FAIL_OPEN, .req = on_request },
#endif
};

static const struct weir_variable variables[] = {
    { .name = "crasher_value", .doc = "calm", .get = get_value },
};

static int check(weir_conf *c, void *scope)
{
    (void)c;
    return ((const struct conf *)scope)->is_on ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
}

static const struct weir_directive directives[] = {
    WEIR_DIR(struct conf, is_on, FLAG, "crasher", WEIR_IN_HTTP, "off", "may crash here"),
};

WEIR_MODULE(crasher, .version = "1.0.0", .license = "BSD-2-Clause", .summary = "crashes where it is told to",
            .conf_size = sizeof(struct conf), .directives = WEIR_TABLE(directives), .hooks = WEIR_TABLE(hooks),
            .variables = WEIR_TABLE(variables), .check = check,
#if defined(AT_THREAD_UP) || defined(AT_THREAD_TIMER)
            .thread_up = thread_up
#endif
);
