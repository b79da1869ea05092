/* SPDX-License-Identifier: BSD-2-Clause */
/* takeover.h: a supervisor becomes another program, and keeps its process, its children and all descriptors.
 *
 * Shape:   lines of text in a memory file that passes through the exec; each names descriptors that pass beside it.
 *          Words that the reader does not know are left out, so that older and newer ones understand each other.
 * Safety:  the new program is asked first, in a child, whether it can read what will be passed (takeover_is_possible).
 *          From there on only execve(2) itself can fail, and then everything is as before. */
#ifndef APP_TAKEOVER_H
#define APP_TAKEOVER_H

#include "app/process/supervisor_state.h"

/* False and why, on one line. */
bool takeover_is_possible(const struct supervisor *its, const char *program, char *why, size_t n);
/* Does not return when it succeeds: the program begins in supervisor_resume(). */
void takeover_exec(const struct supervisor *its, const char *program, char *why, size_t n);

bool takeover_read(struct supervisor *its, int fd); /* the other side; takes fd; false: it cannot be understood */
int takeover_check(int fd);                        /* the child that is asked; its exit status */

#endif
