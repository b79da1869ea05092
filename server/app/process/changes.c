/* SPDX-License-Identifier: BSD-2-Clause */
/* From one configuration, one build of a module or one binary to the next, while requests are served. */
#include "app/process/channel.h"
#include "app/process/notify.h"
#include "app/process/supervisor_state.h"
#include "app/process/takeover.h"
#include "base/log.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

enum { HANDOVER_MS = 60 * 1000, CHILDREN_MOST = 32, CONTROL_BACKLOG = 16 };

static const char own_program[] = "/proc/self/exe";

/* -- both kinds ---------------------------------------------------------------------------------------------------- */

static void tell_current(const char *verb, str text)
{
    if (sv.current && sv.current->channel >= 0)
        channel_send(sv.current->channel, verb, text, -1);
}

static void adopt_pending(void)
{
    rehearsal_finish(&sv.live);
    kept_files_finish(&sv.files);
    sv.live = sv.pending;
    sv.files = sv.pending_files;
    bounds_settle(&sv.bounds);
    bounds_drop_unwanted(&sv.bounds);
    sv.pending = (struct rehearsal){ 0 };
    sv.pending_files = (struct kept_files){ 0 };
}

static void drop_pending(void)
{
    if (sv.pending.arena)
        rehearsal_finish(&sv.pending);
    kept_files_finish(&sv.pending_files);
    bounds_drop_new(&sv.bounds);
    sv.pending = (struct rehearsal){ 0 };
    sv.pending_files = (struct kept_files){ 0 };
}

static void change_over(void)
{
    sv.change = CHANGE_NONE;
    sv.is_upgrade = false;
    sv.lift[0] = '\0';
    if (!sv.reload_again)
        return;
    sv.reload_again = false;
    change_reload();
}

/* What a new server does not change either: sockets are bound for as many workers. A reload changes less. */
static bool needs_restart(const struct settings *a, const struct settings *b, bool is_handover, char *text, size_t n)
{
    size_t at = 0;

    if (a->workers != b->workers)
        at += (size_t)snprintf(text + at, n - at, "workers: %u runs, %u is asked for: needs a restart\n", a->workers,
                               b->workers);
    struct { const char *name; str is, wanted; bool by_handover; } texts[] = {
        { "user", a->user, b->user, true },
        { "user's group", a->group, b->group, true },
        { "modules_dir", a->modules_dir, b->modules_dir, true },
        { "control", a->control, b->control, false },
        { "state_dir", a->state_dir, b->state_dir, false },
    };
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]) && at < n; i++)
        if (!str_equal(texts[i].is, texts[i].wanted) && !(is_handover && texts[i].by_handover))
            at += (size_t)snprintf(text + at, n - at, "%s: \"%.*s\" is in use, \"%.*s\" is asked for: needs %s\n",
                                   texts[i].name, STR_ARG(texts[i].is), STR_ARG(texts[i].wanted),
                                   texts[i].by_handover ? "weir upgrade or a restart" : "a restart");
    return at > 0;
}

/* pending is filled. False: text says why, one or more lines. */
static bool prepare(const char *program, bool is_handover, str *text)
{
    static char why[2048];

    *text = (str){ why, 0 };
    if (!rehearse(&sv.pending, program, sv.config_path)) {
        *text = S("the rehearsal could not be started: no memory or processes\n");
        return false;
    }
    if (!sv.pending.ok) {
        *text = sv.pending.text;
        return false;
    }
    if (needs_restart(&sv.live.settings, &sv.pending.settings, is_handover, why, sizeof(why))) {
        *text = str_of(why);
        return false;
    }
    if (!supervisor_bind(&sv.pending, why, sizeof(why) - 1)) {
        strcat(why, "\n");
        *text = str_of(why);
        return false;
    }
    if (!kept_files_take(&sv.pending_files, &sv.pending)) {
        *text = S("no memory for the configuration's files\n");
        return false;
    }
    return true;
}

/* -- reload: the server binds it ----------------------------------------------------------------------------------- */

static void refuse_reload(str text)
{
    log_error("reload refused, the former configuration serves:\n%.*s", STR_ARG(text));
    tell_current("refused", text);
    change_reloaded(false);
}

