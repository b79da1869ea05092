/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/cli/cli.h"

#include "app/control/control.h"
#include "app/process/rehearsal.h"
#include "app/process/server.h"
#include "app/process/supervisor.h"
#include "app/process/takeover.h"
#include "base/diag.h"
#include "base/mem.h"

#include <signal.h>
#include <stdio.h>

#define DEFAULT_FILE WEIR_SYSCONFDIR "/weir.conf"

/* -- commands that need no file of their own ----------------------------------------------------------------------- */

static int run_server(const struct cli_call *call)
{
    return supervisor_main(call->called, call->file, call->daemonise, NULL);
}

static int run_rehearsal(const struct cli_call *call)
{
    return rehearsal_child(call->file);
}

static int with_fd(const struct cli_call *call, int (*run)(int fd))
{
    uint64_t fd;

    if (!str_to_u64(str_of(call->args[0]), &fd) || fd > INT32_MAX)
        return CLI_USAGE;
    return run((int)fd);
}

static int serve(int channel)
{
    return server_main(channel, &control_door);
}

static int run_serve(const struct cli_call *call)
{
    return with_fd(call, serve);
}

static int run_resume(const struct cli_call *call)
{
    return with_fd(call, supervisor_resume);
}

static int run_resume_check(const struct cli_call *call)
{
    return with_fd(call, takeover_check);
}

