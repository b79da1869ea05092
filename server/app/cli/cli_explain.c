/* SPDX-License-Identifier: BSD-2-Clause */
/* cli_explain.c: what a request would meet, asked of the running server, or of a file without one. */
#include "app/cli/cli.h"

#include "app/control/control_answer.h"
#include "app/control/control_client.h"
#include "app/control/json.h"
#include "app/house/configuration.h"
#include "app/house/explain.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "pipeline/session.h"

static int complain(const char *why)
{
    fprintf(stderr, "weir: explain: %s\n", why);
    return CLI_USAGE;
}

static int complain_word(const char *word)
{
    fprintf(stderr,
            "weir: explain: \"%s\" is unknown here: client=ADDR, once, and header=NAME:VALUE are what may stand behind "
            "the URL\n", word);
    return CLI_USAGE;
}

static int read_question(const struct cli_call *call, struct explain_question *question, struct arena *arena)
{
    question->method = str_of(call->args[0]);
    question->url = str_of(call->args[1]);
    for (int i = 2; i < call->arg_count; i++) {
        str word = str_of(call->args[i]), name = str_upto(word, str_find(word, '='));
        bool is_known = str_equal(name, S("client")) || str_equal(name, S("header"));
        if (name.n == word.n || !is_known || !explain_ask(question, name, str_from(word, name.n + 1)))
            return complain_word(call->args[i]);
    }
    const char *why = explain_check(question, arena);
    return why ? complain(why) : CLI_OK;
}

/* -- a running server ---------------------------------------------------------------------------------------------- */

static str make_target(const struct cli_call *call, struct arena *arena)
{
    str target = arena_printf(arena, "/v1/explain?method=%.*s&url=%.*s", STR_ARG(cli_escape(arena, call->args[0])),
                              STR_ARG(cli_escape(arena, call->args[1])));

    for (int i = 2; i < call->arg_count; i++) {
        const char *value = strchr(call->args[i], '=') + 1;
        target = arena_printf(arena, "%.*s&%.*s=%.*s", STR_ARG(target), (int)(value - call->args[i] - 1), call->args[i],
                              STR_ARG(cli_escape(arena, value)));
    }
    return target;
}

static int ask_server(const struct cli_call *call, str socket, struct arena *arena)
{
    struct control_reply reply;
    str why, error, text;
    str target = make_target(call, arena);

    if (!target.p)
        return complain("no memory"), CLI_FAILED;
    if (!control_ask(socket, "GET", target.p, call->json ? "application/json" : "text/plain", arena, &reply, &why)) {
        fprintf(stderr, "weir: " STR_FMT "\n", STR_ARG(why));
        return CLI_FAILED;
    }
    if (reply.status == 200) {
        printf(STR_FMT, STR_ARG(reply.content));
        return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
    }
    if (json_member(reply.content, "error", &error) && json_text(error, arena, &text))
        fprintf(stderr, "weir: the server refuses: " STR_FMT "\n", STR_ARG(text));
    else
        fprintf(stderr, "weir: the server answers with status %d\n", reply.status);
    return CLI_FAILED;
}

/* -- a file alone -------------------------------------------------------------------------------------------------- */

static int print(const struct cli_call *call, const struct explanation *explanation)
{
    struct out out = { 0 };
    bool ok = answer_make(&out, call->json ? explanation_write_json : explanation_write_text, explanation) &&
              fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0;

    mem_free(out.p);
    return ok ? CLI_OK : CLI_FAILED;
}

/* This thread is the main one and the only worker. */
static int explain_by(const struct cli_call *call, struct configuration *c, const struct explain_question *question,
                      struct arena *arena)
{
    struct worker *worker = worker_create(0);
    struct explanation explanation;
    const char *why = "no memory";
    int status = CLI_FAILED;

    if (!worker) {
        configuration_free(c);
        return complain(why), CLI_FAILED;
    }
    worker_enter(worker);
    snapshots_init(worker, 1);
    if (!snapshot_publish(c->snapshot, &worker)) {
        configuration_free(c);
        worker_destroy(worker);
        return complain(why), CLI_FAILED;
    }
    struct pipeline_worker *pw = pipeline_worker_up(worker, 0);
    if (pw)
        why = explain_run(question, arena, &explanation);
    else
        why = "the modules cannot start";
    if (why)
        complain(why);
    else
        status = print(call, &explanation);
    worker_turn(worker, false);
    if (pw)
        pipeline_worker_down(pw);
    worker_turn(worker, false);
    worker_turn(worker, false);
    worker_destroy(worker);
    snapshots_finish();
    return status;
}

static int ask_file(const struct cli_call *call, const struct explain_question *question, struct arena *arena)
{
    struct configuration_options options = { .path = str_of(call->file), .is_rehearsal = true, .worker_count = 1 };
    struct configuration *c = configuration_load(&options);

    if (!c)
        return complain("no memory"), CLI_FAILED;
    diags_print(&c->diags, stderr);
    if (c->snapshot && !c->diags.errors)
        return explain_by(call, c, question, arena);
    configuration_free(c);
    return CLI_FAILED;
}

int cli_explain(const struct cli_call *call)
{
    struct arena *arena = arena_create(64 * 1024, 0);
    struct explain_question question = { 0 };

    if (!arena)
        return complain("no memory"), CLI_FAILED;
    int status = read_question(call, &question, arena);
    if (status == CLI_OK) {
        str socket = call->socket       ? str_of(call->socket)
                     : call->names_file ? STR_NONE
                                        : configuration_find_control(str_of(call->file), arena);
        bool is_running = call->socket || (socket.n && control_answers(socket));
        status = is_running ? ask_server(call, socket, arena) : ask_file(call, &question, arena);
    }
    arena_destroy(arena);
    return status;
}
