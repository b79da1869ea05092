/* SPDX-License-Identifier: BSD-2-Clause */
/* commands.h: commands of modules, as the control API and the command line ask for them.
 *
 * Owner:   the answer's text is freed by command_answer_free.
 * Thread:  the main thread.
 * Errors:  COMMAND_UNKNOWN; -1: refused, the text says why; an answer without memory, or above 16 MiB, is_cut. */
#ifndef PIPELINE_COMMANDS_H
#define PIPELINE_COMMANDS_H

#include "pipeline/module.h"

#include <stdarg.h>

enum { COMMAND_WORDS_MOST = 16, COMMAND_UNKNOWN = 1 };

struct weir_answer {
    char *p;
    size_t n, room;
    bool is_cut;
};

int command_run(str name, const str *words, uint32_t count, struct weir_answer *answer); /* answer: zeroed */
void command_say(weir_answer *answer, const char *fmt, va_list ap);
void command_answer_free(struct weir_answer *answer);

#endif
