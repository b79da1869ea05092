/* SPDX-License-Identifier: BSD-2-Clause */
/* open_beneath.h: opens what lies below a folder, and nothing else.
 *
 * Shape:   path is relative, without empty, "." and ".." segments; empty: the folder itself. Symbolic links are
 *          followed as long as they stay below the folder (openat2(2)); on a kernel without openat2 none is.
 * Errors:  -1 and errno; EXDEV or ELOOP for a link that leads out.
 * Thread:  any. Blocks as long as the file system takes; a FIFO does not block. */
#ifndef APP_OPEN_BENEATH_H
#define APP_OPEN_BENEATH_H

/* Open for reading; whatever it is: the caller looks. */
int open_beneath(const char *folder, const char *path);
int open_by_walking(int folder, const char *path); /* what stands in for openat2 */

#endif
