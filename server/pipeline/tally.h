/* SPDX-License-Identifier: BSD-2-Clause */
/* tally.h: the counters of one thing (a site, a server), found by its name: each worker counts in a row of its own,
 * whoever asks adds up.
 *
 * Shape:   a row is `count` numbers, made when a worker counts for the first time. What goes up and down is counted the
 *          same way, by 1 and -1: the sum is right, whoever counted what.
 * Owner:   counted references. Configurations hold what they name, so that a reload forgets nothing, and what they no
 *          longer name is gone with the last of them.
 * Thread:  get, ref, release: any, under a lock; here, add: threads with a worker, without one; sum: any with a
 *          reference.
 * Errors:  NULL without memory; a tally that is NULL counts nothing. */
#ifndef PIPELINE_TALLY_H
#define PIPELINE_TALLY_H

#include "base/latency.h"
#include "base/str.h"

#include <stdbool.h>

struct tally;

struct tally *tally_get(str key, uint32_t count); /* the key says what kind it is: one kind, one count */
struct tally *tally_ref(struct tally *tally);
void tally_release(struct tally *tally);

uint64_t *tally_here(struct tally *tally); /* this thread's row; NULL: none */
void tally_add(struct tally *tally, uint32_t i, int64_t by);
void tally_time(struct tally *tally, uint32_t i, uint64_t us); /* the row's part from i on is a row of latency.h */
void tally_sum(const struct tally *tally, uint64_t *sums);     /* count numbers */
uint64_t tally_sum_of(const struct tally *tally, uint32_t i);
uint32_t tallies_count(void); /* alive: for tests */

#endif
