/* SPDX-License-Identifier: BSD-2-Clause */
/* htpasswd.h: files of NAME:HASH lines, and whether a password fits a hash.
 *
 * Shape:   a kind of watched file. Hashes: bcrypt ($2y$), SHA-512 ($6$), SHA-256 ($5$), yescrypt ($y$), others of
 *          crypt(3), and Apache's $apr1$.
 * Thread:  any; a read lock is held while a name is looked up.
 * Errors:  a line that is none is refused with its number. */
#ifndef AUTH_HTPASSWD_H
#define AUTH_HTPASSWD_H

#include "watched.h"

enum { HASH_MOST = 256, NAME_MOST = 256, PASSWORD_MOST = 512 };

/* content: as just read from path. NULL after why was written. watched_close() closes it. */
struct watched *passwords_open(const char *path, weir_str content, char why[WHY_MOST]);

/* The name's hash. Without that name, one of the file's others all the same, so that both cost alike: then false. */
bool passwords_find(struct watched *passwords, weir_str name, char hash[HASH_MOST]);

/* Blocking: tens of milliseconds and more. The password ends with NUL. */
bool password_fits(const char *password, const char *hash);

/* apr1.c: the hash of a password in Apache's own form, with the salt of the hash given; false: that is none. */
bool apr1_hash(const char *password, const char *like, char out[HASH_MOST]);

#endif
