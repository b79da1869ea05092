/* SPDX-License-Identifier: BSD-2-Clause */
/* database.h: files in MaxMind's format, read into memory, and read anew when they are replaced.
 *
 * Shape:   a database is a path and its newest reading that was whole; a reading is constant and counted. Each worker
 *          holds the reading it looks things up in, and changes to a newer one between requests.
 * Owner:   databases are counted by the scopes that name them; a reading goes with the last who holds it.
 * Thread:  any. Looking up takes no lock as long as the file has not changed.
 * Errors:  a file that cannot be read, or is broken, leaves the reading before it in place.
 * Why:     a copy in memory, not a mapped file: a file cut short in place would end the process with SIGBUS. */
#ifndef GEOIP_DATABASE_H
#define GEOIP_DATABASE_H

#include <maxminddb.h>
#include <stdatomic.h>
#include <weir/weir.h>

enum { DATABASES_MOST = 16, DATABASE_ERROR = 256, DATABASE_SIZE_MOST = 512 * 1024 * 1024 };

struct database;

struct reading {
    atomic_uint holders;
    MMDB_s mmdb;
};

/* What a worker holds; zeroed at first. */
struct held_readings {
    struct {
        struct reading *reading;
        unsigned version;
    } at[DATABASES_MOST];
};

/* The one of this path, read now if nobody has it open. NULL after why was written. */
struct database *database_open(const char *path, char why[DATABASE_ERROR]);
void database_close(struct database *database);
const char *database_path(const struct database *database);

/* The newest reading; valid until the worker's next call of this or of held_refresh. */
const MMDB_s *database_reading(struct database *database, struct held_readings *held);

void held_refresh(struct held_readings *held); /* lets go of readings that are out of date */
void held_drop(struct held_readings *held);    /* of all */

/* Looks whether files were replaced, and reads those that have kept still since the last look. Blocking. told gets
 * each outcome: why is NULL for a new reading. */
void databases_look(void (*told)(const char *path, const char *why));

/* Each open database: when its data was made, in seconds since 1970. */
void databases_walk(void (*tell)(const char *path, uint64_t built, void *arg), void *arg);

#endif
