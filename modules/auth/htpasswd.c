/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE /* crypt_rn */
#include "htpasswd.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MOST = 16 * 1024 * 1024 };

struct entry {
    weir_str name, hash;
};

struct table {
    char *text; /* what names and hashes point into */
    struct entry *entries;
    size_t count;
};

struct identity {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct passwords {
    unsigned users; /* scopes; 0: the place is free */
    char *path;
    struct table table;
    struct identity tried, seen;
};

static struct passwords files[FILES_MOST];
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

/* -- lines --------------------------------------------------------------------------------------------------------- */

/* What crypt(3) of this system can verify, and $apr1$. */
static bool hash_is_known(const char *hash)
{
    if (strncmp(hash, "$apr1$", 6) == 0)
        return true;
    if (hash[0] != '$') /* plain text, or DES: neither keeps a password */
        return false;
    int rc = crypt_checksalt(hash);
    return rc == CRYPT_SALT_OK || rc == CRYPT_SALT_METHOD_LEGACY || rc == CRYPT_SALT_TOO_CHEAP;
}

static bool read_line(char *line, struct entry *entry, const char **why)
{
    char *colon = strchr(line, ':');

    if (!colon || colon == line)
        *why = "a line is NAME:HASH";
    else if (colon - line > NAME_MOST || strlen(colon + 1) >= HASH_MOST)
        *why = "too long";
    else if (!hash_is_known(colon + 1))
        *why = "its hash is of no kind that can be verified here: write it with htpasswd -B or mkpasswd";
    else {
        *colon = '\0';
        *entry = (struct entry){ { line, (size_t)(colon - line) }, { colon + 1, strlen(colon + 1) } };
        return true;
    }
    return false;
}

static void table_free(struct table *table)
{
    if (table->text)
        OPENSSL_cleanse(table->text, strlen(table->text));
    free(table->text);
    free(table->entries);
    *table = (struct table){ 0 };
}

static bool table_read(struct table *table, weir_str content, char why[WHY_MOST])
{
    const char *what = NULL;
    unsigned line = 0;

    *table = (struct table){ .text = malloc(content.n + 1) };
    size_t lines = 1;
    for (size_t i = 0; i < content.n; i++)
        lines += content.p[i] == '\n';
    table->entries = calloc(lines, sizeof(*table->entries));
    if (!table->text || !table->entries) {
        snprintf(why, WHY_MOST, "no memory");
        table_free(table);
        return false;
    }
    memcpy(table->text, content.p, content.n);
    table->text[content.n] = '\0';
    for (char *at = table->text, *next; at; at = next) {
        line++;
        if ((next = strchr(at, '\n')))
            *next++ = '\0';
        size_t n = strlen(at);
        if (n && at[n - 1] == '\r')
            at[n - 1] = '\0';
        if (!at[0] || at[0] == '#')
            continue;
        if (!read_line(at, &table->entries[table->count], &what)) {
            snprintf(why, WHY_MOST, "line %u: %s", line, what);
            table_free(table);
            return false;
        }
        table->count++;
    }
    if (table->count == 0) {
        snprintf(why, WHY_MOST, "no user in it");
        table_free(table);
        return false;
    }
    return true;
}

/* -- files --------------------------------------------------------------------------------------------------------- */

static struct identity identity_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return (struct identity){ 0 };
    return (struct identity){ st.st_dev, st.st_ino, st.st_size, st.st_mtim };
}

