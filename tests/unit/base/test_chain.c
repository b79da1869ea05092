/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/chain.h"

#include "failing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint8_t pattern[400 * 1024]; /* never the same byte where a shifted copy would go unnoticed */

static int fill_pattern(void **state)
{
    (void)state;
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof(pattern); i++) {
        x = x * 1664525u + 1013904223u;
        pattern[i] = (uint8_t)(x >> 24);
    }
    return 0;
}

static size_t slices(const struct chain *chain)
{
    size_t count = 0;
    for (const struct slice *slice = chain->head; slice; slice = slice->next)
        count++;
    return count;
}

/* The chain holds exactly these bytes, its sums and ends agree, and no slice is empty. */
static void expect(const struct chain *chain, const void *bytes, size_t n)
{
    uint64_t sum = 0;
    const struct slice *last = NULL;
    for (const struct slice *slice = chain->head; slice; slice = slice->next) {
        assert_true(slice->n > 0);
        sum += slice->n;
        last = slice;
    }
    assert_ptr_equal(chain->tail, last);
    assert_int_equal(chain->n, sum);
    assert_int_equal(chain->n, n);
    assert_int_equal(chain_is_empty(chain), n == 0);
    uint8_t *copy = malloc(n + 1);
    assert_int_equal(chain_copy_out(chain, copy, n + 1), n);
    assert_memory_equal(copy, bytes, n);
    free(copy);
}

/* A block that is full to `used`, holding the pattern's first bytes. */
static struct block *block_of(uint32_t size, uint32_t used)
{
    struct block *block = block_create(size);
    memcpy(block->data, pattern, used);
    block->used = used;
    return block;
}

static struct chain_file *pattern_file(void)
{
    FILE *file = tmpfile();
    assert_int_equal(fwrite(pattern, 1, sizeof(pattern), file), sizeof(pattern));
    assert_int_equal(fflush(file), 0);
    struct chain_file *shared = chain_file_create(dup(fileno(file)));
    fclose(file);
    return shared;
}

static void empty_chain(void **state)
{
    (void)state;
    struct chain chain, other;
    struct iovec iov[1];
    chain_init(&chain);
    chain_init(&other);
    assert_true(chain_is_empty(&chain));
    assert_int_equal(chain_peek(&chain).n, 0);
    assert_null(chain_peek(&chain).p);
    assert_int_equal(chain_iovec(&chain, iov, 1, 100), 0);
    assert_int_equal(chain_copy_out(&chain, iov, 1), 0);
    chain_eat(&chain, 0);
    chain_move_all(&chain, &other);
    assert_int_equal(chain_move(&chain, &other, 10), 0);
    chain_clear(&chain);
    /* Nothing appended is nothing: no slice without bytes. */
    struct block *block = block_create(100);
    assert_true(chain_append_copy(&chain, NULL, 0));
    assert_true(chain_prepend_copy(&chain, NULL, 0));
    assert_true(chain_append_static(&chain, "", 0));
    assert_true(chain_append_block(&chain, block, block->data, 0));
    expect(&chain, "", 0);
    assert_false(block_is_shared(block));
    block_unref(block);
}

static void static_bytes_are_not_copied(void **state)
{
    (void)state;
    static const char text[] = "0\r\n\r\n";
    struct chain chain;
    chain_init(&chain);
    assert_true(chain_append_static(&chain, text, 5));
    assert_ptr_equal(chain_peek(&chain).p, text);
    assert_int_equal(chain_peek(&chain).n, 5);
    chain_eat(&chain, 3);
    assert_ptr_equal(chain_peek(&chain).p, text + 3);
    expect(&chain, "\r\n", 2);
    chain_clear(&chain);
    expect(&chain, "", 0);
}

static void blocks_are_referenced(void **state)
{
    (void)state;
    struct chain chain;
    struct block *block = block_of(100, 50);
    chain_init(&chain);
    assert_true(chain_append_block(&chain, block, block->data + 10, 20));
    assert_true(block_is_shared(block));
    expect(&chain, pattern + 10, 20);
    chain_eat(&chain, 20);
    assert_false(block_is_shared(block)); /* the last byte gone, the reference gone */
    assert_true(chain_append_block(&chain, block, block->data, 1));
    chain_clear(&chain);
    assert_false(block_is_shared(block));
    block_unref(block);
}

