/* SPDX-License-Identifier: BSD-2-Clause */
/* cli_configuration.c: commands that read a configuration as the server would, and say what it means. */
#include "app/cli/cli.h"

#include "app/house/configuration.h"

/* NULL after every error was printed. Warnings are printed too. */
static struct configuration *load(const struct cli_call *call)
{
    struct configuration_options options = { .path = str_of(call->file), .is_rehearsal = true };
    struct configuration *c = configuration_load(&options);

    if (!c) {
        fprintf(stderr, "weir: no memory\n");
        return NULL;
    }
    diags_print(&c->diags, stderr);
    if (c->snapshot && !c->diags.errors)
        return c;
    configuration_free(c);
    return NULL;
}

static int print(const struct cli_call *call, int (*print_it)(const struct configuration *, FILE *))
{
    struct configuration *c = load(call);

    if (!c)
        return CLI_FAILED;
    int status = print_it(c, stdout);
    configuration_free(c);
    return fflush(stdout) == 0 ? status : CLI_FAILED;
}

int cli_check(const struct cli_call *call)
{
    struct configuration *c = load(call);

    if (!c)
        return CLI_FAILED;
    configuration_free(c);
    printf("%s: ok\n", call->file);
    return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

int cli_dump(const struct cli_call *call)
{
    return print(call, configuration_print_dump);
}

int cli_pipeline(const struct cli_call *call)
{
    return print(call, configuration_print_pipeline);
}

static int print_modules(const struct configuration *c, FILE *out)
{
    return configuration_print_modules(c, out, false);
}

static int print_manual(const struct configuration *c, FILE *out)
{
    return configuration_print_modules(c, out, true);
}

int cli_modules(const struct cli_call *call)
{
    return print(call, call->verbose ? print_manual : print_modules);
}
