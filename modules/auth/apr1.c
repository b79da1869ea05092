/* SPDX-License-Identifier: BSD-2-Clause */
/* apr1.c: MD5 a thousand times over, as `htpasswd -m` has written for decades. Kept for files that exist.
 * Source: the description of $apr1$ in Apache's manual, "Password Formats". */
#include "htpasswd.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { MD5 = 16, ROUNDS = 1000, SALT_MOST = 8 };

struct text {
    const void *p;
    size_t n;
};

static bool digest(const EVP_MD *md5, const struct text *parts, size_t count, unsigned char out[MD5])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool fine = ctx && EVP_DigestInit_ex(ctx, md5, NULL);

    for (size_t i = 0; fine && i < count; i++)
        fine = EVP_DigestUpdate(ctx, parts[i].p, parts[i].n);
    fine = fine && EVP_DigestFinal_ex(ctx, out, NULL);
    EVP_MD_CTX_free(ctx);
    return fine;
}

/* The password, the salt, and bits of the password's length decide what goes in. */
static bool first_round(const EVP_MD *md5, struct text password, struct text salt, unsigned char out[MD5])
{
    struct text parts[3 + PASSWORD_MOST / MD5 + 1 + 16] = { password, { "$apr1$", 6 }, salt };
    size_t count = 3;

    if (!digest(md5, (const struct text[]){ password, salt, password }, 3, out))
        return false;
    unsigned char inner[MD5];
    memcpy(inner, out, MD5);
    for (size_t left = password.n; left > 0; left -= left > MD5 ? MD5 : left)
        parts[count++] = (struct text){ inner, left > MD5 ? MD5 : left };
    for (size_t bits = password.n; bits; bits >>= 1)
        parts[count++] = (struct text){ bits & 1 ? "" : password.p, 1 };
    return digest(md5, parts, count, out);
}

static bool next_round(const EVP_MD *md5, struct text password, struct text salt, unsigned round,
                       unsigned char state[MD5])
{
    struct text before = { state, MD5 }, parts[4];
    size_t count = 0;

    parts[count++] = round & 1 ? password : before;
    if (round % 3)
        parts[count++] = salt;
    if (round % 7)
        parts[count++] = password;
    parts[count++] = round & 1 ? before : password;
    return digest(md5, parts, count, state);
}

static char *put_64(char *to, uint32_t value, unsigned letters)
{
    static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    for (; letters > 0; letters--, value >>= 6)
        *to++ = digits[value & 63];
    return to;
}

static void put_state(char *to, const unsigned char s[MD5])
{
    for (unsigned i = 0; i < 5; i++)
        to = put_64(to, (uint32_t)s[i] << 16 | (uint32_t)s[i + 6] << 8 | s[i == 4 ? 5 : i + 12], 4);
    *put_64(to, s[11], 2) = '\0';
}

bool apr1_hash(const char *password, const char *like, char out[HASH_MOST])
{
    unsigned char state[MD5];

    if (strncmp(like, "$apr1$", 6) != 0 || strlen(password) > PASSWORD_MOST)
        return false;
    struct text key = { password, strlen(password) }, salt = { like + 6, strcspn(like + 6, "$") };
    if (salt.n > SALT_MOST || like[6 + salt.n] != '$')
        return false;
    EVP_MD *md5 = EVP_MD_fetch(NULL, "MD5", NULL); /* absent where policy forbids it */
    bool fine = md5 && first_round(md5, key, salt, state);
    for (unsigned round = 0; fine && round < ROUNDS; round++)
        fine = next_round(md5, key, salt, round, state);
    EVP_MD_free(md5);
    if (!fine)
        return false;
    int n = snprintf(out, HASH_MOST, "$apr1$%.*s$", (int)salt.n, (const char *)salt.p);
    put_state(out + n, state);
    return true;
}
