/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE /* crypt_rn */
#include "htpasswd.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    weir_str name, hash;
};

struct table {
    char *text; /* what names and hashes point into */
    size_t size;
    struct entry *entries;
    size_t count;
};

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

static void table_free(void *held)
{
    struct table *table = held;

    if (table->text)
        OPENSSL_cleanse(table->text, table->size);
    free(table->text);
    free(table->entries);
    free(table);
}

static bool read_lines(struct table *table, char why[WHY_MOST])
{
    const char *what = NULL;
    unsigned line = 0;

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
            return false;
        }
        table->count++;
    }
    if (table->count == 0)
        snprintf(why, WHY_MOST, "no user in it");
    return table->count > 0;
}

static void *table_read(weir_str content, char why[WHY_MOST])
{
    struct table *table = calloc(1, sizeof(*table));
    size_t lines = 1;

    snprintf(why, WHY_MOST, "no memory");
    if (!table)
        return NULL;
    for (size_t i = 0; i < content.n; i++)
        lines += content.p[i] == '\n';
    table->text = malloc(content.n + 1);
    table->size = content.n;
    table->entries = calloc(lines, sizeof(*table->entries));
    if (table->text && table->entries) {
        memcpy(table->text, content.p, content.n);
        table->text[content.n] = '\0';
        if (read_lines(table, why))
            return table;
    }
    table_free(table);
    return NULL;
}

/* -- names --------------------------------------------------------------------------------------------------------- */

static const struct watched_kind kind = { .read = table_read, .free = table_free };

struct watched *passwords_open(const char *path, weir_str content, char why[WHY_MOST])
{
    return watched_open(&kind, path, content, why);
}

bool passwords_find(struct watched *passwords, weir_str name, char hash[HASH_MOST])
{
    const struct entry *found = NULL;
    const struct table *table = watched_lock(passwords);

    for (size_t i = 0; i < table->count; i++) /* all of them: how long it takes tells nothing about the name */
        if (table->entries[i].name.n == name.n && CRYPTO_memcmp(table->entries[i].name.p, name.p, name.n) == 0)
            found = &table->entries[i];
    const struct entry *shown = found ? found : &table->entries[0];
    memcpy(hash, shown->hash.p, shown->hash.n + 1);
    watched_unlock();
    return found != NULL;
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