void change_reloaded(bool ok)
{
    if (sv.change != CHANGE_RELOAD)
        return;
    sv.is_second_try = false;
    if (ok)
        adopt_pending();
    else
        drop_pending();
    notify_send(ok ? "READY=1\nSTATUS=reloaded" : "READY=1\nSTATUS=reload refused, the former configuration serves");
    change_over();
}

static bool send_new_bounds(int channel)
{
    for (const struct bound *b = sv.bounds.first; b; b = b->next) {
        for (unsigned i = 0; b->is_wanted && b->is_new && i < b->count; i++) {
            char rest[ADDR_TEXT + 32];
            int n = snprintf(rest, sizeof(rest), "%d %s", b->is_shared ? -1 : (int)i, b->key);
            if (channel_send(channel, "listen", (str){ rest, (size_t)n }, b->fds[i]) != 0)
                return false;
        }
    }
    return true;
}

/* A module in quarantine of which another build now lies on the disk: only a new server can run that one. */
static str replaced_in_quarantine(void)
{
    for (uint32_t i = 0; i < sv.pending.modules.count; i++) {
        const struct plan_module *module = vec_at(&sv.pending.modules, struct plan_module, i);
        const struct strike_entry *e = strikes_find_out(&sv.strikes, module->name);
        if (e && !str_equal(str_of(e->build), module->build))
            return module->name;
    }
    return STR_NONE;
}

static void start_handover(str lift);

void change_reload(void)
{
    str text;

    if (sv.change == CHANGE_HANDOVER) {
        tell_current("refused", S("a new server is about to take over: try again\n"));
        return;
    }
    /* Nobody there to bind it, or not yet: the next server that is ready is asked. */
    if (sv.change == CHANGE_RELOAD || !sv.current || sv.current->state != CHILD_READY) {
        sv.reload_again = true;
        return;
    }
    sv.change = CHANGE_RELOAD;
    notify_send("RELOADING=1");
    if (!prepare(own_program, false, &text)) {
        refuse_reload(text);
        return;
    }
    str replaced = replaced_in_quarantine();
    if (replaced.n) {
        sv.change = CHANGE_HANDOVER;
        start_handover(replaced);
        return;
    }
    int channel = sv.current->channel;
    if (!send_new_bounds(channel) || !kept_files_send(&sv.pending_files, channel) ||
        channel_send(channel, "reload", str_of(sv.config_path), -1) != 0)
        log_warn("server %d went away before it could be told to reload", (int)sv.current->pid); /* to be reaped */
}

/* -- handover: a new server takes over ----------------------------------------------------------------------------- */

static void refuse_handover(str text)
{
    log_error("%s refused, the former server goes on:\n%.*s", sv.is_upgrade ? "upgrade" : "a new server was",
              STR_ARG(text));
    tell_current("kept", text);
    drop_pending();
    notify_send("READY=1\nSTATUS=the former server goes on");
    change_over();
}

static void start_handover(str lift)
{
    snprintf(sv.lift, sizeof(sv.lift), "%.*s", STR_ARG(lift));
    sv.failure = STR_NONE;
    sv.handover_until = supervisor_now_ms() + HANDOVER_MS;
    sv.next = supervisor_start(sv.is_upgrade ? sv.program : own_program, &sv.pending, &sv.pending_files, lift);
    if (!sv.next)
        refuse_handover(S("no memory, processes or descriptors for a second server\n"));
}

static unsigned count_children(void)
{
    unsigned count = 0;

    for (const struct child *c = sv.children; c; c = c->next)
        count++;
    return count;
}

static const char *why_not_now(void)
{
    if (sv.change != CHANGE_NONE)
        return "a reload or an upgrade is under way: try again\n";
    if (!sv.current || sv.current->state != CHILD_READY)
        return "the server is about to start: try again\n";
    if (count_children() >= CHILDREN_MOST)
        return "too many former servers still finish their connections: try again (shutdown_timeout ends them)\n";
    return NULL;
}

