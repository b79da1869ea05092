/* SPDX-License-Identifier: BSD-2-Clause */
/* strikes.h: the supervisor's book of modules that crashed the server: three strikes within ten minutes put one build
 * of a module into quarantine.
 *
 * Shape:   an entry a build, found by name and build (module_build.h); a replaced file begins anew.
 * Units:   milliseconds of a clock that only goes forward, passed in.
 * Life:    the supervisor's, over upgrades too (strikes_write, strikes_read); a restart of weir forgets all.
 * Limits:  64 entries; the oldest one that is not in quarantine makes room. */
#ifndef APP_STRIKES_H
#define APP_STRIKES_H

#include "pipeline/quarantine.h"

#include <stdio.h>

enum { STRIKES_OUT = 3, STRIKES_WITHIN_MS = 10 * 60 * 1000 };

struct strike_entry {
    char name[QUARANTINE_NAME], build[QUARANTINE_BUILD];
    uint64_t at[STRIKES_OUT]; /* the latest ones, oldest first */
    unsigned count;
    bool is_out, is_deep;
    char why[QUARANTINE_WHY]; /* when out */
};
struct strikes {
    struct strike_entry at[QUARANTINES_MOST];
    unsigned count;
};

enum strike { STRIKE_NOTED, STRIKE_OUT, STRIKE_DEEP };

/* One more crash of this build. STRIKE_OUT: with this one it is in quarantine. STRIKE_DEEP: it was, and crashed the
 * server all the same, or did so in load(): from now on not even that runs. how: the crash in a few words. */
enum strike strikes_add(struct strikes *strikes, str name, str build, bool at_start, uint64_t now, str how);
unsigned strikes_count(const struct strikes *strikes, str name, str build, uint64_t now); /* those that still count */
const struct strike_entry *strikes_find_out(const struct strikes *strikes, str name);     /* in quarantine, or NULL */
bool strikes_forget(struct strikes *strikes, str name); /* all builds of it; false: none was in quarantine */

void strikes_write(const struct strikes *strikes, FILE *to); /* lines "strike ..." */
bool strikes_read(struct strikes *strikes, str rest);        /* one of them, without the word in front */

#endif