static void contiguous_appends_become_one_slice(void **state)
{
    (void)state;
    struct chain chain;
    struct block *a = block_of(100, 100), *b = block_of(100, 100);
    chain_init(&chain);
    assert_true(chain_append_block(&chain, a, a->data, 10));
    assert_true(chain_append_block(&chain, a, a->data + 10, 10)); /* goes on where the tail ends */
    assert_int_equal(slices(&chain), 1);
    expect(&chain, pattern, 20);
    assert_true(chain_append_block(&chain, a, a->data + 30, 10)); /* a gap */
    assert_int_equal(slices(&chain), 2);
    assert_true(chain_append_block(&chain, b, b->data + 40, 10)); /* another block */
    assert_int_equal(slices(&chain), 3);
    assert_true(chain_append_block(&chain, b, b->data + 30, 10)); /* backwards */
    assert_int_equal(slices(&chain), 4);
    chain_clear(&chain);
    assert_false(block_is_shared(a) || block_is_shared(b));
    block_unref(a);
    block_unref(b);
}

static void copies_fill_the_spare_room(void **state)
{
    (void)state;
    struct chain chain;
    chain_init(&chain);
    size_t n = 0;
    for (size_t step = 1; n + step < BLOCK_SMALL; n += step++)
        assert_true(chain_append_copy(&chain, pattern + n, step));
    assert_int_equal(slices(&chain), 1);
    expect(&chain, pattern, n);
    /* Across the block's end: what fits goes there, the rest into a new block. */
    assert_true(chain_append_copy(&chain, pattern + n, 1000));
    n += 1000;
    assert_int_equal(slices(&chain), 2);
    assert_int_equal(chain.head->n, BLOCK_SMALL);
    expect(&chain, pattern, n);
    chain_clear(&chain);
}

static void spare_room_of_others_is_left_alone(void **state)
{
    (void)state;
    struct chain chain;
    chain_init(&chain);
    /* The holder of a second reference may be writing behind `used`. */
    struct block *block = block_of(100, 10);
    assert_true(chain_append_block(&chain, block, block->data, 10));
    memset(block->data + 10, '#', 90);
    assert_true(chain_append_copy(&chain, pattern + 10, 5));
    assert_int_equal(slices(&chain), 2);
    assert_int_equal(block->data[10], '#');
    assert_int_equal(block->used, 10);
    expect(&chain, pattern, 15);
    chain_clear(&chain);
    /* Alone, but the slice does not end where the block's bytes end. */
    assert_true(chain_append_block(&chain, block, block->data, 9));
    block_unref(block);
    assert_true(chain_append_copy(&chain, pattern + 9, 5));
    assert_int_equal(slices(&chain), 2);
    expect(&chain, pattern, 14);
    chain_clear(&chain);
    /* Alone and at the end: filled. */
    block = block_of(100, 10);
    assert_true(chain_append_block(&chain, block, block->data + 2, 8));
    block_unref(block);
    assert_true(chain_append_copy(&chain, pattern + 10, 90));
    assert_int_equal(slices(&chain), 1);
    expect(&chain, pattern + 2, 98);
    assert_true(chain_append_copy(&chain, pattern + 100, 1)); /* full now */
    assert_int_equal(slices(&chain), 2);
    chain_clear(&chain);
    /* Static bytes have no room behind them. */
    assert_true(chain_append_static(&chain, pattern, 4));
    assert_true(chain_append_copy(&chain, pattern + 4, 4));
    assert_int_equal(slices(&chain), 2);
    expect(&chain, pattern, 8);
    chain_clear(&chain);
}

static void large_copies(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1,           BLOCK_SMALL,     BLOCK_SMALL + 1, 2 * BLOCK_SMALL + 1,
                                    BLOCK_LARGE, BLOCK_LARGE + 1, 3 * BLOCK_LARGE };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct chain chain;
        chain_init(&chain);
        assert_true(chain_append_copy(&chain, pattern + 5, sizes[i]));
        assert_true(chain_prepend_copy(&chain, pattern, 5));
        expect(&chain, pattern, sizes[i] + 5);
        chain_clear(&chain);
        assert_true(chain_append_static(&chain, pattern + sizes[i], 7));
        assert_true(chain_prepend_copy(&chain, pattern, sizes[i]));
        expect(&chain, pattern, sizes[i] + 7);
        chain_clear(&chain);
    }
}

