/* SPDX-License-Identifier: BSD-2-Clause */
/* htpasswd.h: files of NAME:HASH lines, and whether a password fits a hash.
 *
 * Shape:   a file is open once for all scopes that name it; its newest content that was whole is looked at. Hashes:
 *          bcrypt ($2y$), SHA-512 ($6$), SHA-256 ($5$), yescrypt ($y$), others of crypt(3), and Apache's $apr1$.
 * Owner:   scopes count their references.
 * Thread:  any; a read lock is held while a name is looked up.
 * Errors:  a line that is none is refused with its number when the file is first read; later such a file changes
 *          nothing, and that is told. */
#ifndef AUTH_HTPASSWD_H
#define AUTH_HTPASSWD_H

#include <weir/weir.h>

enum { HASH_MOST = 256, NAME_MOST = 256, PASSWORD_MOST = 512, FILES_MOST = 64, WHY_MOST = 256 };

struct passwords;

/* content: as just read from path. NULL after why was written. */
struct passwords *passwords_open(const char *path, weir_str content, char why[WHY_MOST]);
void passwords_close(struct passwords *passwords);

/* The name's hash. Without that name, one of the file's others all the same, so that both cost alike: then false. */
bool passwords_find(struct passwords *passwords, weir_str name, char hash[HASH_MOST]);

/* Blocking: tens of milliseconds and more. The password ends with NUL. */
bool password_fits(const char *password, const char *hash);

/* Reads files anew that were replaced, those that kept still since the last look. Blocking. */
void passwords_look(void (*told)(const char *path, const char *why));

/* apr1.c: the hash of a password in Apache's own form, with the salt of the hash given; false: that is none. */
bool apr1_hash(const char *password, const char *like, char out[HASH_MOST]);

#endif
