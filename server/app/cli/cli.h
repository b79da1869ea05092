/* SPDX-License-Identifier: BSD-2-Clause */
/* cli.h: the command line: `weir COMMAND [options]`, and nothing else that starts the program.
 *
 * Shape:   one table of commands, each with the options it takes and a function to run.
 * Errors:  exit status 0: done, 1: it failed (said on stderr), 2: the command line was wrong (usage on stderr). */
#ifndef APP_CLI_H
#define APP_CLI_H

#include "base/arena.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

enum { CLI_ARGS_MOST = 16, CLI_TO_MOST = 32 };

enum cli_takes { /* -c FILE, -s SOCKET, -d, -v, --json, --from ADDR, --to URL (may stand again), --refused */
                 CLI_FILE = 1,
                 CLI_SOCKET = 2,
                 CLI_DAEMON = 4,
                 CLI_VERBOSE = 8,
                 CLI_JSON = 16,
                 CLI_FROM = 32,
                 CLI_TO = 64,
                 CLI_REFUSED = 128
};

struct cli_call {
    const struct cli_command *command;
    const char *called; /* argv[0] */
    const char *file;   /* never NULL: the default one */
    bool names_file;    /* it was said with -c */
    const char *socket; /* NULL: the one that file names */
    const char *from;   /* never NULL: the default one */
    const char *to[CLI_TO_MOST];
    int to_count;
    bool daemonise, verbose, json, refused;
    const char *args[CLI_ARGS_MOST];
    int arg_count;
};

struct cli_command {
    const char *name;            /* one or two words */
    unsigned takes;              /* enum cli_takes */
    int least, most;             /* arguments */
    const char *usage, *summary; /* NULL: not shown */
    int (*run)(const struct cli_call *call);
};

int cli_main(int argc, char **argv);
/* True, or why not (text in the arena). argv[0] is the program. */
bool cli_parse(int argc, char **argv, struct arena *arena, struct cli_call *call, str *why);

/* cli_configuration.c: what a file means. */
int cli_check(const struct cli_call *call);
int cli_dump(const struct cli_call *call);
int cli_pipeline(const struct cli_call *call);
int cli_modules(const struct cli_call *call);
int cli_explain(const struct cli_call *call); /* cli_explain.c: a file, or a running server */
/* cli_server.c: a running server. */
int cli_reload(const struct cli_call *call);
int cli_upgrade(const struct cli_call *call);
int cli_unquarantine(const struct cli_call *call);
int cli_command(const struct cli_call *call);
int cli_stop(const struct cli_call *call);
int cli_drain(const struct cli_call *call);
int cli_undrain(const struct cli_call *call);
int cli_status(const struct cli_call *call);
int cli_reopen(const struct cli_call *call);
int cli_why(const struct cli_call *call);
int cli_upstream(const struct cli_call *call);
str cli_escape(struct arena *arena, const char *text);
int cli_proxy(const struct cli_call *call); /* cli_proxy.c: no file at all */
/* cli_module_new.c, cli_module_check.c: for authors of modules. */
int cli_module_new(const struct cli_call *call);
int cli_module_check(const struct cli_call *call);

#endif