static void file_ranges(void **state)
{
    (void)state;
    struct chain chain, part;
    chain_init(&chain);
    chain_init(&part);
    struct chain_file *file = pattern_file();
    int fd = file->fd;
    assert_true(chain_append_file(&chain, file, 0, 0));
    assert_true(chain_append_file(&chain, file, 100, 50));
    assert_true(chain_append_file(&chain, file, 150, 50)); /* goes on: the same slice */
    assert_int_equal(slices(&chain), 1);
    assert_true(chain_append_file(&chain, file, 300, 10));
    assert_int_equal(slices(&chain), 2);
    chain_file_unref(file); /* the slices keep it */
    assert_null(chain_peek(&chain).p);
    assert_int_equal(chain_peek(&chain).n, 100);
    struct iovec iov[4];
    assert_int_equal(chain_iovec(&chain, iov, 4, SIZE_MAX), 0);
    chain_eat(&chain, 30);
    assert_int_equal(chain_move(&part, &chain, 20), 20);
    expect(&part, pattern + 130, 20);
    chain_eat(&chain, 50);
    expect(&chain, pattern + 300, 10);
    chain_clear(&chain);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    chain_clear(&part);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed with its last slice */
}

static void file_that_was_cut_short(void **state)
{
    (void)state;
    struct chain chain;
    uint8_t copy[200];
    chain_init(&chain);
    struct chain_file *file = pattern_file();
    assert_true(chain_append_static(&chain, "ab", 2));
    assert_true(chain_append_file(&chain, file, sizeof(pattern) - 10, 100));
    assert_true(chain_append_static(&chain, "cd", 2));
    assert_int_equal(chain_copy_out(&chain, copy, sizeof(copy)), 12); /* nothing behind the gap */
    assert_memory_equal(copy + 2, pattern + sizeof(pattern) - 10, 10);
    assert_false(chain_append_file(&chain, file, UINT64_MAX, 2)); /* no such range */
    assert_int_equal(chain.n, 104);
    chain_clear(&chain);
    chain_file_unref(file);
    chain_file_unref(NULL);
}

static void moving_all(void **state)
{
    (void)state;
    struct chain to, from;
    struct block *block = block_of(100, 100);
    chain_init(&to);
    chain_init(&from);
    assert_true(chain_append_block(&to, block, block->data, 10));
    assert_true(chain_append_block(&from, block, block->data + 10, 10));
    chain_move_all(&to, &from); /* joins what belongs together */
    assert_int_equal(slices(&to), 1);
    expect(&to, pattern, 20);
    expect(&from, "", 0);
    assert_true(chain_append_block(&from, block, block->data + 20, 10));
    assert_true(chain_append_static(&from, pattern + 30, 10));
    chain_move_all(&to, &from);
    assert_int_equal(slices(&to), 2);
    expect(&to, pattern, 40);
    expect(&from, "", 0);
    chain_move_all(&from, &to); /* onto an empty one */
    expect(&from, pattern, 40);
    expect(&to, "", 0);
    chain_clear(&from);
    assert_false(block_is_shared(block));
    block_unref(block);
}

/* Every cut through three slices of different kinds: the parts are right, and put together again they are the whole. */
/* Content that a peer cuts into small pieces fills blocks; each piece for itself holds nothing. */
static void small_parts_are_copied_together(void **state)
{
    static const struct {
        size_t part, slices_most;
        bool in_own_chain;
    } rows[] = { { 1, 1, false }, { 1, 1, true }, { 511, 2, false }, { 511, 2, true }, { 512, 40, false } };
    enum { PARTS = 40 };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct block *block = block_of(BLOCK_LARGE, BLOCK_LARGE); /* parts lie apart in it, as chunks do */
        struct chain chain;
        uint8_t *expected = malloc(PARTS * rows[i].part);
        chain_init(&chain);
        for (size_t k = 0; k < PARTS; k++) {
            const uint8_t *p = block->data + k * 1024;
            struct chain own;
            chain_init(&own);
            assert_true(chain_append_part(rows[i].in_own_chain ? &own : &chain, block, p, rows[i].part));
            chain_move_all(&chain, &own);
            expect(&own, "", 0);
            memcpy(expected + k * rows[i].part, p, rows[i].part);
        }
        expect(&chain, expected, PARTS * rows[i].part);
        assert_true(slices(&chain) <= rows[i].slices_most);
        assert_int_equal(block_is_shared(block), rows[i].part >= 512);
        chain_clear(&chain);
        block_unref(block);
        free(expected);
    }
    assert_int_equal(block_bytes_in_use(), 0);
}

