/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1
#include "app/process/rehearsal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "pipeline/module.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REHEARSAL_MS = 60 * 1000, PLAN_MOST = 8 * 1024 * 1024, TEXT_MOST = 1024 * 1024 };

/* -- the child ----------------------------------------------------------------------------------------------------- */

static void print_setting(FILE *out, const char *name, str value)
{
    fprintf(out, "setting %s %.*s\n", name, STR_ARG(value));
}

static void print_settings(const struct settings *s, FILE *out)
{
    fprintf(out, "setting workers %u\nsetting error_level %u\nsetting shutdown_timeout %llu\n", s->workers,
            s->error_level,
            (unsigned long long)s->shutdown_timeout);
    print_setting(out, "user", s->user);
    print_setting(out, "group", s->group);
    print_setting(out, "modules_dir", s->modules_dir);
    print_setting(out, "control", s->control);
    print_setting(out, "error_log", s->error_log);
    print_setting(out, "state_dir", s->state_dir);
}

static void print_listen(str key, bool is_implied, FILE *out)
{
    fprintf(out, "%s %.*s\n", is_implied ? "listen-if-possible" : "listen", STR_ARG(key));
}

static void print_file(str path, bool is_log, FILE *out)
{
    fprintf(out, "%s %.*s\n", is_log ? "append" : "read", STR_ARG(path));
}

static void print_plan(const struct configuration *c, FILE *out)
{
    print_settings(&c->settings, out);
    for (uint32_t i = 0; i < c->listen_count; i++)
        print_listen(c->listens[i].point->key, c->listens[i].is_implied, out);
    for (uint32_t i = 0; i < c->file_count; i++)
        print_file(c->files[i].path, c->files[i].is_log, out);
    for (uint32_t i = 0; i < modules.count; i++)
        if (modules.all[i]->build.n)
            fprintf(out, "module %.*s %.*s\n", STR_ARG(modules.all[i]->name), STR_ARG(modules.all[i]->build));
    fprintf(out, "end\n");
}

void rehearsal_write(const struct rehearsal *r, FILE *to)
{
    print_settings(&r->settings, to);
    for (uint32_t i = 0; i < r->listens.count; i++) {
        const struct plan_listen *listen = vec_at(&r->listens, struct plan_listen, i);
        print_listen(listen->key, listen->is_implied, to);
    }
    for (uint32_t i = 0; i < r->files.count; i++) {
        const struct plan_file *file = vec_at(&r->files, struct plan_file, i);
        print_file(file->path, file->is_log, to);
    }
    for (uint32_t i = 0; i < r->modules.count; i++) {
        const struct plan_module *module = vec_at(&r->modules, struct plan_module, i);
        fprintf(to, "module %.*s %.*s\n", STR_ARG(module->name), STR_ARG(module->build));
    }
    fprintf(to, "end\n");
}

int rehearsal_child(const char *config_path)
{
    struct configuration_options options = { .path = str_of(config_path), .is_rehearsal = true };
    struct configuration *c = configuration_load(&options);

    if (!c) {
        fprintf(stderr, "weir: no memory\n");
        return 1;
    }
    diags_print(&c->diags, stderr);
    bool fine = c->snapshot && !c->diags.errors;
    if (fine)
        print_plan(c, stdout);
    configuration_free(c);
    return fine && fflush(stdout) == 0 ? 0 : 1;
}

/* -- the parent ---------------------------------------------------------------------------------------------------- */

struct gathering {
    int fd;
    char *p;
    size_t n, room, most;
};

static bool gather(struct gathering *g) /* false: end, or too much */
{
    if (g->n + 4096 > g->room) {
        size_t room = g->room ? 2 * g->room : 16384;
        char *p = mem_realloc(g->p, room);
        if (!p)
            return false;
        g->p = p;
        g->room = room;
    }
    ssize_t n = read(g->fd, g->p + g->n, g->room - g->n);
    if (n <= 0)
        return false;
    g->n += (size_t)n;
    return g->n <= g->most;
}

/* Both pipes to their ends, within the time. */
static bool gather_both(struct gathering *plan, struct gathering *text)
{
    uint64_t until = clock_us_now() + REHEARSAL_MS * 1000ull;

    while (plan->fd >= 0 || text->fd >= 0) {
        struct pollfd fds[] = { { .fd = plan->fd, .events = POLLIN }, { .fd = text->fd, .events = POLLIN } };
        struct gathering *both[] = { plan, text };
        uint64_t now = clock_us_now();
        if (now >= until || poll(fds, 2, (int)((until - now) / 1000) + 1) < 0)
            return now < until;
        for (int i = 0; i < 2; i++)
            if (fds[i].revents && !gather(both[i])) {
                close(both[i]->fd);
                both[i]->fd = -1;
            }
    }
    return true;
}

