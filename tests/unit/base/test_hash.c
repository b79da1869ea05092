/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/hash.h"

#include "failing.h"

#include <stdio.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Key and message 00 01 02 ...: the vectors of the reference implementation with one and three rounds. */
static void reference_vectors(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint64_t hash;
    } rows[] = {
        {0,   0xabac0158050fc4dcu},
        { 1,  0xc9f49bf37d57ca93u},
        { 2,  0x82cb9b024dc7d44du},
        { 3,  0x8bf80ab8e7ddf7fbu},
        { 4,  0xcf75576088d38328u},
        { 5,  0xdef9d52f49533b67u},
        { 6,  0xc50d2b50c59f22a7u},
        { 7,  0xd3927d989bb11140u},
        { 8,  0x369095118d299a8eu},
        { 9,  0x25a48eb36c063de4u},
        { 15, 0xd320d86d2a519956u},
        { 16, 0xcc4fdd1a7d908b66u},
        { 18, 0x8ffc389cb473e63eu},
        { 27, 0xa91dc74e4ade3b35u},
    };
    uint8_t key[16], message[32];
    for (uint8_t i = 0; i < 16; i++)
        key[i] = i;
    for (uint8_t i = 0; i < 32; i++)
        message[i] = i;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_true(siphash13(key, message, rows[i].n) == rows[i].hash);
}

/* An all-zero key: what CPython, which has its own implementation, gives for byte strings with PYTHONHASHSEED=0. */
static void zero_key(void **state)
{
    (void)state;
    static const uint8_t key[16];
    assert_true(siphash13(key, "", 0) == 0xd1fba762150c532cu);
    assert_true(siphash13(key, "siphash", 7) == 0x8264ceeccb16bcbeu);
    assert_true(siphash13(key, "digest-sip_hash", 15) == 0xce31007e34130c0au);
}

/* hash_nocase(s) is hash_str(lower(s)) for every byte at every place of a word, and beside it. */
static void nocase_is_hash_of_lower(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        for (size_t at = 0; at < 19; at++) {
            char text[19], lower[19];
            memset(text, 'Q', sizeof(text));
            text[at] = (char)c;
            for (size_t i = 0; i < sizeof(text); i++)
                lower[i] = char_lower(text[i]);
            assert_true(hash_nocase((str){ text, 19 }) == hash_str((str){ lower, 19 }));
        }
    }
    assert_true(hash_nocase(S("Host")) == hash_nocase(S("hOST")));
    assert_true(hash_nocase(S("Host")) != hash_nocase(S("Hosts")));
    assert_true(hash_nocase(STR_NONE) == hash_str(S("")));
}

/* Runs last: the process key is 0 until then. */
static void seed_is_drawn_once(void **state)
{
    (void)state;
    static const uint8_t zero[16];
    assert_true(hash_str(S("weir")) == siphash13(zero, "weir", 4));
    hash_seed();
    uint64_t first = hash_str(S("weir"));
    assert_true(first != siphash13(zero, "weir", 4)); /* 1 in 2^64 */
    hash_seed();
    assert_true(hash_str(S("weir")) == first);
    assert_true(hash_bytes("weir", 4) == first);
}

static void random_bytes_fill_all(void **state)
{
    (void)state;
    uint8_t bytes[1000] = { 0 }, seen[256] = { 0 };
    random_bytes(bytes, 999);
    int kinds = 0;
    for (int i = 0; i < 999; i++)
        kinds += !seen[bytes[i]]++;
    assert_true(kinds > 100); /* far below what chance allows */
    assert_int_equal(bytes[999], 0);
    random_bytes(NULL, 0);
}

static void map_finds_what_was_put(void **state)
{
    (void)state;
    struct arena *arena = arena_create(1024, 0);
    struct strmap map = { 0 };
    static int values[1000];
    assert_null(strmap_find(&map, S("k0")));
    for (int i = 0; i < 1000; i++)
        assert_true(strmap_put(arena, &map, arena_printf(arena, "k%d", i), &values[i]));
    assert_int_equal(map.count, 1000);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        assert_ptr_equal(strmap_find(&map, str_of(key)), &values[i]);
    }
    assert_null(strmap_find(&map, S("k1000")));
    assert_null(strmap_find(&map, S("K1")));
    assert_null(strmap_find(&map, S("")));
    assert_true(strmap_put(arena, &map, S("k5"), &values[6])); /* replaces */
    assert_ptr_equal(strmap_find(&map, S("k5")), &values[6]);
    assert_int_equal(map.count, 1000);
    assert_true(strmap_put(arena, &map, STR_NONE, &values[0])); /* no bytes are a key too */
    assert_ptr_equal(strmap_find(&map, S("")), &values[0]);
    assert_true(strmap_put(arena, &map, S("null"), NULL));
    assert_null(strmap_find(&map, S("null")));
    assert_int_equal(map.count, 1002);
    arena_destroy(arena);
}

static bool fill_map(void *arg)
{
    (void)arg;
    struct arena *arena = arena_create(256, 0);
    if (!arena)
        return false;
    struct strmap map = { 0 };
    static const char keys[] = "abcdefghijklmnopqrstuvwxyz";
    uint32_t count = 0;
    while (count < 26 && strmap_put(arena, &map, (str){ keys + count, 1 }, (void *)(uintptr_t)(keys + count)))
        count++;
    assert_int_equal(map.count, count); /* what could not be put is not there, all else is */
    for (uint32_t i = 0; i < 26; i++)
        assert_ptr_equal(strmap_find(&map, (str){ keys + i, 1 }), i < count ? keys + i : NULL);
    arena_destroy(arena);
    return count == 26;
}

static void map_without_memory(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(fill_map, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_vectors),       cmocka_unit_test(zero_key),
        cmocka_unit_test(nocase_is_hash_of_lower), cmocka_unit_test(random_bytes_fill_all),
        cmocka_unit_test(map_finds_what_was_put),  cmocka_unit_test(map_without_memory),
        cmocka_unit_test(seed_is_drawn_once),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