static void moving_every_part(void **state)
{
    (void)state;
    struct chain_file *file = pattern_file();
    for (uint64_t n = 0; n <= 34; n++) {
        struct chain to, from;
        chain_init(&to);
        chain_init(&from);
        assert_true(chain_append_copy(&from, pattern, 10));
        assert_true(chain_append_file(&from, file, 10, 10));
        assert_true(chain_append_static(&from, pattern + 20, 10));
        size_t part = n < 30 ? (size_t)n : 30;
        assert_int_equal(chain_move(&to, &from, n), part);
        expect(&to, pattern, part);
        expect(&from, pattern + part, 30 - part);
        assert_int_equal(chain_move(&to, &from, UINT64_MAX), 30 - part);
        expect(&to, pattern, 30);
        expect(&from, "", 0);
        if (part < 20)
            assert_int_equal(slices(&to), 3); /* cut and joined again: no crumbs */
        chain_clear(&to);
    }
    chain_file_unref(file);
}

static void iovec_limits(void **state)
{
    (void)state;
    struct chain chain;
    struct chain_file *file = pattern_file();
    chain_init(&chain);
    assert_true(chain_append_static(&chain, "abc", 3));
    assert_true(chain_append_copy(&chain, "defg", 4));
    assert_true(chain_append_static(&chain, "hi", 2));
    assert_true(chain_append_file(&chain, file, 0, 5));
    assert_true(chain_append_static(&chain, "never", 5));
    static const struct {
        int max;
        size_t most;
        const char *parts[4];
    } rows[] = {
        {0,  100,      { NULL }               },
        { 9, 0,        { NULL }               },
        { 9, SIZE_MAX, { "abc", "defg", "hi" }}, /* up to the file */
        { 2, SIZE_MAX, { "abc", "defg" }      },
        { 9, 2,        { "ab" }               },
        { 9, 3,        { "abc" }              },
        { 9, 4,        { "abc", "d" }         },
        { 9, 9,        { "abc", "defg", "hi" }},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct iovec iov[9];
        int count = chain_iovec(&chain, iov, rows[i].max, rows[i].most), k = 0;
        for (; rows[i].parts[k]; k++) {
            assert_true(k < count);
            assert_int_equal(iov[k].iov_len, strlen(rows[i].parts[k]));
            assert_memory_equal(iov[k].iov_base, rows[i].parts[k], iov[k].iov_len);
        }
        assert_int_equal(count, k);
    }
    char copy[4] = "###";
    assert_int_equal(chain_copy_out(&chain, copy, 2), 2); /* and not a byte more */
    assert_string_equal(copy, "ab#");
    chain_clear(&chain);
    chain_file_unref(file);
}

static void slices_are_recycled_within_bounds(void **state)
{
    (void)state;
    enum { MANY = 600 };
    struct chain chain;
    chain_init(&chain);
    chain_drop_free_list();
    for (int i = 0; i < MANY; i++)
        assert_true(chain_append_static(&chain, pattern + 2 * i, 1));
    chain_clear(&chain);
    mem_fail_after(0);
    size_t count = 0;
    while (count < MANY && chain_append_static(&chain, pattern, 1))
        count++;
    mem_fail_after(-1);
    assert_int_equal(count, 512);
    assert_int_equal(slices(&chain), 512);
    chain_clear(&chain);
    chain_drop_free_list();
}

/* Twenty thousand random steps on two chains, beside two flat byte arrays that must say the same. */
struct model {
    uint8_t bytes[200000];
    size_t n;
};

