/* SPDX-License-Identifier: BSD-2-Clause */
/* cli_server.c: commands that talk to a running server. */
#include "app/cli/cli.h"

#include "app/cli/cli_status.h"
#include "app/house/configuration.h"
#include "app/control/control_client.h"
#include "app/control/json.h"
#include "pipeline/quarantine.h"

#include <ctype.h>
#include <time.h>

#define NAME_BYTES "abcdefghijklmnopqrstuvwxyz0123456789-_"

enum { STOP_LOOK_MS = 50, STOP_GRACE_MS = 15 * 1000 };

struct question {
    struct arena *arena;
    str socket;
    struct control_reply reply;
};

static bool say(str why)
{
    fprintf(stderr, "weir: " STR_FMT "\n", STR_ARG(why));
    return false;
}

/* Which socket: -s, or the one that the file names. */
static bool begin(struct question *question, const struct cli_call *call)
{
    *question = (struct question){ .arena = arena_create(64 * 1024, 0) };
    if (!question->arena)
        return say(S("no memory"));
    if (call->socket) {
        question->socket = str_of(call->socket);
        return true;
    }
    question->socket = configuration_find_control(str_of(call->file), question->arena);
    if (question->socket.n)
        return true;
    fprintf(stderr, "weir: %s turns the control socket off (control off;): use signals, or -s SOCKET\n", call->file);
    return false;
}

static bool ask(struct question *question, const char *method, const char *path, const char *accept)
{
    str why;

    return control_ask(question->socket, method, path, accept, question->arena, &question->reply, &why) || say(why);
}

/* An answer that the caller has no use for. */
static bool complain(const struct question *question)
{
    str error, text;

    if (json_member(question->reply.content, "error", &error) && json_text(error, question->arena, &text))
        fprintf(stderr, "weir: the server refuses: " STR_FMT "\n", STR_ARG(text));
    else
        fprintf(stderr, "weir: the server answers with status %d\n", question->reply.status);
    return false;
}

static bool ask_json(struct question *question, const char *method, const char *path)
{
    return ask(question, method, path, "application/json") && (question->reply.status / 100 == 2 || complain(question));
}