static void hand_over(bool is_upgrade, str lift)
{
    char why[512];
    const char *busy = why_not_now();
    str text;

    if (busy) {
        log_error("%s", busy);
        tell_current("kept", str_of(busy));
        return;
    }
    sv.change = CHANGE_HANDOVER;
    sv.is_upgrade = is_upgrade;
    notify_send("RELOADING=1");
    if (is_upgrade && !takeover_is_possible(&sv, sv.program, why, sizeof(why) - 1)) {
        strcat(why, "\n");
        refuse_handover(str_of(why));
        return;
    }
    if (prepare(is_upgrade ? sv.program : own_program, true, &text))
        start_handover(lift);
    else
        refuse_handover(text);
}

void change_upgrade(void)
{
    hand_over(true, STR_NONE);
}

void change_lift(str name)
{
    if (strikes_find_out(&sv.strikes, name))
        hand_over(false, name);
    else
        tell_current("kept", S("no module of that name is in quarantine\n"));
}

/* Builds that are in quarantine but no longer what is loaded have nothing to answer for any more. */
static void forget_replaced(const struct crumbs *of)
{
    for (unsigned i = 0; i < sizeof(of->names) / sizeof(of->names[0]); i++) {
        str name = { of->names[i], strnlen(of->names[i], CRUMB_MODULE_NAME) };
        str build = { of->builds[i], strnlen(of->builds[i], CRUMB_MODULE_BUILD) };
        const struct strike_entry *e = name.n && build.n ? strikes_find_out(&sv.strikes, name) : NULL;
        if (!e || str_equal(str_of(e->build), build))
            continue;
        log_notice("module %.*s: another build runs, its quarantine is over", STR_ARG(name));
        strikes_forget(&sv.strikes, name);
    }
}

static void become_new_binary(void)
{
    char why[512];

    takeover_exec(&sv, sv.program, why, sizeof(why));
    log_error("the new server serves, but its supervisor stays the former one: %s", why);
}

bool change_ready(struct child *child)
{
    struct child *former = sv.current;
    bool is_upgrade = sv.is_upgrade;
    char text[256];

    forget_replaced(child->crumbs);
    if (child != sv.next)
        return false;
    sv.next = NULL;
    sv.current = child;
    if (sv.lift[0] && strikes_forget(&sv.strikes, str_of(sv.lift)))
        log_notice("module %s: its quarantine is over", sv.lift);
    str warnings = sv.pending.text;
    int n = snprintf(text, sizeof(text), "server %d has taken over\n", (int)child->pid);
    log_notice("%.*s", n - 1, text);
    if (former)
        supervisor_leave(former, warnings.n ? warnings : str_of(text));
    adopt_pending();
    supervisor_use_error_log();
    if (is_upgrade)
        become_new_binary();
    change_over();
    return true;
}

void change_failed(struct child *child, str text)
{
    if (child == sv.next)
        sv.failure = arena_str(sv.pending.arena, text);
}

/* The next server begins with what was live, and is asked once more: what ended this one may have been something
 * else. */
static void reload_interrupted(void)
{
    bool again = !sv.is_second_try;

    if (sv.change != CHANGE_RELOAD)
        return;
    log_error("reload: the server ended meanwhile, the former configuration goes on%s",
              again ? "; trying once more" : "");
    change_reloaded(false);
    sv.reload_again |= again;
    sv.is_second_try = again;
}

void change_child_ended(struct child *child, str text)
{
    if (child == sv.current) {
        sv.current = NULL;
        reload_interrupted();
    }
    if (child != sv.next)
        return;
    sv.next = NULL;
    str said = sv.failure.n ? sv.failure : arena_printf(sv.pending.arena, "the new server ended: %.*s\n",
                                                        STR_ARG(text));
    refuse_handover(said);
    if (!sv.current && !sv.stop_signals)
        supervisor_plan_restart();
}

void change_on_time(uint64_t now)
{
    if (!sv.next || now < sv.handover_until)
        return;
    sv.handover_until = UINT64_MAX;
    sv.failure = S("the new server was not ready within 60 s\n");
    kill(sv.next->pid, SIGKILL);
}
