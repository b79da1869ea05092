/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE /* memfd_create */
#include "database.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Which file stands at a path: another one, or the same one written again. */
struct identity {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct database {
    unsigned index;
    unsigned users;             /* scopes that name it; 0: the place is free */
    char *path;
    struct identity tried;      /* what was read last, or refused */
    struct identity seen;       /* at the last look: what is still being written is not read */
    struct reading *newest;     /* under the lock */
    atomic_uint version;        /* moves when newest does, and when the place gets another path */
};

static struct database databases[DATABASES_MOST];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* -- reading a file ------------------------------------------------------------------------------------------------ */

static struct identity identity_of(const struct stat *st)
{
    return (struct identity){ st->st_dev, st->st_ino, st->st_size, st->st_mtim };
}

static bool identity_equal(const struct identity *a, const struct identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static bool copy_whole(int from, int to, off_t size)
{
    char room[65536];

    while (size > 0) {
        ssize_t n = read(from, room, sizeof(room) < (size_t)size ? sizeof(room) : (size_t)size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        for (ssize_t done = 0, once; done < n; done += once)
            if ((once = write(to, room + done, (size_t)(n - done))) < 0)
                return false;
        size -= n;
    }
    return true;
}

/* A file in memory with the content of this one; -1 after why was written. */
static int copy_file(const char *path, struct identity *identity, char why[DATABASE_ERROR])
{
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), to = -1;
    struct stat st;

    if (from < 0 || fstat(from, &st) != 0) {
        snprintf(why, DATABASE_ERROR, "%s", strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > DATABASE_SIZE_MOST) {
        *identity = identity_of(&st);
        snprintf(why, DATABASE_ERROR, !S_ISREG(st.st_mode) ? "not a file" : st.st_size ? "too large" : "empty");
    } else {
        *identity = identity_of(&st);
        to = memfd_create("geoip", MFD_CLOEXEC);
        if (to < 0 || !copy_whole(from, to, st.st_size)) {
            snprintf(why, DATABASE_ERROR, "cannot be read whole: %s", strerror(errno));
            if (to >= 0)
                close(to);
            to = -1;
        }
    }
    if (from >= 0)
        close(from);
    return to;
}

/* The library follows offsets within the file's bounds and reports those that leave them: some look-ups all over the
 * tree find a file that is whole in size but not in content. */
static const char *probe(const MMDB_s *mmdb)
{
    unsigned char address[16] = { 0 };
    int error;

    for (unsigned i = 0; i < 1024; i++) {
        struct sockaddr_in6 in = { .sin6_family = AF_INET6 };
        uint32_t bits = i * 2654435761u; /* spreads over all networks */
        memcpy(address + (i % 2 ? 12 : 0), &bits, sizeof(bits));
        memcpy(&in.sin6_addr, address, sizeof(address));
        MMDB_lookup_result_s found = MMDB_lookup_sockaddr(mmdb, (const struct sockaddr *)&in, &error);
        MMDB_entry_data_list_s *list = NULL;
        if (error == MMDB_SUCCESS && found.found_entry)
            error = MMDB_get_entry_data_list(&found.entry, &list);
        MMDB_free_entry_data_list(list);
        if (error != MMDB_SUCCESS && error != MMDB_IPV6_LOOKUP_IN_IPV4_DATABASE_ERROR)
            return MMDB_strerror(error);
        memset(address, 0, sizeof(address));
    }
    return NULL;
}

static struct reading *read_file(const char *path, struct identity *identity, char why[DATABASE_ERROR])
{
    struct reading *reading = NULL;
    char name[64];
    int fd = copy_file(path, identity, why);

    if (fd < 0)
        return NULL;
    if (!(reading = calloc(1, sizeof(*reading)))) {
        snprintf(why, DATABASE_ERROR, "no memory");
        goto out;
    }
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    int error = MMDB_open(name, MMDB_MODE_MMAP, &reading->mmdb);
    const char *broken = error == MMDB_SUCCESS ? probe(&reading->mmdb) : MMDB_strerror(error);
    if (broken) {
        snprintf(why, DATABASE_ERROR, "not a whole database: %s", broken);
        if (error == MMDB_SUCCESS)
            MMDB_close(&reading->mmdb);
        free(reading);
        reading = NULL;
        goto out;
    }
    atomic_store(&reading->holders, 1);
out:
    close(fd);
    return reading;
}

static void reading_unref(struct reading *reading)
{
    if (!reading || atomic_fetch_sub(&reading->holders, 1) != 1)
        return;
    MMDB_close(&reading->mmdb);
    free(reading);
}

/* -- the register -------------------------------------------------------------------------------------------------- */

static struct database *find_path(const char *path)
{
    for (unsigned i = 0; i < DATABASES_MOST; i++)
        if (databases[i].users && strcmp(databases[i].path, path) == 0)
            return &databases[i];
    return NULL;
}

static struct database *find_free(void)
{
    for (unsigned i = 0; i < DATABASES_MOST; i++)
        if (!databases[i].users)
            return &databases[i];
    return NULL;
}

static struct database *open_new(const char *path, char why[DATABASE_ERROR])
{
    struct database *database = find_free();
    struct identity identity = { 0 };

    if (!database) {
        snprintf(why, DATABASE_ERROR, "more than %d databases", DATABASES_MOST);
        return NULL;
    }
    struct reading *reading = read_file(path, &identity, why);
    if (!reading)
        return NULL;
    if (!(database->path = strdup(path))) {
        reading_unref(reading);
        snprintf(why, DATABASE_ERROR, "no memory");
        return NULL;
    }
    database->index = (unsigned)(database - databases);
    database->tried = database->seen = identity;
    database->newest = reading;
    atomic_fetch_add(&database->version, 1);
    return database;
}

struct database *database_open(const char *path, char why[DATABASE_ERROR])
{
    pthread_mutex_lock(&lock);
    struct database *database = find_path(path);
    if (!database)
        database = open_new(path, why);
    if (database)
        database->users++;
    pthread_mutex_unlock(&lock);
    return database;
}

void database_close(struct database *database)
{
    pthread_mutex_lock(&lock);
    if (--database->users == 0) {
        reading_unref(database->newest);
        database->newest = NULL;
        free(database->path);
        database->path = NULL;
        atomic_fetch_add(&database->version, 1);
    }
    pthread_mutex_unlock(&lock);
}

const char *database_path(const struct database *database)
{
    return database->path; /* constant as long as somebody has it open */
}

/* -- what workers hold --------------------------------------------------------------------------------------------- */

static void change(struct database *database, struct held_readings *held)
{
    struct reading *old = held->at[database->index].reading;

    pthread_mutex_lock(&lock);
    struct reading *newest = database->newest;
    if (newest)
        atomic_fetch_add(&newest->holders, 1);
    held->at[database->index].reading = newest;
    held->at[database->index].version = atomic_load(&database->version);
    pthread_mutex_unlock(&lock);
    reading_unref(old);
}

const MMDB_s *database_reading(struct database *database, struct held_readings *held)
{
    if (held->at[database->index].version != atomic_load_explicit(&database->version, memory_order_acquire))
        change(database, held);
    const struct reading *reading = held->at[database->index].reading;
    return reading ? &reading->mmdb : NULL;
}

void held_refresh(struct held_readings *held)
{
    for (unsigned i = 0; i < DATABASES_MOST; i++) {
        if (!held->at[i].reading || held->at[i].version == atomic_load(&databases[i].version))
            continue;
        reading_unref(held->at[i].reading);
        held->at[i].reading = NULL;
        held->at[i].version = 0; /* versions in use begin at 1 */
    }
}

void held_drop(struct held_readings *held)
{
    for (unsigned i = 0; i < DATABASES_MOST; i++)
        reading_unref(held->at[i].reading);
    memset(held, 0, sizeof(*held));
}

/* -- files that were replaced -------------------------------------------------------------------------------------- */

/* The path of a database that is due, to be freed; NULL: none at this place. */
static char *due_path(unsigned index, struct identity *now)
{
    struct database *database = &databases[index];
    struct stat st;
    char *path = NULL;

    pthread_mutex_lock(&lock);
    if (database->users)
        path = strdup(database->path);
    pthread_mutex_unlock(&lock);
    if (!path)
        return NULL;
    bool exists = stat(path, &st) == 0; /* outside the lock: a disk may be slow */
    if (exists)
        *now = identity_of(&st);
    pthread_mutex_lock(&lock);
    bool is_due = exists && database->users && strcmp(database->path, path) == 0 &&
                  !identity_equal(now, &database->tried) && identity_equal(now, &database->seen);
    if (exists)
        database->seen = *now;
    pthread_mutex_unlock(&lock);
    if (is_due)
        return path;
    free(path);
    return NULL;
}

static void put_reading(unsigned index, const char *path, struct reading *reading, const struct identity *identity)
{
    struct database *database = &databases[index];
    struct reading *old = reading;

    pthread_mutex_lock(&lock);
    if (database->users && strcmp(database->path, path) == 0) {
        database->tried = *identity;
        if (reading) {
            old = database->newest;
            database->newest = reading;
            atomic_fetch_add(&database->version, 1);
        }
    }
    pthread_mutex_unlock(&lock);
    reading_unref(old);
}

void databases_look(void (*told)(const char *path, const char *why))
{
    for (unsigned i = 0; i < DATABASES_MOST; i++) {
        struct identity identity;
        char why[DATABASE_ERROR];
        char *path = due_path(i, &identity);
        if (!path)
            continue;
        struct reading *reading = read_file(path, &identity, why);
        put_reading(i, path, reading, &identity);
        told(path, reading ? NULL : why);
        free(path);
    }
}

void databases_walk(void (*tell)(const char *path, uint64_t built, void *arg), void *arg)
{
    for (unsigned i = 0; i < DATABASES_MOST; i++) {
        pthread_mutex_lock(&lock);
        char *path = databases[i].users ? strdup(databases[i].path) : NULL;
        uint64_t built = path ? databases[i].newest->mmdb.metadata.build_epoch : 0;
        pthread_mutex_unlock(&lock);
        if (path)
            tell(path, built, arg);
        free(path);
    }
}
