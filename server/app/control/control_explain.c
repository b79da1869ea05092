/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/control/control_explain.h"

#include "app/control/control_answer.h"
#include "app/house/explain.h"
#include "base/mem.h"
#include "http/uri.h"
#include "loop/worker.h"

enum { MEMORY_MOST = 4 * 1024 * 1024 };

struct control_explain {
    struct message message;
    struct arena *arena; /* it lies in it too */
    struct explain_question question;
    bool as_text;
    int status;
    struct out answer;
    void (*done)(void *arg, int status, struct out *answer); /* NULL: nobody waits */
    void *arg;
};

static const char *read_query(struct control_explain *explain, str query)
{
    str pair;

    while (query.n && str_split(&query, '&', &pair)) {
        size_t equals = str_find(pair, '=');
        str value = uri_decode(str_from(pair, equals + 1), explain->arena);
        if (!value.p || !explain_ask(&explain->question, str_upto(pair, equals), value))
            return "method=, url= and client= once, header=NAME:VALUE up to 32 times, percent-encoded";
    }
    return explain_check(&explain->question, explain->arena);
}

/* Back on the main thread. */
static void on_answer(struct message *message)
{
    struct control_explain *explain = list_entry(message, struct control_explain, message);
    struct out answer = explain->answer;

    if (explain->done)
        explain->done(explain->arg, explain->status, &answer);
    else
        mem_free(answer.p);
    arena_destroy(explain->arena);
}

static void on_worker(struct message *message)
{
    struct control_explain *explain = list_entry(message, struct control_explain, message);
    struct explanation explanation;
    const char *why = explain_run(&explain->question, explain->arena, &explanation);

    explain->status = why ? 503 : 200;
    if (why)
        answer_make(&explain->answer, answer_error, why);
    else if (!answer_make(&explain->answer, explain->as_text ? explanation_write_text : explanation_write_json,
                          &explanation))
        explain->status = 0;
    message->run = on_answer;
    server_post_main(message);
}

struct control_explain *control_explain_begin(str query, bool as_text,
                                              void (*done)(void *arg, int status, struct out *answer), void *arg,
                                              const char **why)
{
    struct arena *arena = arena_create(16 * 1024, MEMORY_MOST);
    struct control_explain *explain = arena ? arena_new(arena, struct control_explain) : NULL;

    *why = "no memory";
    if (explain) {
        *explain = (struct control_explain){ .message = { .run = on_worker }, .arena = arena, .as_text = as_text,
                                             .done = done, .arg = arg };
        *why = read_query(explain, query);
    }
    if (*why) {
        arena_destroy(arena);
        return NULL;
    }
    server_post_worker(&explain->message);
    return explain;
}

/* Worker and main both look at it, but at `done` only main does. */
void control_explain_forget(struct control_explain *explain)
{
    explain->done = NULL;
}
