/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/process/kept_changes.h"

#include "app/process/channel.h"
#include "base/mem.h"

static str name_of(str record)
{
    return str_upto(record, str_find(record, ' '));
}

static bool has_orders(str record)
{
    str rest = str_from(record, name_of(record).n + 1);

    return str_find(rest, ' ') + 1 < rest.n;
}

static void forget(struct kept_changes *changes, str name)
{
    for (uint32_t i = 0; i < changes->count; i++)
        if (str_equal(name_of(str_of(changes->at[i])), name)) {
            mem_free(changes->at[i]);
            changes->at[i] = changes->at[--changes->count];
            return;
        }
}

bool kept_changes_put(struct kept_changes *changes, str record)
{
    if (!has_orders(record)) {
        forget(changes, name_of(record));
        return true;
    }
    char *copy = str_dup(record);
    char **at = copy ? mem_realloc(changes->at, (changes->count + 1) * sizeof(*at)) : NULL;
    if (!at) {
        mem_free(copy);
        return false;
    }
    changes->at = at;
    forget(changes, name_of(record));
    changes->at[changes->count++] = copy;
    return true;
}

bool kept_changes_send(const struct kept_changes *changes, int channel)
{
    for (uint32_t i = 0; i < changes->count; i++)
        if (channel_send(channel, "upstream", str_of(changes->at[i]), -1) != 0)
            return false;
    return true;
}

void kept_changes_write(const struct kept_changes *changes, FILE *to)
{
    for (uint32_t i = 0; i < changes->count; i++)
        fprintf(to, "upstream %s\n", changes->at[i]);
}

void kept_changes_finish(struct kept_changes *changes)
{
    for (uint32_t i = 0; i < changes->count; i++)
        mem_free(changes->at[i]);
    mem_free(changes->at);
    *changes = (struct kept_changes){ 0 };
}