static int print_version(const struct cli_call *call)
{
    printf("weir %s\n", WEIR_VERSION);
    if (call->verbose) {
        printf("module ABI        %u.%u\n", WEIR_ABI_MAJOR, WEIR_ABI_MINOR);
        printf("built with        %s\n", __VERSION__);
#if defined(WEIR_SANITIZED)
        printf("build kind        with sanitizers, for tests\n");
#endif
        printf("libraries         libevent, PCRE2; TLS and compression are modules' business\n");
        printf("configuration     %s\n", DEFAULT_FILE);
        printf("modules           %s\n", WEIR_MODULEDIR);
        printf("state             %s\n", WEIR_STATEDIR);
        printf("run time          %s\n", WEIR_RUNDIR "/weir");
        printf("data              %s\n", WEIR_DATADIR);
    }
    return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

static int print_help(const struct cli_call *call);

/* -- the table ----------------------------------------------------------------------------------------------------- */

/* clang-format off */
static const struct cli_command commands[] = {
    { "run", CLI_FILE | CLI_DAEMON, 0, 0, "[run] [-c FILE] [-d]", "serve; -d: in the background", run_server },
    { "proxy", CLI_FROM | CLI_TO, 0, 0, "proxy [--from ADDR] --to URL...", "serve without a file: all goes to URL",
      cli_proxy },
    { "check", CLI_FILE, 0, 0, "check [-c FILE]", "bind the whole configuration, print every error", cli_check },
    { "dump", CLI_FILE, 0, 0, "dump [-c FILE]", "the configuration as weir understood it", cli_dump },
    { "reload", CLI_FILE | CLI_SOCKET, 0, 0, "reload [-c FILE | -s SOCKET]",
      "take over the changed configuration, or print why not", cli_reload },
    { "stop", CLI_FILE | CLI_SOCKET, 0, 0, "stop [-c FILE | -s SOCKET]", "finish what is under way, then end",
      cli_stop },
    { "status", CLI_FILE | CLI_SOCKET | CLI_JSON, 0, 0, "status [-c FILE | -s SOCKET] [--json]",
      "figures of the running server", cli_status },
    { "drain", CLI_FILE | CLI_SOCKET, 0, 1, "drain [off] [-c FILE | -s SOCKET]",
      "tell health checks that no new work is wanted; off: work again", cli_drain },
    { "undrain", CLI_FILE | CLI_SOCKET, 0, 0, "undrain [-c FILE | -s SOCKET]", "the same as drain off", cli_undrain },
    { "upgrade", CLI_FILE | CLI_SOCKET, 0, 0, "upgrade [-c FILE | -s SOCKET]",
      "hand everything to the binary and the modules that are installed now", cli_upgrade },
    { "reopen", CLI_FILE | CLI_SOCKET, 0, 0, "reopen [-c FILE | -s SOCKET]", "open the log files again", cli_reopen },
    { "upstream", CLI_FILE | CLI_SOCKET | CLI_JSON, 1, CLI_ARGS_MOST,
      "upstream NAME [VERB SERVER ...] [--json]",
      "show a group of servers; add, remove, drain, down, up SERVER, weight SERVER N", cli_upstream },
    { "command", CLI_FILE | CLI_SOCKET, 1, CLI_ARGS_MOST, "command NAME WORD ... [-c FILE | -s SOCKET]",
      "a command of a loaded module (the word command may be left out)", cli_command },
    { "unquarantine", CLI_FILE | CLI_SOCKET, 1, 1, "unquarantine NAME [-c FILE | -s SOCKET]",
      "let a module run again that crashed the server", cli_unquarantine },
    { "explain", CLI_FILE | CLI_SOCKET | CLI_JSON, 2, CLI_ARGS_MOST,
      "explain METHOD URL [client=ADDR] [header=NAME:VALUE]... [-c FILE | -s SOCKET] [--json]",
      "what a request would meet, and which line decides", cli_explain },
    { "why", CLI_FILE | CLI_SOCKET | CLI_JSON | CLI_REFUSED, 0, 1,
      "why [REQUEST-ID | --refused] [-c FILE | -s SOCKET] [--json]",
      "what happened to a request, and which line decided; without an id: the last ones", cli_why },
    { "pipeline", CLI_FILE, 0, 0, "pipeline [-c FILE]", "stages, hooks, and why in this order", cli_pipeline },
    { "modules", CLI_FILE | CLI_VERBOSE, 0, 0, "modules [-c FILE] [-v]",
      "loaded modules and their directives; -v: the manual as Markdown", cli_modules },
    { "module new", 0, 1, 2, "module new NAME [DIR]", "start a module in DIR/NAME", cli_module_new },
    { "module check", 0, 1, 1, "module check FILE.so", "what a module is, and whether this weir would load it",
      cli_module_check },
    { "version", CLI_VERBOSE, 0, 0, "version [-v]", "version; -v: facts of this build", print_version },
    { "help", 0, 0, 2, "help [COMMAND]", "this, or one command's line", print_help },
    /* what weir says to itself */
    { "--rehearse", CLI_FILE, 0, 0, NULL, NULL, run_rehearsal },
    { "--serve", 0, 1, 1, NULL, NULL, run_serve },
    { "--resume", 0, 1, 1, NULL, NULL, run_resume },
    { "--resume-check", 0, 1, 1, NULL, NULL, run_resume_check },
};
/* clang-format on */
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static const struct cli_command *find_command(str name)
{
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (str_equal(str_of(commands[i].name), name))
            return &commands[i];
    return NULL;
}

static void print_line(const struct cli_command *command, FILE *out)
{
    if (command->usage)
        fprintf(out, "  weir %-40s %s\n", command->usage, command->summary);
}

static void print_usage(FILE *out)
{
    fprintf(out, "usage:\n");
    for (int i = 0; i < COMMAND_COUNT; i++)
        print_line(&commands[i], out);
    fprintf(out, "The default FILE is %s. See weir(8), weir.conf(5).\n", DEFAULT_FILE);
}

/* Behind a mistake: what would have been right, in a line that does not push the mistake off the screen. */
static void remind(const struct cli_command *command, FILE *out)
{
    if (command && command->usage) {
        fprintf(out, "usage: weir %s\n", command->usage);
        return;
    }
    fprintf(out, "usage: weir COMMAND [options]; commands are");
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (commands[i].usage)
            fprintf(out, "%s %s", i ? "," : "", commands[i].name);
    fprintf(out, " (weir help says more)\n");
}

/* "module" alone means both of its commands. */
static bool is_meant(const struct cli_command *command, str name)
{
    str own = str_of(command->name);

    return str_equal(own, name) ||
           (str_has_prefix(own, name) && str_has_prefix(str_from(own, name.n), S(" ")) && command->usage);
}

static int print_help(const struct cli_call *call)
{
    char name[64];
    bool is_found = false;

    if (call->arg_count == 0) {
        print_usage(stdout);
        return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
    }
    bool has_two = call->arg_count > 1;
    snprintf(name, sizeof(name), "%s%s%s", call->args[0], has_two ? " " : "", has_two ? call->args[1] : "");
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (is_meant(&commands[i], str_of(name))) {
            print_line(&commands[i], stdout);
            is_found = true;
        }
    if (is_found)
        return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
    fprintf(stderr, "weir: there is no command \"%s\"\n", name);
    remind(NULL, stderr);
    return CLI_USAGE;
}

/* -- reading it ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    enum cli_takes kind;
    bool has_value;
} options[] = {
    {"-c",         CLI_FILE,    true },
    { "--config",  CLI_FILE,    true },
    { "-s",        CLI_SOCKET,  true },
    { "--socket",  CLI_SOCKET,  true },
    { "-d",        CLI_DAEMON,  false},
    { "--daemon",  CLI_DAEMON,  false},
    { "-v",        CLI_VERBOSE, false},
    { "--verbose", CLI_VERBOSE, false},
    { "--json",    CLI_JSON,    false},
    { "--from",    CLI_FROM,    true },
    { "--to",      CLI_TO,      true },
    { "--refused", CLI_REFUSED, false},
};
enum { OPTION_COUNT = sizeof(options) / sizeof(options[0]) };

struct reading {
    struct arena *arena;
    struct cli_call *call;
    str *why;
    const char *words[CLI_ARGS_MOST + 1]; /* the command and its arguments */
    int word_count;
    unsigned given;           /* enum cli_takes */
    const char *given_as[32]; /* by bit, for messages */
};

