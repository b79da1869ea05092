/* SPDX-License-Identifier: BSD-2-Clause */
/* cli_proxy.c: `weir proxy [--from ADDR] --to URL...`: the few lines that a file would hold are written into memory,
 * and served like any other configuration. */
#define _GNU_SOURCE 1 /* memfd_create */
#include "app/cli/cli.h"

#include "app/process/supervisor.h"
#include "base/out.h"
#include "http/uri.h"
#include "net/addr.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { TEXT_ROOM = 16 * 1024 };

static bool complain(const char *what, const char *word, const char *why)
{
    fprintf(stderr, "weir: proxy: %s %s: %s\n", what, word, why);
    return false;
}

/* What would be read as something else in a configuration. */
static bool is_plain(const char *word)
{
    for (; *word; word++)
        if ((unsigned char)*word <= ' ' || *word == 0x7f || strchr(";{}\"'#\\$", *word))
            return false;
    return true;
}

static bool read_from(const char *word, struct out *listen)
{
    str text = str_of(word[0] == ':' ? word + 1 : word);
    struct addr addr;
    uint64_t port;

    if (!is_plain(word) || !(str_to_u64(text, &port) ? port >= 1 && port <= 65535 : addr_parse(text, &addr)))
        return complain("--from", word, "PORT, ADDR:PORT, [IPV6]:PORT or unix:PATH is; clients speak plain HTTP there");
    out_str(listen, text);
    return true;
}

static bool read_to(const char *word, struct arena *arena, struct url *url)
{
    const char *why = is_plain(word) ? url_parse(str_of(word), arena, url) : "a byte of it can stand in no URL";

    if (!why)
        return true;
    if (!strstr(word, "://") && strncmp(word, "unix:", 5) != 0)
        why = "no URL: http://HOST[:PORT][/PATH], https://... or unix:PATH is";
    return complain("--to", word, why);
}

/* Several are one group: alike in all but the address. */
static bool fits(const char *word, const struct url *first, const struct url *url)
{
    if (url->is_tls != first->is_tls)
        return complain("--to", word, "either all are https, or none is");
    if (url->path.n || first->path.n)
        return complain("--to", word, "of several none may have a path: they take turns with the same requests");
    if (url->is_tls && !str_equal(url->host, first->host))
        return complain("--to", word, "several https servers must have one name, which their certificates are for");
    return true;
}

static void put_server(struct out *out, const struct url *url)
{
    bool is_v6 = !url->is_unix && str_find(url->host, ':') < url->host.n;

    out_str(out, url->is_unix ? S(" server unix:") : is_v6 ? S(" server [") : S(" server "));
    out_str(out, url->host);
    if (is_v6)
        out_char(out, ']');
    if (!url->is_unix) {
        out_char(out, ':');
        out_u64(out, url->port);
    }
    out_char(out, ';');
}

/* Root binds what it is told to, and serves as somebody with less power; sockets of others may need more. */
static void put_user(const struct url *urls, int count, struct out *out)
{
    bool has_socket = false;

    for (int i = 0; i < count; i++)
        has_socket |= urls[i].is_unix;
    if (geteuid() == 0 && !has_socket && getpwnam("nobody"))
        out_str(out, S("user nobody;\n"));
}

static bool put_targets(const struct cli_call *call, struct arena *arena, struct out *out, bool *has_tls)
{
    struct url urls[CLI_TO_MOST] = { 0 };

    for (int i = 0; i < call->to_count; i++)
        if (!read_to(call->to[i], arena, &urls[i]) || (i && !fits(call->to[i], &urls[0], &urls[i])))
            return false;
    *has_tls = urls[0].is_tls;
    put_user(urls, call->to_count, out);
    if (call->to_count == 1)
        return true;
    out_str(out, S("upstream servers {"));
    for (int i = 0; i < call->to_count; i++)
        put_server(out, &urls[i]);
    out_str(out, urls[0].is_tls ? S(" tls on; retry; }\n") : S(" retry; }\n"));
    return true;
}

/* Nothing is kept, so state_dir only has to be there; several of these may run beside each other. */
static bool write_text(const struct cli_call *call, struct arena *arena, struct out *out)
{
    bool has_tls = false;

    out_str(out, S("control off; state_dir /; error_log stderr notice;\n"));
    if (!put_targets(call, arena, out, &has_tls))
        return false;
    if (has_tls)
        out_str(out, S("module tls;\n"));
    out_str(out, S("site _ { listen "));
    if (!read_from(call->from, out))
        return false;
    out_str(out, S("; proxy "));
    out_str(out, call->to_count > 1 ? S("servers") : str_of(call->to[0]));
    out_str(out, S("; }\n"));
    return !out->full || complain("--to", "...", "too much of them");
}

/* What is served, for people. */
static str title(const struct cli_call *call, struct arena *arena)
{
    str text = arena_printf(arena, "%s -> %s", call->from, call->to[0]);

    for (int i = 1; i < call->to_count; i++)
        text = arena_printf(arena, "%.*s, %s", STR_ARG(text), call->to[i]);
    return text;
}

/* A path under which the processes that we start find it too: they inherit the descriptor. */
static bool keep_text(const struct out *text, char *path, size_t n)
{
    int fd = memfd_create("weir-proxy", 0);

    if (fd < 0 || write(fd, text->p, text->n) != (ssize_t)text->n)
        return false;
    snprintf(path, n, "/proc/self/fd/%d", fd);
    return true;
}

int cli_proxy(const struct cli_call *call)
{
    struct arena *arena = arena_create(TEXT_ROOM, 0);
    struct out text = { .p = arena ? arena_alloc(arena, TEXT_ROOM) : NULL, .room = TEXT_ROOM };
    char path[64];

    if (call->to_count == 0) {
        fprintf(stderr, "weir: proxy: where to: --to http://HOST:PORT\n");
        arena_destroy(arena);
        return CLI_USAGE;
    }
    if (!text.p || !write_text(call, arena, &text)) {
        arena_destroy(arena);
        return CLI_USAGE;
    }
    if (!keep_text(&text, path, sizeof(path))) {
        fprintf(stderr, "weir: no memory or descriptors\n");
        arena_destroy(arena);
        return CLI_FAILED;
    }
    str what = title(call, arena);
    int status = supervisor_main(call->called, path, false, what.p);
    arena_destroy(arena);
    return status;
}
