/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/process/strikes.h"

#include <inttypes.h>

static bool is_entry(const struct strike_entry *e, str name, str build)
{
    return str_equal(str_of(e->name), name) && str_equal(str_of(e->build), build);
}

static struct strike_entry *find(struct strikes *strikes, str name, str build)
{
    for (unsigned i = 0; i < strikes->count; i++)
        if (is_entry(&strikes->at[i], name, build))
            return &strikes->at[i];
    return NULL;
}

static uint64_t last_of(const struct strike_entry *e)
{
    return e->count ? e->at[e->count - 1] : 0;
}

/* NULL when all 64 are in quarantine. */
static struct strike_entry *find_room(struct strikes *strikes)
{
    struct strike_entry *oldest = NULL;

    if (strikes->count < QUARANTINES_MOST)
        return &strikes->at[strikes->count++];
    for (unsigned i = 0; i < strikes->count; i++) {
        struct strike_entry *e = &strikes->at[i];
        if (!e->is_out && (!oldest || last_of(e) < last_of(oldest)))
            oldest = e;
    }
    return oldest;
}

static void copy(char *to, size_t room, str from)
{
    size_t n = from.n < room ? from.n : room - 1;

    memcpy(to, from.p, n);
    to[n] = '\0';
}

static struct strike_entry *obtain(struct strikes *strikes, str name, str build)
{
    struct strike_entry *e = find(strikes, name, build);

    if (e || !name.n || !build.n || name.n >= sizeof(e->name) || build.n >= sizeof(e->build))
        return e;
    e = find_room(strikes);
    if (!e)
        return NULL;
    *e = (struct strike_entry){ 0 };
    copy(e->name, sizeof(e->name), name);
    copy(e->build, sizeof(e->build), build);
    return e;
}

static void forget_old(struct strike_entry *e, uint64_t now)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < e->count; i++)
        if (now - e->at[i] <= STRIKES_WITHIN_MS)
            e->at[kept++] = e->at[i];
    e->count = kept;
}

enum strike strikes_add(struct strikes *strikes, str name, str build, bool at_start, uint64_t now, str how)
{
    struct strike_entry *e = obtain(strikes, name, build);

    if (!e)
        return STRIKE_NOTED;
    if (e->is_out) {
        enum strike found = e->is_deep ? STRIKE_NOTED : STRIKE_DEEP;
        e->is_deep = true;
        return found;
    }
    forget_old(e, now);
    e->at[e->count++] = now; /* there is room: with three it is out */
    if (e->count < STRIKES_OUT)
        return STRIKE_NOTED;
    e->is_out = true;
    e->is_deep = at_start;
    snprintf(e->why, sizeof(e->why), "%u crashes within %" PRIu64 " s, the last: %.*s", e->count,
             (now - e->at[0] + 999) / 1000, STR_ARG(how));
    return STRIKE_OUT;
}

unsigned strikes_count(const struct strikes *strikes, str name, str build, uint64_t now)
{
    struct strike_entry *e = find((struct strikes *)(uintptr_t)strikes, name, build);

    if (!e)
        return 0;
    struct strike_entry fresh = *e;
    forget_old(&fresh, now);
    return fresh.count;
}

const struct strike_entry *strikes_find_out(const struct strikes *strikes, str name)
{
    for (unsigned i = 0; i < strikes->count; i++)
        if (strikes->at[i].is_out && str_equal(str_of(strikes->at[i].name), name))
            return &strikes->at[i];
    return NULL;
}

bool strikes_forget(struct strikes *strikes, str name)
{
    bool was_out = false;

    for (unsigned i = 0; i < strikes->count;) {
        struct strike_entry *e = &strikes->at[i];
        if (!str_equal(str_of(e->name), name)) {
            i++;
            continue;
        }
        was_out |= e->is_out;
        *e = strikes->at[--strikes->count];
    }
    return was_out;
}

/* -- through an upgrade -------------------------------------------------------------------------------------------- */

void strikes_write(const struct strikes *strikes, FILE *to)
{
    for (unsigned i = 0; i < strikes->count; i++) {
        const struct strike_entry *e = &strikes->at[i];
        fprintf(to, "strike %s %s %d %d %u", e->name, e->build, e->is_out, e->is_deep, e->count);
        for (unsigned k = 0; k < e->count; k++)
            fprintf(to, " %" PRIu64, e->at[k]);
        fprintf(to, " %s\n", e->why);
    }
}

static bool take_number(str *rest, uint64_t most, uint64_t *out)
{
    str word;

    return str_split(rest, ' ', &word) && str_to_u64(word, out) && *out <= most;
}

bool strikes_read(struct strikes *strikes, str rest)
{
    str name, build;
    uint64_t is_out, is_deep, count;

    if (!str_split(&rest, ' ', &name) || !str_split(&rest, ' ', &build) || !take_number(&rest, 1, &is_out) ||
        !take_number(&rest, 1, &is_deep) || !take_number(&rest, STRIKES_OUT, &count))
        return false;
    struct strike_entry *e = obtain(strikes, name, build);
    if (!e)
        return false;
    for (e->count = 0; e->count < count; e->count++)
        if (!take_number(&rest, UINT64_MAX, &e->at[e->count]))
            return false;
    e->is_out = is_out;
    e->is_deep = is_deep;
    copy(e->why, sizeof(e->why), rest);
    return true;
}