static bool complain(struct reading *reading, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool complain(struct reading *reading, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    *reading->why = arena_vprintf(reading->arena, fmt, ap);
    va_end(ap);
    if (!reading->why->n)
        *reading->why = S("no memory");
    return false;
}

static bool complain_unknown(struct reading *reading, const char *what, str word, const str *known, size_t count)
{
    str near = diag_nearest(word, known, count);

    if (near.n)
        return complain(reading, "unknown %s \"" STR_FMT "\": did you mean \"" STR_FMT "\"?", what, STR_ARG(word),
                        STR_ARG(near));
    return complain(reading, "unknown %s \"" STR_FMT "\"", what, STR_ARG(word));
}

static bool complain_option(struct reading *reading, const char *word)
{
    str known[OPTION_COUNT];

    for (int i = 0; i < OPTION_COUNT; i++)
        known[i] = str_of(options[i].word);
    return complain_unknown(reading, "option", str_of(word), known, OPTION_COUNT);
}

static bool complain_command(struct reading *reading, str word)
{
    str known[COMMAND_COUNT];
    size_t count = 0;

    for (int i = 0; i < COMMAND_COUNT; i++)
        if (commands[i].usage)
            known[count++] = str_of(commands[i].name);
    return complain_unknown(reading, "command", word, known, count);
}

static void set_option(struct cli_call *call, enum cli_takes kind, const char *value)
{
    switch (kind) {
    case CLI_FILE:
        call->file = value;
        call->names_file = true;
        break;
    case CLI_SOCKET: call->socket = value; break;
    case CLI_DAEMON: call->daemonise = true; break;
    case CLI_VERBOSE: call->verbose = true; break;
    case CLI_JSON: call->json = true; break;
    case CLI_REFUSED: call->refused = true; break;
    case CLI_FROM: call->from = value; break;
    case CLI_TO: call->to[call->to_count++] = value; break;
    }
}

static const char *value_name(enum cli_takes kind)
{
    switch (kind) {
    case CLI_FILE: return "FILE";
    case CLI_SOCKET: return "SOCKET";
    case CLI_FROM: return "ADDR";
    default: return "URL";
    }
}

/* How many words it took; 0 after a complaint. */
static int read_option(struct reading *reading, const char *word, const char *next)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (strcmp(word, options[i].word) != 0)
            continue;
        if (options[i].has_value && (!next || !next[0])) {
            complain(reading, "%s needs a %s", word, value_name(options[i].kind));
            return 0;
        }
        if (options[i].kind == CLI_TO && reading->call->to_count == CLI_TO_MOST) {
            complain(reading, "%s is given more than %d times", word, CLI_TO_MOST);
            return 0;
        }
        if ((reading->given & options[i].kind) && options[i].kind != CLI_TO) {
            complain(reading, "%s is given twice", word);
            return 0;
        }
        reading->given |= options[i].kind;
        reading->given_as[__builtin_ctz(options[i].kind)] = word;
        set_option(reading->call, options[i].kind, next);
        return options[i].has_value ? 2 : 1;
    }
    complain_option(reading, word);
    return 0;
}