static int end(struct question *question, bool ok)
{
    arena_destroy(question->arena);
    return ok && fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

/* -- commands ------------------------------------------------------------------------------------------------------ */

/* Something that takes a while, ends well or not, and has a text to be shown either way. */
static int ask_for_change(const struct cli_call *call, const char *path)
{
    struct question question;
    bool ok = begin(&question, call) && ask(&question, "POST", path, "text/plain");

    if (ok && question.reply.status != 200 && question.reply.status != 422) {
        ok = complain(&question);
    } else if (ok) { /* warnings, or why not */
        str text = question.reply.content;
        fprintf(stderr, STR_FMT "%s", STR_ARG(text), text.n && !str_has_suffix(text, S("\n")) ? "\n" : "");
        ok = question.reply.status == 200;
    }
    return end(&question, ok);
}

int cli_reload(const struct cli_call *call)
{
    return ask_for_change(call, "/v1/reload");
}

int cli_upgrade(const struct cli_call *call)
{
    return ask_for_change(call, "/v1/upgrade");
}

int cli_unquarantine(const struct cli_call *call)
{
    char path[96];

    if (strlen(call->args[0]) >= QUARANTINE_NAME || strspn(call->args[0], NAME_BYTES) != strlen(call->args[0])) {
        fprintf(stderr, "weir: unquarantine: \"%s\" is no module's name\n", call->args[0]);
        return CLI_USAGE;
    }
    snprintf(path, sizeof(path), "/v1/unquarantine?module=%s", call->args[0]);
    return ask_for_change(call, path);
}

/* The supervisor takes the socket away when all is over. */
static bool wait_for_end(const struct question *question)
{
    const struct timespec pause = { .tv_nsec = STOP_LOOK_MS * 1000000 };
    str value = STR_NONE;

    json_member(question->reply.content, "shutdown_timeout_ms", &value);
    uint64_t looks = (json_number(value) + STOP_GRACE_MS) / STOP_LOOK_MS;
    for (uint64_t i = 0; i < looks; i++) {
        if (!control_answers(question->socket))
            return true;
        nanosleep(&pause, NULL);
    }
    return say(S("the server has not ended yet"));
}

int cli_stop(const struct cli_call *call)
{
    struct question question;
    bool ok = begin(&question, call) && ask_json(&question, "POST", "/v1/stop") && wait_for_end(&question);

    return end(&question, ok);
}

int cli_drain(const struct cli_call *call)
{
    struct question question;

    if (call->arg_count && strcmp(call->args[0], "off") != 0) {
        fprintf(stderr, "weir: drain: \"%s\" is unknown, \"off\" is all that may stand here\n", call->args[0]);
        return CLI_USAGE;
    }
    const char *path = call->arg_count ? "/v1/undrain" : "/v1/drain";
    bool ok = begin(&question, call) && ask_json(&question, "POST", path);
    return end(&question, ok);
}

int cli_undrain(const struct cli_call *call)
{
    struct question question;
    bool ok = begin(&question, call) && ask_json(&question, "POST", "/v1/undrain");

    return end(&question, ok);
}

int cli_reopen(const struct cli_call *call)
{
    struct question question;
    bool ok = begin(&question, call) && ask_json(&question, "POST", "/v1/reopen");

    return end(&question, ok);
}

/* -- upstreams ----------------------------------------------------------------------------------------------------- */

/* For a path segment or a query: all but unreserved characters (RFC 3986 2.3) and what addresses are made of. */
str cli_escape(struct arena *arena, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = strlen(text), used = 0;
    char *out = arena_alloc(arena, 3 * n + 1);

    for (size_t i = 0; out && i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (isalnum(c) || strchr("-._~:=", c)) {
            out[used++] = (char)c;
            continue;
        }
        out[used++] = '%';
        out[used++] = digits[c >> 4];
        out[used++] = digits[c & 15];
    }
    return out ? (str){ out, used } : S("");
}

/* "upstream NAME VERB SERVER OPTION..." as a target of the control API. */
static str upstream_target(struct arena *arena, const struct cli_call *call)
{
    bool is_weight = call->arg_count > 1 && strcmp(call->args[1], "weight") == 0;
    str target = arena_printf(arena, "/v1/upstreams/%.*s", STR_ARG(cli_escape(arena, call->args[0])));

    if (call->arg_count > 1)
        target = arena_printf(arena, "%.*s/%.*s?", STR_ARG(target), STR_ARG(cli_escape(arena, call->args[1])));
    if (call->arg_count > 2)
        target = arena_printf(arena, "%.*sserver=%.*s", STR_ARG(target), STR_ARG(cli_escape(arena, call->args[2])));
    for (int i = 3; i < call->arg_count; i++)
        target = arena_printf(arena, "%.*s&%s%.*s", STR_ARG(target), is_weight ? "weight=" : "",
                              STR_ARG(cli_escape(arena, call->args[i])));
    return target;
}

/* The name alone shows; with a verb there must be a server. */
static bool show_upstream(struct question *question, const struct cli_call *call)
{
    str json = question->reply.content, warning, text;

    if (call->json)
        return printf(STR_FMT, STR_ARG(json)) >= 0;
    if (call->arg_count == 1)
        return status_print_upstream(json, question->arena, stdout) || say(S("the server's answer cannot be read"));
    if (json_member(json, "warning", &warning) && json_text(warning, question->arena, &text))
        fprintf(stderr, "weir: warning: " STR_FMT "\n", STR_ARG(text));
    return true;
}

int cli_upstream(const struct cli_call *call)
{
    struct question question;

    if (call->arg_count == 2) {
        fprintf(stderr, "weir: upstream: which server: weir upstream %s %s SERVER\n", call->args[0], call->args[1]);
        return CLI_USAGE;
    }
    bool ok = begin(&question, call);
    str target = ok ? upstream_target(question.arena, call) : STR_NONE;
    if (ok && !target.p)
        ok = say(S("no memory"));
    ok = ok && ask_json(&question, call->arg_count > 1 ? "POST" : "GET", target.p) && show_upstream(&question, call);
    return end(&question, ok);
}

int cli_command(const struct cli_call *call)
{
    struct question question;
    bool ok = begin(&question, call);
    str name = ok ? cli_escape(question.arena, call->args[0]) : STR_NONE;
    str target = ok ? arena_printf(question.arena, "/v1/commands/%.*s?", STR_ARG(name)) : STR_NONE;

    for (int i = 1; ok && i < call->arg_count; i++)
        target = arena_printf(question.arena, "%.*s%sword=%.*s", STR_ARG(target), i > 1 ? "&" : "",
                              STR_ARG(cli_escape(question.arena, call->args[i])));
    ok = ok && (target.p || say(S("no memory"))) && ask(&question, "POST", target.p, "text/plain");
    if (ok && question.reply.status == 404) {
        fprintf(stderr, "weir: neither weir nor a loaded module has the command \"%s\"\n", call->args[0]);
        ok = false;
    } else if (ok && question.reply.status != 200 && question.reply.status != 422) {
        ok = complain(&question);
    } else if (ok) {
        ok = question.reply.status == 200;
        fprintf(ok ? stdout : stderr, STR_FMT, STR_ARG(question.reply.content));
    }
    return end(&question, ok);
}

int cli_status(const struct cli_call *call)
{
    struct question question;
    bool ok = begin(&question, call) && ask_json(&question, "GET", "/v1/status");

    if (ok && call->json)
        printf(STR_FMT, STR_ARG(question.reply.content));
    else if (ok && !status_print(question.reply.content, question.arena, stdout))
        ok = say(S("the server's answer cannot be read"));
    return end(&question, ok);
}

/* -- requests that are over ---------------------------------------------------------------------------------------- */

/* The id stands in the query: a path would lose "..". */
int cli_why(const struct cli_call *call)
{
    struct question question;
    bool has_id = call->arg_count > 0;

    if (has_id && call->refused) {
        fprintf(stderr, "weir: why: an id, or --refused: not both\n");
        return CLI_USAGE;
    }
    bool ok = begin(&question, call);
    str target = !ok            ? STR_NONE
               : has_id         ? arena_printf(question.arena, "/v1/why?id=" STR_FMT,
                                               STR_ARG(cli_escape(question.arena, call->args[0])))
               : call->refused  ? S("/v1/why?refused")
                                : S("/v1/why");
    ok = ok && target.p && ask(&question, "GET", target.p, call->json ? "application/json" : "text/plain");
    if (ok && question.reply.status != 200)
        ok = complain(&question);
    else if (ok)
        ok = printf(STR_FMT, STR_ARG(question.reply.content)) >= 0 && fflush(stdout) == 0;
    return end(&question, ok);
}