static pid_t start_child(const char *program, const char *config_path, int plan[2], int text[2])
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    dup2(plan[1], 1);
    dup2(text[1], 2);
    execl(program, "weir", "--rehearse", "-c", config_path, (char *)NULL);
    dprintf(2, "weir: cannot start the rehearsal: %s: %s\n", program, strerror(errno));
    _exit(127);
}

static void read_setting(struct rehearsal *r, str rest)
{
    size_t space = str_find(rest, ' ');
    str name = str_upto(rest, space), value = arena_str(r->arena, str_from(rest, space + 1));
    struct settings *s = &r->settings;
    uint64_t number = 0;
    struct { const char *name; str *to; } texts[] = {
        { "user", &s->user },       { "group", &s->group },         { "modules_dir", &s->modules_dir },
        { "control", &s->control }, { "error_log", &s->error_log }, { "state_dir", &s->state_dir },
    };
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (str_equal(name, str_of(texts[i].name)))
            *texts[i].to = value;
    if (!str_to_u64(value, &number))
        return;
    if (str_equal(name, S("workers")))
        s->workers = (unsigned)number;
    else if (str_equal(name, S("error_level")))
        s->error_level = (uint32_t)number;
    else if (str_equal(name, S("shutdown_timeout")))
        s->shutdown_timeout = number;
}

static bool read_plan(struct rehearsal *r, str plan)
{
    str line;
    bool ended = false;

    while (str_split(&plan, '\n', &line)) {
        size_t space = str_find(line, ' ');
        str verb = str_upto(line, space), rest = str_from(line, space + 1);
        if (str_equal(verb, S("setting"))) {
            read_setting(r, rest);
        } else if (str_equal(verb, S("listen")) || str_equal(verb, S("listen-if-possible"))) {
            struct plan_listen *listen = vec_push(r->arena, &r->listens, sizeof(*listen));
            if (listen)
                *listen = (struct plan_listen){ arena_str(r->arena, rest), !str_equal(verb, S("listen")) };
        } else if (str_equal(verb, S("read")) || str_equal(verb, S("append"))) {
            struct plan_file *file = vec_push(r->arena, &r->files, sizeof(*file));
            if (file)
                *file = (struct plan_file){ arena_str(r->arena, rest), str_equal(verb, S("append")) };
        } else if (str_equal(verb, S("module"))) {
            struct plan_module *module = vec_push(r->arena, &r->modules, sizeof(*module));
            space = str_find(rest, ' ');
            if (module)
                *module = (struct plan_module){ arena_str(r->arena, str_upto(rest, space)),
                                                arena_str(r->arena, str_from(rest, space + 1)) };
        }
        ended |= str_equal(verb, S("end"));
    }
    return ended && r->settings.workers > 0;
}

bool rehearsal_read(struct rehearsal *r, str plan)
{
    *r = (struct rehearsal){ .arena = arena_create(16 * 1024, 0) };
    r->ok = r->arena && read_plan(r, plan);
    return r->ok;
}

static void conclude(struct rehearsal *r, const struct gathering *plan, const struct gathering *text, int status,
                     bool in_time)
{
    r->text = arena_str(r->arena, (str){ text->p, text->n < TEXT_MOST ? text->n : TEXT_MOST });
    r->ok = in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0 && read_plan(r, (str){ plan->p, plan->n });
    if (r->ok || r->text.n)
        return;
    if (!in_time)
        r->text = S("the rehearsal of the configuration took more than 60 s\n");
    else if (WIFSIGNALED(status))
        r->text = arena_printf(r->arena, "the rehearsal of the configuration was ended by signal %d\n",
                               WTERMSIG(status));
    else
        r->text = S("the rehearsal of the configuration failed without a word\n");
}

bool rehearse(struct rehearsal *r, const char *program, const char *config_path)
{
    struct gathering plan = { .fd = -1, .most = PLAN_MOST }, text = { .fd = -1, .most = TEXT_MOST };
    int plan_pipe[2], text_pipe[2], status = 0;

    *r = (struct rehearsal){ .arena = arena_create(16 * 1024, 0) };
    if (!r->arena || pipe2(plan_pipe, O_CLOEXEC) != 0)
        return false;
    if (pipe2(text_pipe, O_CLOEXEC) != 0) {
        close(plan_pipe[0]);
        close(plan_pipe[1]);
        return false;
    }
    pid_t pid = start_child(program, config_path, plan_pipe, text_pipe);
    close(plan_pipe[1]);
    close(text_pipe[1]);
    plan.fd = plan_pipe[0];
    text.fd = text_pipe[0];
    bool in_time = pid > 0 && gather_both(&plan, &text);
    if (plan.fd >= 0)
        close(plan.fd);
    if (text.fd >= 0)
        close(text.fd);
    if (pid > 0) {
        if (!in_time)
            kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    conclude(r, &plan, &text, status, in_time);
    mem_free(plan.p);
    mem_free(text.p);
    return pid > 0;
}

void rehearsal_finish(struct rehearsal *rehearsal)
{
    arena_destroy(rehearsal->arena);
    rehearsal->arena = NULL;
}