/* -h and the like are other words for commands; a bare number behind --serve is no option. */
static const char *as_command(const char *word)
{
    if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0)
        return "help";
    if (strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0)
        return "version";
    return find_command(str_of(word)) ? word : NULL;
}

static bool read_words(struct reading *reading, int argc, char **argv)
{
    for (int i = 1; i < argc;) {
        const char *word = argv[i];
        const char *command = reading->word_count == 0 ? as_command(word) : NULL;
        if (word[0] == '-' && word[1] && !command) {
            int taken = read_option(reading, word, i + 1 < argc ? argv[i + 1] : NULL);
            if (!taken)
                return false;
            i += taken;
            continue;
        }
        if (reading->word_count == sizeof(reading->words) / sizeof(reading->words[0]))
            return complain(reading, "\"%s\" is too much", word);
        reading->words[reading->word_count++] = command ? command : word;
        i++;
    }
    return true;
}

static bool is_command_name(str word)
{
    for (size_t i = 0; i < word.n; i++)
        if ((word.p[i] < 'a' || word.p[i] > 'z') && !(i && strchr("0123456789-", word.p[i])))
            return false;
    return word.n > 0;
}

static bool choose_command(struct reading *reading, int *used)
{
    struct cli_call *call = reading->call;
    str word = reading->word_count ? str_of(reading->words[0]) : S("run");

    *used = 1;
    if (str_equal(word, S("module")) && reading->word_count > 1) {
        *used = 2;
        word = arena_printf(reading->arena, "module %s", reading->words[1]);
    } else if (str_equal(word, S("module"))) {
        return complain(reading, "module: \"new\" or \"check\" must follow");
    }
    call->command = find_command(word);
    if (!call->command && *used == 1 && reading->word_count > 1 && is_command_name(word)) { /* a module may have it */
        call->command = find_command(S("command"));
        *used = 0;
    }
    return call->command ? true : complain_command(reading, word);
}

static bool check_options(struct reading *reading)
{
    const struct cli_command *command = reading->call->command;
    unsigned wrong = reading->given & ~command->takes;

    if (wrong)
        return complain(reading, "%s does not take %s", command->name, reading->given_as[__builtin_ctz(wrong)]);
    if ((reading->given & (CLI_FILE | CLI_SOCKET)) == (CLI_FILE | CLI_SOCKET))
        return complain(reading, "%s: -c or -s, not both", command->name);
    return true;
}

static bool take_arguments(struct reading *reading, int from)
{
    struct cli_call *call = reading->call;
    int count = reading->word_count > from ? reading->word_count - from : 0;

    if (count < call->command->least)
        return complain(reading, "%s: too few arguments", call->command->name);
    if (count > call->command->most)
        return complain(reading, "%s: \"%s\" is too much", call->command->name,
                        reading->words[from + call->command->most]);
    for (int i = 0; i < count; i++)
        call->args[i] = reading->words[from + i];
    call->arg_count = count;
    return true;
}

bool cli_parse(int argc, char **argv, struct arena *arena, struct cli_call *call, str *why)
{
    struct reading reading = { .arena = arena, .call = call, .why = why };
    int used;

    *call = (struct cli_call){ .file = DEFAULT_FILE, .from = ":8080", .called = argc > 0 ? argv[0] : "weir" };
    return read_words(&reading, argc, argv) && choose_command(&reading, &used) && check_options(&reading) &&
           take_arguments(&reading, used);
}

int cli_main(int argc, char **argv)
{
    struct arena *arena = arena_create(1024, 0);
    struct cli_call call;
    str why;

    signal(SIGPIPE, SIG_IGN);
    if (!arena) {
        fprintf(stderr, "weir: no memory\n");
        return CLI_FAILED;
    }
    bool ok = cli_parse(argc, argv, arena, &call, &why);
    if (!ok) {
        fprintf(stderr, "weir: " STR_FMT "\n", STR_ARG(why));
        remind(call.command, stderr);
    }
    arena_destroy(arena); /* the call points into argv */
    return ok ? call.command->run(&call) : CLI_USAGE;
}
