/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/commands.h"

#include "base/mem.h"
#include "pipeline/crumb.h"

#include <stdio.h>

enum { ANSWER_FIRST = 4096, ANSWER_MOST = 16 * 1024 * 1024 };

static bool make_room(struct weir_answer *answer, size_t n)
{
    size_t room = answer->room ? answer->room : ANSWER_FIRST;

    while (room - answer->n < n && room < ANSWER_MOST)
        room *= 2;
    if (room - answer->n < n)
        return false;
    char *wide = room == answer->room ? answer->p : mem_alloc(room);
    if (!wide)
        return false;
    if (wide != answer->p) {
        if (answer->n)
            memcpy(wide, answer->p, answer->n);
        mem_free(answer->p);
    }
    answer->p = wide;
    answer->room = room;
    return true;
}

void command_say(weir_answer *answer, const char *fmt, va_list ap)
{
    va_list again;

    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (answer->is_cut || n < 0 || !make_room(answer, (size_t)n + 1)) {
        answer->is_cut = true;
    } else {
        vsnprintf(answer->p + answer->n, (size_t)n + 1, fmt, again);
        answer->n += (size_t)n;
    }
    va_end(again);
}

void command_answer_free(struct weir_answer *answer)
{
    mem_free(answer->p);
    *answer = (struct weir_answer){ 0 };
}

static const struct weir_command *find_in(const weir_mod *mod, str name)
{
    const weir_table *commands = &mod->desc.commands;
    const char *at = commands->base;

    for (uint32_t i = 0; i < commands->count; i++, at += commands->stride)
        if (str_equal(str_of(((const struct weir_command *)(const void *)at)->name), name))
            return (const struct weir_command *)(const void *)at;
    return NULL;
}

int command_run(str name, const str *words, uint32_t count, struct weir_answer *answer)
{
    for (uint32_t i = 0; i < modules.count; i++) {
        weir_mod *mod = modules.all[i];
        const struct weir_command *command = mod->quarantine ? NULL : find_in(mod, name);
        if (!command)
            continue;
        crumb_enter_main(mod);
        int rc = command->run(mod, answer, words, count);
        crumb_leave_main();
        return rc == 0 ? 0 : -1;
    }
    return COMMAND_UNKNOWN;
}
