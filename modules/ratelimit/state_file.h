/* SPDX-License-Identifier: BSD-2-Clause */
/* state_file.h: a file in state_dir, written whole beside the old one and put in its place, so that whoever reads it
 * finds one or the other.
 *
 * Thread:  any, but one at a time for a path; it waits for the disk.
 * Errors:  logged; the old file stays. */
#ifndef RATELIMIT_STATE_FILE_H
#define RATELIMIT_STATE_FILE_H

#include <stdio.h>

void state_file_write(const char *path, void (*put)(FILE *file, void *arg), void *arg);

#endif