static bool identity_equal(const struct identity *a, const struct identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static struct passwords *find_place(const char *path)
{
    struct passwords *unused = NULL;

    for (unsigned i = 0; i < FILES_MOST; i++) {
        if (files[i].users && strcmp(files[i].path, path) == 0)
            return &files[i];
        if (!files[i].users && !unused)
            unused = &files[i];
    }
    return unused;
}

static bool open_at(struct passwords *at, const char *path, weir_str content, char why[WHY_MOST])
{
    struct table table;

    if (!table_read(&table, content, why))
        return false;
    if (!at->users && !(at->path = strdup(path))) {
        snprintf(why, WHY_MOST, "no memory");
        table_free(&table);
        return false;
    }
    table_free(&at->table); /* a reload brings the newest content */
    at->table = table;
    at->tried = at->seen = identity_of(path);
    at->users++;
    return true;
}

struct passwords *passwords_open(const char *path, weir_str content, char why[WHY_MOST])
{
    pthread_rwlock_wrlock(&lock);
    struct passwords *at = find_place(path);
    if (!at)
        snprintf(why, WHY_MOST, "more than %d files", FILES_MOST);
    else if (!open_at(at, path, content, why))
        at = NULL;
    pthread_rwlock_unlock(&lock);
    return at;
}

void passwords_close(struct passwords *passwords)
{
    if (!passwords)
        return;
    pthread_rwlock_wrlock(&lock);
    if (--passwords->users == 0) {
        table_free(&passwords->table);
        free(passwords->path);
        passwords->path = NULL;
    }
    pthread_rwlock_unlock(&lock);
}

bool passwords_find(struct passwords *passwords, weir_str name, char hash[HASH_MOST])
{
    const struct entry *found = NULL;

    pthread_rwlock_rdlock(&lock);
    const struct table *table = &passwords->table;
    for (size_t i = 0; i < table->count; i++) /* all of them: how long it takes tells nothing about the name */
        if (table->entries[i].name.n == name.n && CRYPTO_memcmp(table->entries[i].name.p, name.p, name.n) == 0)
            found = &table->entries[i];
    const struct entry *shown = found ? found : &table->entries[0];
    memcpy(hash, shown->hash.p, shown->hash.n + 1);
    pthread_rwlock_unlock(&lock);
    return found != NULL;
}

/* -- files that were replaced -------------------------------------------------------------------------------------- */

static bool read_whole(const char *path, weir_str *content, char why[WHY_MOST])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    char *text = NULL;
    size_t n = 0;
    bool fine = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < FILE_MOST &&
                (text = malloc((size_t)st.st_size + 1));

    while (fine && n < (size_t)st.st_size) {
        ssize_t got = read(fd, text + n, (size_t)st.st_size - n);
        fine = got > 0 || (got < 0 && errno == EINTR);
        n += got > 0 ? (size_t)got : 0;
    }
    if (!fine) {
        snprintf(why, WHY_MOST, "%s", errno ? strerror(errno) : "cannot be read whole");
        free(text);
        text = NULL;
    }
    if (fd >= 0)
        close(fd);
    *content = (weir_str){ text, n };
    return fine;
}

static void read_anew(struct passwords *passwords, const char *path, void (*told)(const char *path, const char *why))
{
    char why[WHY_MOST];
    weir_str content;
    struct table table;

    errno = 0;
    bool fine = read_whole(path, &content, why);
    if (fine) {
        fine = table_read(&table, content, why);
        OPENSSL_cleanse((void *)(uintptr_t)content.p, content.n);
        free((void *)(uintptr_t)content.p);
    }
    pthread_rwlock_wrlock(&lock);
    bool is_open = passwords->users && strcmp(passwords->path, path) == 0;
    struct table old = fine ? table : (struct table){ 0 };
    if (fine && is_open) {
        old = passwords->table;
        passwords->table = table;
    }
    pthread_rwlock_unlock(&lock);
    table_free(&old);
    if (is_open)
        told(path, fine ? NULL : why);
}

void passwords_look(void (*told)(const char *path, const char *why))
{
    for (unsigned i = 0; i < FILES_MOST; i++) {
        pthread_rwlock_rdlock(&lock);
        char *path = files[i].users ? strdup(files[i].path) : NULL;
        pthread_rwlock_unlock(&lock);
        if (!path)
            continue;
        struct identity now = identity_of(path);
        pthread_rwlock_wrlock(&lock);
        bool is_due = now.inode && files[i].users && !identity_equal(&now, &files[i].tried) &&
                      identity_equal(&now, &files[i].seen);
        files[i].seen = now;
        if (is_due)
            files[i].tried = now;
        pthread_rwlock_unlock(&lock);
        if (is_due)
            read_anew(&files[i], path, told);
        free(path);
    }
}

/* -- one password -------------------------------------------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && CRYPTO_memcmp(a, b, strlen(a)) == 0;
}

bool password_fits(const char *password, const char *hash)
{
    char made[HASH_MOST];

    if (strncmp(hash, "$apr1$", 6) == 0)
        return apr1_hash(password, hash, made) && same(made, hash);
    struct crypt_data *data = calloc(1, sizeof(*data)); /* 32 KB: not on a small stack */
    const char *result = data ? crypt_rn(password, hash, data, sizeof(*data)) : NULL;
    bool fits = result && same(result, hash);
    if (data)
        OPENSSL_cleanse(data, sizeof(*data));
    free(data);
    return fits;
}
