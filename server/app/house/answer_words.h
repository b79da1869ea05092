/* SPDX-License-Identifier: BSD-2-Clause */
/* answer_words.h: what a hook said, in words: the same for requests that are explained and for those that came.
 *
 * Owner:   the arena, or static. Errors: NULL or an empty text without memory. */
#ifndef APP_ANSWER_WORDS_H
#define APP_ANSWER_WORDS_H

#include "pipeline/hook_answer.h"

const char *answer_verdict(struct arena *arena, const struct hook_answer *answer); /* "refuses 403" */
str answer_reason(struct arena *arena, const struct hook_answer *answer);

#endif