static uint32_t draw(uint32_t below)
{
    static uint32_t x = 2463534242u; /* xorshift32: the same steps on every run */
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x % below;
}

static void model_append(struct model *model, const uint8_t *p, size_t n)
{
    memcpy(model->bytes + model->n, p, n);
    model->n += n;
}

static void model_eat(struct model *model, size_t n)
{
    memmove(model->bytes, model->bytes + n, model->n - n);
    model->n -= n;
}

static void step(struct chain *chain, struct model *model, struct chain *other, struct model *other_model,
                 struct chain_file *file, struct block *block)
{
    size_t n = draw(10) ? draw(300) : draw(20000), at = draw((uint32_t)(sizeof(pattern) - n));
    size_t in_block = draw(1000), block_part = draw(100);
    if (model->n + n > sizeof(model->bytes) / 2)
        n = 0;
    switch (draw(9)) {
    case 0:
    case 1:
        assert_true(chain_append_copy(chain, pattern + at, n));
        model_append(model, pattern + at, n);
        break;
    case 2:
        assert_true(chain_append_static(chain, pattern + at, n));
        model_append(model, pattern + at, n);
        break;
    case 3:
        assert_true(chain_append_file(chain, file, at, n));
        model_append(model, pattern + at, n);
        break;
    case 4:
        assert_true(chain_append_block(chain, block, block->data + in_block, block_part));
        model_append(model, pattern + in_block, block_part);
        break;
    case 5:
        assert_true(chain_prepend_copy(chain, pattern + at, n));
        memmove(model->bytes + n, model->bytes, model->n);
        memcpy(model->bytes, pattern + at, n);
        model->n += n;
        break;
    case 6:
        n = draw((uint32_t)model->n + 1);
        chain_eat(chain, n);
        model_eat(model, n);
        break;
    case 7:
        n = draw((uint32_t)model->n + 1);
        if (other_model->n + n > sizeof(model->bytes) / 2)
            break;
        assert_int_equal(chain_move(other, chain, n), n);
        model_append(other_model, model->bytes, n);
        model_eat(model, n);
        break;
    default:
        if (other_model->n + model->n > sizeof(model->bytes) / 2)
            break;
        chain_move_all(other, chain);
        model_append(other_model, model->bytes, model->n);
        model->n = 0;
    }
}

static void random_steps_agree_with_flat_bytes(void **state)
{
    (void)state;
    struct chain chains[2];
    struct model *models = calloc(2, sizeof(*models));
    struct chain_file *file = pattern_file();
    struct block *block = block_of(2000, 2000);
    chain_init(&chains[0]);
    chain_init(&chains[1]);
    for (int i = 0; i < 20000; i++) {
        uint32_t one = draw(2);
        step(&chains[one], &models[one], &chains[1 - one], &models[1 - one], file, block);
        assert_int_equal(chains[0].n, models[0].n);
        assert_int_equal(chains[1].n, models[1].n);
        if (i % 50 == 0) {
            expect(&chains[0], models[0].bytes, models[0].n);
            expect(&chains[1], models[1].bytes, models[1].n);
        }
    }
    chain_clear(&chains[0]);
    chain_clear(&chains[1]);
    assert_false(block_is_shared(block));
    assert_int_equal(atomic_load(&file->refs), 1);
    block_unref(block);
    chain_file_unref(file);
    free(models);
}

/* Each append fails or does all of it; a failed one leaves the chain as it was. */
static void reserved_room_becomes_the_end(void **state)
{
    (void)state;
    struct chain chain;
    uint8_t *p;
    chain_init(&chain);
    assert_int_equal(chain_reserve(&chain, 10, &p), BLOCK_SMALL);
    assert_true(chain_is_empty(&chain)); /* nothing is in it before it is committed */
    chain_commit(&chain, 0);
    expect(&chain, pattern, 0);
    memcpy(p, pattern, 100);
    assert_int_equal(chain_reserve(&chain, 10, &p), BLOCK_SMALL); /* the same room again */
    memcpy(p, pattern, 100);
    chain_commit(&chain, 100);
    expect(&chain, pattern, 100);

    size_t room = chain_reserve(&chain, 1, &p); /* behind the last byte, in the same block */
    assert_int_equal(room, BLOCK_SMALL - 100);
    assert_ptr_equal(p, chain.tail->p + 100);
    memcpy(p, pattern + 100, room);
    chain_commit(&chain, room - 5);
    expect(&chain, pattern, BLOCK_SMALL - 5);
    assert_int_equal(slices(&chain), 1);

    assert_int_equal(chain_reserve(&chain, 6, &p), BLOCK_SMALL); /* five are too few: a new block */
    memcpy(p, pattern + BLOCK_SMALL - 5, 6);
    chain_commit(&chain, 6);
    expect(&chain, pattern, BLOCK_SMALL + 1);
    assert_int_equal(slices(&chain), 2);
    chain_clear(&chain);
}

