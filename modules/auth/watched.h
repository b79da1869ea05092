/* SPDX-License-Identifier: BSD-2-Clause */
/* watched.h: files whose content is kept in memory and read anew when they are replaced.
 *
 * Shape:   a file is open once for all scopes that name it as the same kind; its newest content that was whole holds.
 * Owner:   scopes count their references.
 * Thread:  any; what watched_lock() shows holds until watched_unlock(), for which nobody should wait long.
 * Errors:  content that its kind cannot read is refused when the file is opened; later it changes nothing, and that is
 *          told. */
#ifndef AUTH_WATCHED_H
#define AUTH_WATCHED_H

#include <weir/weir.h>

enum { FILES_MOST = 64, WHY_MOST = 256 };

struct watched;

struct watched_kind {
    void *(*read)(weir_str content, char why[WHY_MOST]); /* NULL after why was written */
    void (*free)(void *held);                            /* not called with NULL */
};

/* content: as just read from path. NULL after why was written. */
struct watched *watched_open(const struct watched_kind *kind, const char *path, weir_str content, char why[WHY_MOST]);
void watched_close(struct watched *file); /* NULL is fine */

/* What read() made of the newest content. */
const void *watched_lock(struct watched *file);
void watched_unlock(void);

/* Reads files anew that were replaced, those that kept still since the last look. Blocking. */
void watched_look(void (*told)(const char *path, const char *why));

#endif
