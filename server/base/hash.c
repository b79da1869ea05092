/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

static uint8_t process_key[16];
static bool seeded;

struct sip {
    uint64_t a, b, c, d; /* v0 to v3 of the paper */
};

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(struct sip *v)
{
    v->a += v->b;
    v->c += v->d;
    v->b = rotate(v->b, 13) ^ v->a;
    v->d = rotate(v->d, 16) ^ v->c;
    v->a = rotate(v->a, 32) + v->d;
    v->c += v->b;
    v->d = rotate(v->d, 21) ^ v->a;
    v->b = rotate(v->b, 17) ^ v->c;
    v->c = rotate(v->c, 32);
}

static inline uint64_t load_little_endian(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Lower-cases eight ASCII letters at once: each byte's top bit says whether it lies between 'A' and 'Z'. */
static inline uint64_t lower_word(uint64_t word)
{
    const uint64_t each = 0x0101010101010101u;
    uint64_t low = word & (each * 0x7f);
    uint64_t from_a = low + each * (0x80 - 'A');
    uint64_t beyond_z = low + each * (0x80 - 'Z' - 1);
    uint64_t upper = from_a & ~beyond_z & ~word & (each * 0x80);
    return word | upper >> 2;
}

static inline void absorb(struct sip *v, uint64_t word)
{
    v->d ^= word;
    sip_round(v);
    v->a ^= word;
}

static inline uint64_t sip(const uint8_t key[16], const uint8_t *p, size_t n, bool fold)
{
    uint64_t k0 = load_little_endian(key), k1 = load_little_endian(key + 8);
    /* The paper's constants: "somepseudorandomlygeneratedbytes". */
    struct sip v = { k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u };
    uint64_t last = (uint64_t)n << 56;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word = load_little_endian(p);
        absorb(&v, fold ? lower_word(word) : word);
    }
    uint64_t rest = 0;
    for (size_t i = 0; i < n; i++)
        rest |= (uint64_t)p[i] << (8 * i);
    absorb(&v, last | (fold ? lower_word(rest) : rest));
    v.c ^= 0xff;
    sip_round(&v);
    sip_round(&v);
    sip_round(&v);
    return v.a ^ v.b ^ v.c ^ v.d;
}

uint64_t siphash13(const uint8_t key[16], const void *p, size_t n)
{
    return sip(key, p, n, false);
}

uint64_t hash_bytes(const void *p, size_t n)
{
    return sip(process_key, p, n, false);
}

uint64_t hash_nocase(str s)
{
    return sip(process_key, (const uint8_t *)s.p, s.n, true);
}

void hash_seed(void)
{
    if (seeded)
        return;
    random_bytes(process_key, sizeof(process_key));
    seeded = true;
}

void random_bytes(void *p, size_t n)
{
    uint8_t *to = p;
    while (n) {
        ssize_t got = getrandom(to, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort(); /* guessable keys and tokens would be worse than no server */
        to += got;
        n -= (size_t)got;
    }
}