static void reserved_room_is_nobody_elses(void **state)
{
    (void)state;
    struct chain chain, other;
    struct block *block = block_of(BLOCK_SMALL, 50);
    uint8_t *p;
    chain_init(&chain);
    chain_init(&other);
    chain_append_block(&chain, block, block->data, 50); /* still held by us: its spare room is not the chain's */
    assert_int_equal(chain_reserve(&chain, 1, &p), BLOCK_SMALL);
    assert_false(p >= block->data && p < block->data + block->size);
    block_unref(block);

    chain_reserve(&other, 1, &p); /* asked for one chain, then for another: it is filled where it was asked for last */
    memcpy(p, pattern, 3);
    chain_commit(&other, 3);
    expect(&other, pattern, 3);
    expect(&chain, pattern, 50);
    chain_clear(&chain);
    chain_clear(&other);
}

static void file_at_the_front_is_loaded(void **state)
{
    (void)state;
    struct chain chain;
    struct chain_file *file = pattern_file();
    chain_init(&chain);
    assert_true(chain_load_head(&chain)); /* nothing to load */
    chain_append_file(&chain, file, 10, 50);
    chain_append_copy(&chain, pattern + 60, 5);
    assert_true(chain_load_head(&chain));
    assert_memory_equal(chain_peek(&chain).p, pattern + 10, 50);
    assert_true(chain_load_head(&chain)); /* is there already */
    expect(&chain, pattern + 10, 55);
    chain_clear(&chain);

    chain_append_file(&chain, file, 0, BLOCK_LARGE + 7); /* more than one block holds: the rest stays a file range */
    assert_true(chain_load_head(&chain));
    assert_int_equal(chain_peek(&chain).n, BLOCK_LARGE);
    expect(&chain, pattern, BLOCK_LARGE + 7);
    chain_eat(&chain, BLOCK_LARGE);
    assert_null(chain_peek(&chain).p);
    assert_true(chain_load_head(&chain));
    assert_memory_equal(chain_peek(&chain).p, pattern + BLOCK_LARGE, 7);
    chain_clear(&chain);

    chain_append_file(&chain, file, sizeof(pattern), 5); /* behind the file's end */
    assert_false(chain_load_head(&chain));
    assert_int_equal(chain.n, 5);
    chain_clear(&chain);
    chain_file_unref(file);
}

static bool reserve_and_load(void *arg)
{
    struct chain_file *file = arg;
    struct chain chain, from_file;
    uint8_t *p;
    chain_init(&chain);
    chain_init(&from_file);
    bool done = chain_reserve(&chain, 100, &p) > 0;
    if (done) {
        memcpy(p, pattern, 100);
        chain_commit(&chain, 100);
    }
    expect(&chain, pattern, done ? 100 : 0);
    if (done)
        done = chain_append_file(&from_file, file, 0, 100);
    if (done) {
        chain_drop_free_list();
        done = chain_load_head(&from_file);
        expect(&from_file, pattern, 100);
    }
    chain_clear(&chain);
    chain_clear(&from_file);
    return done;
}

static void reserving_without_memory(void **state)
{
    (void)state;
    struct chain_file *file = pattern_file();
    assert_true(fail_each_allocation(reserve_and_load, file) >= 4);
    chain_file_unref(file);
}

