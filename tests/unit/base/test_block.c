/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/block.h"
#include "base/mem.h"

#include <pthread.h>
#include <string.h>

#ifdef WEIR_SANITIZED
#include <sanitizer/asan_interface.h>
#endif

static int start_empty(void **state)
{
    (void)state;
    block_drop_free_lists();
    return 0;
}

static void fresh_block(void **state)
{
    (void)state;
    static const uint32_t sizes[] = { 1, 100, BLOCK_SMALL, BLOCK_MEDIUM, BLOCK_LARGE, 1000000 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct block *block = block_create(sizes[i]);
        assert_int_equal(block->size, sizes[i]);
        assert_int_equal(block->used, 0);
        assert_false(block_is_shared(block));
        memset(block->data, 0x55, sizes[i]);
        block->used = sizes[i];
        block_unref(block);
    }
    block_unref(NULL);
}

static void references_are_counted(void **state)
{
    (void)state;
    uint64_t before = block_bytes_in_use();
    struct block *block = block_create(100);
    assert_ptr_equal(block_ref(block), block);
    assert_true(block_is_shared(block));
    assert_int_equal(block_bytes_in_use(), before + 100);
    block_unref(block);
    assert_false(block_is_shared(block));
    assert_int_equal(block_bytes_in_use(), before + 100);
    block_unref(block);
    assert_int_equal(block_bytes_in_use(), before);
}

static void recycled_block_is_as_new(void **state)
{
    (void)state;
    struct block *first = block_create(BLOCK_SMALL);
    first->used = 5;
    block_unref(first);
#ifdef WEIR_SANITIZED
    assert_true(__asan_address_is_poisoned(first->data)); /* use after release is seen although nothing was freed */
    assert_true(__asan_address_is_poisoned(first->data + BLOCK_SMALL - 1));
#endif
    mem_fail_after(0);
    struct block *again = block_create(BLOCK_SMALL);
    mem_fail_after(-1);
    assert_ptr_equal(again, first);
    assert_int_equal(again->used, 0);
    assert_int_equal(again->size, BLOCK_SMALL);
    assert_null(again->next);
    assert_false(block_is_shared(again));
    memset(again->data, 1, BLOCK_SMALL);
    block_unref(again);
}

/* How many of the given size a thread keeps: release many, then see how many come without the allocator. */
static int kept(uint32_t size)
{
    enum { MANY = 100 };
    struct block *blocks[MANY];
    for (int i = 0; i < MANY; i++)
        blocks[i] = block_create(size);
    for (int i = 0; i < MANY; i++)
        block_unref(blocks[i]);
    int count = 0;
    mem_fail_after(0);
    while (count < MANY && (blocks[count] = block_create(size)))
        count++;
    mem_fail_after(-1);
    for (int i = 0; i < count; i++)
        block_unref(blocks[i]);
    return count;
}

static void free_lists_are_bounded(void **state)
{
    (void)state;
    static const struct {
        uint32_t size;
        int kept;
    } rows[] = {
        {BLOCK_SMALL,      64},
        { BLOCK_MEDIUM,    32},
        { BLOCK_LARGE,     16},
        { BLOCK_SMALL + 1, 0 }, /* other sizes go back at once */
        { 64,              0 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(kept(rows[i].size), rows[i].kept);
    block_drop_free_lists();
    mem_fail_after(0);
    assert_null(block_create(BLOCK_SMALL));
    assert_null(block_create(BLOCK_LARGE));
    assert_null(block_create(64));
    assert_int_equal(mem_failures(), 3);
    mem_fail_after(-1);
}

static void failed_block_is_not_counted(void **state)
{
    (void)state;
    uint64_t before = block_bytes_in_use();
    mem_fail_after(0);
    assert_null(block_create(BLOCK_LARGE));
    mem_fail_after(-1);
    assert_int_equal(block_bytes_in_use(), before);
}

struct handover {
    struct block *block;
    uint8_t first_byte;
    int recycled_here;
};

static void *release(void *arg)
{
    struct handover *handover = arg;
    handover->first_byte = handover->block->data[0];
    struct block *given = handover->block;
    block_unref(given);
    struct block *again = block_create(BLOCK_SMALL); /* from this thread's list, not the creator's */
    handover->recycled_here = again == given;
    block_unref(again);
    block_drop_free_lists();
    return NULL;
}

static void another_thread_may_release(void **state)
{
    (void)state;
    uint64_t before = block_bytes_in_use();
    struct handover handover = { .block = block_create(BLOCK_SMALL) };
    handover.block->data[0] = 42;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, release, &handover), 0);
    pthread_join(thread, NULL);
    assert_int_equal(handover.first_byte, 42);
    assert_true(handover.recycled_here);
    assert_int_equal(block_bytes_in_use(), before);
    mem_fail_after(0);
    assert_null(block_create(BLOCK_SMALL)); /* none came back here */
    mem_fail_after(-1);
}

static void room_that_was_left_is_taken_by_the_next(void **state)
{
    (void)state;
    assert_null(block_take_aside(0));
    struct block *block = block_create(100);
    block_ref(block);
    block->used = 60;
    block_set_aside(block);
    assert_null(block_take_aside(41));
    assert_ptr_equal(block_take_aside(40), block);
    assert_int_equal(block->used, 60);
    assert_null(block_take_aside(0)); /* its writer is who took it, nobody else */
    block_unref(block);
    block_set_aside(block);
    assert_ptr_equal(block_take_aside(100), block); /* nobody holds any of its bytes now */
    assert_int_equal(block->used, 0);
    block_unref(block);
}

static void the_one_with_the_most_room_is_set_aside(void **state)
{
    (void)state;
    uint64_t before = block_bytes_in_use();
    struct block *small = block_create(50), *full = block_create(100), *large = block_create(90);
    full->used = 95;
    block_ref(full);
    block_set_aside(small);
    block_set_aside(full);
    block_unref(full);
    block_set_aside(large);
    assert_int_equal(block_bytes_in_use(), before + 90);
    assert_ptr_equal(block_take_aside(51), large);
    block_set_aside(large);
    block_drop_free_lists();
    assert_int_equal(block_bytes_in_use(), before);
}

enum { THREADS = 4, ROUNDS = 2000 };

static void *ref_and_unref(void *arg)
{
    struct block *block = arg;
    for (int i = 0; i < ROUNDS; i++) {
        block_ref(block);
        block_unref(block);
    }
    block_unref(block);
    block_drop_free_lists();
    return NULL;
}

/* Whoever lets go last releases it, exactly once: sanitizers see a leak or a second free. */
static void threads_share_one_block(void **state)
{
    (void)state;
    uint64_t before = block_bytes_in_use();
    struct block *block = block_create(BLOCK_LARGE);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        block_ref(block);
        assert_int_equal(pthread_create(&threads[i], NULL, ref_and_unref, block), 0);
    }
    block_unref(block);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(block_bytes_in_use(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(fresh_block, start_empty),
        cmocka_unit_test_setup(references_are_counted, start_empty),
        cmocka_unit_test_setup(recycled_block_is_as_new, start_empty),
        cmocka_unit_test_setup(free_lists_are_bounded, start_empty),
        cmocka_unit_test_setup(failed_block_is_not_counted, start_empty),
        cmocka_unit_test_setup(another_thread_may_release, start_empty),
        cmocka_unit_test_setup(room_that_was_left_is_taken_by_the_next, start_empty),
        cmocka_unit_test_setup(the_one_with_the_most_room_is_set_aside, start_empty),
        cmocka_unit_test_setup(threads_share_one_block, start_empty),
    };
    return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
