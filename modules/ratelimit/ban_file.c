/* SPDX-License-Identifier: BSD-2-Clause */
/* ban_file.c: a line a ban: "192.0.2.1/32 1795000000 refusals": network, end in seconds since 1970 or 0, origin.
 * Written a second after a change at the latest. */
#include "bans.h"
#include "network.h"
#include "state_file.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_FORGET_MS = 60 * 1000 };

static char file_path[PATH_MAX];
static atomic_flag is_writing = ATOMIC_FLAG_INIT;

static void read_line(const char *line, uint64_t now)
{
    char network[NETWORK_ROOM], origin[16];
    unsigned long long until;
    struct ban ban;

    if (sscanf(line, "%63s %llu %15s", network, &until, origin) != 3 || until > UINT64_MAX / 1000 ||
        !network_read((weir_str){ network, strlen(network) }, ban.address, &ban.bits)) {
        weir_log(WEIR_LOG_WARN, "%s: no ban: %.100s", file_path, line);
        return;
    }
    ban.by = strcmp(origin, "refusals") == 0 ? BY_REFUSALS : BY_COMMAND;
    ban.until = until * 1000;
    if (ban.until == 0 || ban.until > now)
        ban_list_put(&ban);
}

void ban_file_open(weir_str path)
{
    char line[256];

    if (file_path[0] || path.n == 0 || path.n >= sizeof(file_path) - 8)
        return;
    memcpy(file_path, path.p, path.n);
    FILE *file = fopen(file_path, "re");
    if (!file)
        return; /* nobody was banned yet */
    for (uint32_t i = 0; i < BANS_MOST && fgets(line, sizeof(line), file); i++) {
        line[strcspn(line, "\n")] = '\0';
        read_line(line, weir_now(WEIR_NOW_WALL_MS));
    }
    fclose(file);
    ban_list_take_changes(); /* what was read need not be written */
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

static void write_ban(const struct ban *ban, void *file)
{
    char network[NETWORK_ROOM];

    network_print(ban->address, ban->bits, network);
    fprintf(file, "%s %llu %s\n", network, (unsigned long long)(ban->until / 1000),
            ban->by == BY_REFUSALS ? "refusals" : "command");
}

static void write_all(FILE *file, void *now)
{
    ban_list_each(*(const uint64_t *)now, write_ban, file);
}

static void write_file(void *now)
{
    state_file_write(file_path, write_all, now);
}

static void written(void *now)
{
    free(now);
    atomic_flag_clear(&is_writing);
}

/* One writer at a time; whoever comes meanwhile leaves the change for the next tick. */
void ban_file_tick(weir_mod *mod)
{
    static const struct weir_mod_job_calls calls = { .work = write_file, .drop = written };
    static atomic_uint_least64_t forgotten_at;
    uint64_t now = weir_now(WEIR_NOW_WALL_MS), last = atomic_load(&forgotten_at);

    if (now - last >= TICK_FORGET_MS && atomic_compare_exchange_strong(&forgotten_at, &last, now))
        ban_list_forget_ended(now);
    if (!file_path[0] || atomic_flag_test_and_set(&is_writing))
        return;
    uint64_t *arg = ban_list_take_changes() ? malloc(sizeof(*arg)) : NULL;
    if (!arg) {
        atomic_flag_clear(&is_writing);
        return;
    }
    *arg = now;
    if (weir_mod_job(mod, &calls, arg) != 0)
        written(arg);
}

void ban_file_close(void)
{
    uint64_t now = weir_now(WEIR_NOW_WALL_MS);

    if (file_path[0] && ban_list_take_changes())
        write_file(&now);
}
