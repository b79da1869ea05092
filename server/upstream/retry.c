/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/retry.h"

#include "base/clock.h"

enum { WINDOW_MS = 10 * 1000, ALWAYS = 10 };

/* -- binding ------------------------------------------------------------------------------------------------------- */

static unsigned class_of_name(str name)
{
    static const struct {
        str name;
        unsigned class;
    } classes[] = { { { "connect", 7 }, RETRY_CONNECT }, { { "timeout", 7 }, RETRY_TIMEOUT },
                    { { "502", 3 }, RETRY_502 }, { { "503", 3 }, RETRY_503 }, { { "504", 3 }, RETRY_504 } };

    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (str_equal(classes[i].name, name))
            return classes[i].class;
    return 0;
}

static bool read_percent(str text, uint64_t *percent)
{
    return text.n > 1 && text.p[text.n - 1] == '%' && str_to_u64(str_upto(text, text.n - 1), percent) &&
           *percent <= 100;
}

bool retry_bind(struct binder *binder, const struct retry_conf *conf, const struct statement *statement,
                struct retry_rules *rules)
{
    const char *at = conf->on.base;
    bool fine = true;

    *rules = (struct retry_rules){ .is_set = true, .attempts = conf->attempts };
    for (uint32_t i = 0; i < conf->on.count; i++, at += conf->on.stride) {
        str name = *(const weir_str *)(const void *)at;
        unsigned class = class_of_name(name);
        if (!class) {
            diag_error(binder->diags, statement_place(statement), S("on=connect,timeout,502,503,504"),
                       "retry: \"%.*s\" is nothing to retry on", STR_ARG(name));
            fine = false;
        }
        rules->on |= class;
    }
    if (!read_percent(conf->budget, &rules->percent)) {
        diag_error(binder->diags, statement_place(statement), S("budget=20%"),
                   "retry: \"%.*s\" is no part of the requests", STR_ARG(conf->budget));
        fine = false;
    }
    return fine;
}

enum retry_class retry_class_of(int status)
{
    return status == 502 ? RETRY_502 : status == 503 ? RETRY_503 : status == 504 ? RETRY_504 : (enum retry_class)0;
}

/* -- the budget ---------------------------------------------------------------------------------------------------- */

static void renew(struct retry_budget *budget)
{
    uint64_t now = clock_ms(), from = atomic_load_explicit(&budget->window_from, memory_order_relaxed);

    if (now < from + WINDOW_MS || !atomic_compare_exchange_strong(&budget->window_from, &from, now))
        return;
    atomic_store_explicit(&budget->requests, 0, memory_order_relaxed);
    atomic_store_explicit(&budget->retries, 0, memory_order_relaxed);
}

void retry_count_request(struct retry_budget *budget)
{
    renew(budget);
    atomic_fetch_add_explicit(&budget->requests, 1, memory_order_relaxed);
}

bool retry_take(struct retry_budget *budget, const struct retry_rules *rules)
{
    renew(budget);
    uint64_t allowed = atomic_load_explicit(&budget->requests, memory_order_relaxed) * rules->percent / 100;
    uint32_t before = atomic_fetch_add_explicit(&budget->retries, 1, memory_order_relaxed);
    if (before < (allowed > ALWAYS ? allowed : ALWAYS))
        return true;
    atomic_fetch_sub_explicit(&budget->retries, 1, memory_order_relaxed);
    return false;
}
