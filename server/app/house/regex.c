/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/house/regex.h"

#include <pthread.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct regex {
    pcre2_code *code;
    pcre2_match_context *limits;
};

static void regex_free(void *arg)
{
    struct regex *regex = arg;

    pcre2_match_context_free(regex->limits);
    pcre2_code_free(regex->code);
}

struct regex *regex_compile(str pattern, struct arena *arena, str *why, size_t *offset)
{
    struct regex *regex = arena_new(arena, struct regex);
    char message[256];
    int error;

    *offset = 0;
    *why = S("no memory");
    if (!regex || !arena_on_reset(arena, regex_free, regex))
        return NULL;
    regex->code = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, 0, &error, offset, NULL);
    if (!regex->code) {
        int n = pcre2_get_error_message(error, (PCRE2_UCHAR *)message, sizeof(message));
        *why = arena_str(arena, (str){ message, n > 0 ? (size_t)n : 0 });
        return NULL;
    }
    regex->limits = pcre2_match_context_create(NULL);
    if (!regex->limits)
        return NULL;
    pcre2_set_match_limit(regex->limits, REGEX_STEPS);
    pcre2_set_heap_limit(regex->limits, REGEX_HEAP_KIB);
    /* Where the system forbids writable code, the interpreter does the work. */
    (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
    return regex;
}

/* -- what a thread needs to match ---------------------------------------------------------------------------------- */

static pthread_key_t match_key;
static pthread_once_t match_once = PTHREAD_ONCE_INIT;
static _Thread_local pcre2_match_data *match_data;

static void match_data_free(void *arg)
{
    pcre2_match_data_free(arg);
}

static void match_key_create(void)
{
    (void)pthread_key_create(&match_key, match_data_free);
}

static pcre2_match_data *match_data_of_thread(void)
{
    if (match_data)
        return match_data;
    pthread_once(&match_once, match_key_create);
    match_data = pcre2_match_data_create(1, NULL);
    if (match_data)
        pthread_setspecific(match_key, match_data);
    return match_data;
}

enum regex_answer regex_match(const struct regex *regex, str subject)
{
    pcre2_match_data *data = match_data_of_thread();

    if (!data)
        return REGEX_GAVE_UP;
    int rc = pcre2_match(regex->code, (PCRE2_SPTR)(subject.p ? subject.p : ""), subject.n, 0, 0, data, regex->limits);
    if (rc >= 0)
        return REGEX_YES;
    return rc == PCRE2_ERROR_NOMATCH ? REGEX_NO : REGEX_GAVE_UP;
}
