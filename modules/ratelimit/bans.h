/* SPDX-License-Identifier: BSD-2-Clause */
/* bans.h: networks that are refused for a time: the list, its file, and the directive that fills it.
 *
 *     bans.c          who is banned, and who is to be: the hook's part
 *     ban_list.c      the list in memory
 *     ban_file.c      the same in state_dir, so that it outlives the process
 *     ban_command.c   weir ban list|add|remove
 *
 * Units:   until: milliseconds since 1970; 0: until it is removed.
 * Thread:  any. The list has one lock; while it is empty nobody takes it. */
#ifndef RATELIMIT_BANS_H
#define RATELIMIT_BANS_H

#include "ratelimit.h"

enum { BANS_MOST = 100000, BY_REFUSALS = 0, BY_COMMAND = 1 };

struct ban {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d; no bit behind the prefix is set */
    uint32_t bits;       /* of the prefix, 0 to 128 */
    uint32_t by;         /* BY_* */
    uint64_t until;
};

/* -- ban_list.c ---------------------------------------------------------------------------------------------------- */
bool ban_list_holds(const uint8_t address[16], uint64_t now);
int ban_list_put(const struct ban *ban);  /* in place of one of the same network; -1: full, or no memory */
int ban_list_remove(const uint8_t address[16], uint32_t bits); /* -1: there is none */
void ban_list_forget_ended(uint64_t now);
void ban_list_each(uint64_t now, void (*tell)(const struct ban *ban, void *arg), void *arg); /* those in force */
bool ban_list_take_changes(void);         /* something changed since the last call */

/* -- ban_file.c ---------------------------------------------------------------------------------------------------- */
void ban_file_open(weir_str path);  /* reads it, once in a process */
void ban_file_tick(weir_mod *mod);  /* on a worker: has changes written by a job */
void ban_file_close(void);          /* on a worker that ends: writes them */

/* -- bans.c, ban_command.c ----------------------------------------------------------------------------------------- */
int bans_load(weir_mod *mod);
weir_verdict bans_judge(weir_req *r, const struct conf *conf);
void bans_count_refusal(weir_req *r, const struct conf *conf);
int ban_command(weir_mod *mod, weir_answer *answer, const weir_str *words, uint32_t count);

#endif
