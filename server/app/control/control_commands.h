/* SPDX-License-Identifier: BSD-2-Clause */
/* control_commands.h: POST /v1/commands/NAME?word=...&word=...: a module's command.
 *
 * Owner:   the answer's text is the caller's to mem_free. Errors: a status of the 400s and why; 0 without memory. */
#ifndef APP_CONTROL_COMMANDS_H
#define APP_CONTROL_COMMANDS_H

#include "base/arena.h"
#include "base/out.h"

bool control_commands_is(str path);
/* The status; as_text: what was said alone, else JSON: ok and text. */
int control_commands_answer(str path, str query, bool as_text, struct arena *arena, struct out *answer);

#endif