static bool append_everything(void *arg)
{
    int *fd = arg;
    struct chain chain, part;
    chain_init(&chain);
    chain_init(&part);
    struct chain_file *file = NULL;
    size_t n = 0;
    bool done = chain_append_copy(&chain, pattern, 10);
    n += done ? 10 : 0;
    expect(&chain, pattern, n);
    if (done) {
        done = chain_append_copy(&chain, pattern + 10, 2 * BLOCK_LARGE); /* spare room, then several blocks */
        n += done ? 2 * BLOCK_LARGE : 0;
        expect(&chain, pattern, n);
    }
    if (done) {
        done = chain_append_static(&chain, pattern + n, 10);
        n += done ? 10 : 0;
        expect(&chain, pattern, n);
    }
    if (done) {
        file = chain_file_create(*fd);
        done = file && chain_append_file(&chain, file, n, 10);
        n += done ? 10 : 0;
        expect(&chain, pattern, n);
    }
    if (done) {
        done = chain_prepend_copy(&chain, pattern, 3 * BLOCK_SMALL);
        assert_int_equal(chain.n, n + (done ? 3 * BLOCK_SMALL : 0));
        if (done)
            chain_eat(&chain, 3 * BLOCK_SMALL);
        expect(&chain, pattern, n);
    }
    if (done) {
        chain_drop_free_list(); /* cutting a slice in two takes one */
        uint64_t moved = chain_move(&part, &chain, 5);
        done = moved == 5;
        assert_true(done || moved == 0);
        expect(&part, pattern, (size_t)moved);
        expect(&chain, pattern + moved, n - (size_t)moved);
    }
    chain_clear(&chain);
    chain_clear(&part);
    if (file) { /* it took the descriptor and has closed it: the next run needs another */
        chain_file_unref(file);
        assert_int_equal(fcntl(*fd, F_GETFD), -1);
        FILE *again = tmpfile();
        fwrite(pattern, 1, sizeof(pattern), again);
        fflush(again);
        *fd = dup(fileno(again));
        fclose(again);
    }
    return done;
}

static void without_memory(void **state)
{
    (void)state;
    struct chain_file *file = pattern_file();
    int fd = dup(file->fd);
    chain_file_unref(file);
    assert_true(fail_each_allocation(append_everything, &fd) >= 10);
    close(fd);
}

static int drop_free_lists(void **state)
{
    (void)state;
    chain_drop_free_list();
    block_drop_free_lists();
    return block_bytes_in_use() == 0 ? 0 : -1; /* every test gave back all it took */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(empty_chain, drop_free_lists),
        cmocka_unit_test_teardown(static_bytes_are_not_copied, drop_free_lists),
        cmocka_unit_test_teardown(blocks_are_referenced, drop_free_lists),
        cmocka_unit_test_teardown(contiguous_appends_become_one_slice, drop_free_lists),
        cmocka_unit_test_teardown(copies_fill_the_spare_room, drop_free_lists),
        cmocka_unit_test_teardown(spare_room_of_others_is_left_alone, drop_free_lists),
        cmocka_unit_test_teardown(large_copies, drop_free_lists),
        cmocka_unit_test_teardown(file_ranges, drop_free_lists),
        cmocka_unit_test_teardown(file_that_was_cut_short, drop_free_lists),
        cmocka_unit_test_teardown(moving_all, drop_free_lists),
        cmocka_unit_test_teardown(small_parts_are_copied_together, drop_free_lists),
        cmocka_unit_test_teardown(moving_every_part, drop_free_lists),
        cmocka_unit_test_teardown(iovec_limits, drop_free_lists),
        cmocka_unit_test_teardown(slices_are_recycled_within_bounds, drop_free_lists),
        cmocka_unit_test_teardown(random_steps_agree_with_flat_bytes, drop_free_lists),
        cmocka_unit_test_teardown(reserved_room_becomes_the_end, drop_free_lists),
        cmocka_unit_test_teardown(reserved_room_is_nobody_elses, drop_free_lists),
        cmocka_unit_test_teardown(file_at_the_front_is_loaded, drop_free_lists),
        cmocka_unit_test_teardown(reserving_without_memory, drop_free_lists),
        cmocka_unit_test_teardown(without_memory, drop_free_lists),
    };
    return cmocka_run_group_tests_name("chain", tests, fill_pattern, NULL);
}
