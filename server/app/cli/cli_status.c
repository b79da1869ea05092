/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/cli/cli_status.h"

#include "app/control/json.h"

struct status {
    str json;
    struct arena *arena;
    FILE *out;
};

static str member_text(const struct status *status, str object, const char *name)
{
    str value, text = STR_NONE;

    if (json_member(object, name, &value))
        json_text(value, status->arena, &text);
    return text;
}

static unsigned long long number(const struct status *status, const char *name)
{
    str value = STR_NONE;

    json_member(status->json, name, &value);
    return json_number(value);
}

static bool is_true(const struct status *status, const char *name)
{
    str value = STR_NONE;

    return json_member(status->json, name, &value) && json_is_true(value);
}

/* The two largest units: "3 d 4 h", "12 min 5 s", "7 s". */
static void print_uptime(uint64_t seconds, FILE *out)
{
    static const struct {
        const char *name;
        uint64_t seconds;
    } units[] = {
        {"d",    86400},
        { "h",   3600 },
        { "min", 60   },
        { "s",   1    }
    };
    unsigned i = 0;

    while (i < 3 && seconds < units[i].seconds)
        i++;
    fprintf(out, "%llu %s", (unsigned long long)(seconds / units[i].seconds), units[i].name);
    seconds %= units[i].seconds;
    if (i < 3)
        fprintf(out, " %llu %s", (unsigned long long)(seconds / units[i + 1].seconds), units[i + 1].name);
}

static void print_listen(const struct status *status)
{
    str list, item, tls;

    if (!json_member(status->json, "listen", &list) || !json_first(list, &list))
        return;
    fprintf(status->out, "  listening on   ");
    while (json_next(&list, &item)) {
        str address = member_text(status, item, "address");
        fprintf(status->out, " " STR_FMT "%s", STR_ARG(address),
                json_member(item, "tls", &tls) && json_is_true(tls) ? " (tls)" : "");
    }
    fprintf(status->out, "\n");
}

/* What is not as the file says. */
static void print_changes(const struct status *status, str upstream, str name)
{
    str list, item, text;

    if (!json_member(upstream, "changes", &list) || !json_first(list, &list))
        return;
    while (json_next(&list, &item))
        if (json_text(item, status->arena, &text))
            fprintf(status->out, "  changed         " STR_FMT ": " STR_FMT "\n", STR_ARG(name), STR_ARG(text));
}

static void print_upstream(const struct status *status, str upstream)
{
    str list, item, name = member_text(status, upstream, "name"), active;

    if (!json_member(upstream, "servers", &list) || !json_first(list, &list))
        return;
    while (json_next(&list, &item)) {
        str reason = member_text(status, item, "reason"), server = member_text(status, item, "name");
        str state = member_text(status, item, "state");
        fprintf(status->out, "  upstream        " STR_FMT " " STR_FMT ": " STR_FMT, STR_ARG(name), STR_ARG(server),
                STR_ARG(state));
        if (reason.n)
            fprintf(status->out, " (" STR_FMT ")", STR_ARG(reason));
        if (json_member(item, "active", &active))
            fprintf(status->out, ", %llu under way", (unsigned long long)json_number(active));
        fprintf(status->out, "\n");
    }
    print_changes(status, upstream, name);
}

static void print_upstreams(const struct status *status)
{
    str list, item;

    if (!json_member(status->json, "upstreams", &list) || !json_first(list, &list))
        return;
    while (json_next(&list, &item))
        print_upstream(status, item);
}

enum { SITES_SHOWN = 20 };

/* Those that were asked anything, in the files' order. */
static void print_sites(const struct status *status)
{
    str list, item, value;
    unsigned shown = 0, more = 0;

    if (!json_member(status->json, "sites", &list) || !json_first(list, &list))
        return;
    while (json_next(&list, &item)) {
        str name = member_text(status, item, "name");
        uint64_t requests = json_member(item, "requests", &value) ? json_number(value) : 0;
        uint64_t errors = json_member(item, "errors", &value) ? json_number(value) : 0;
        if (requests && ++shown > SITES_SHOWN)
            more++;
        else if (requests)
            fprintf(status->out, "  site            " STR_FMT ": %llu requests, %llu answered 5xx\n", STR_ARG(name),
                    (unsigned long long)requests, (unsigned long long)errors);
    }
    if (more)
        fprintf(status->out, "                  and %u more: weir status --json\n", more);
}

static void print_overload(const struct status *status)
{
    struct status overload = { .arena = status->arena, .out = status->out };

    if (!json_member(status->json, "overload", &overload.json))
        return;
    unsigned long long most = number(&overload, "max_memory"), connections = number(&overload, "max_connections");
    fprintf(status->out, "  overload        %llu KiB held", number(&overload, "memory") >> 10);
    if (most)
        fprintf(status->out, " of %llu MiB", most >> 20);
    if (connections)
        fprintf(status->out, ", at most %llu connections", connections);
    fprintf(status->out, "; %llu requests shed, %llu connections refused, %llu closed idle, %llu pauses\n",
            number(&overload, "requests_shed"), number(&overload, "connections_refused"),
            number(&overload, "idle_closed"), number(&overload, "accept_pauses"));
}

/* Of modules that were called: how often, and how long in all, estimated. */
static void print_costs(const struct status *status)
{
    str list, item, value;

    if (!json_member(status->json, "modules", &list) || !json_first(list, &list))
        return;
    while (json_next(&list, &item)) {
        str name = member_text(status, item, "name");
        uint64_t calls = json_member(item, "calls", &value) ? json_number(value) : 0;
        uint64_t us = json_member(item, "time_us", &value) ? json_number(value) : 0;
        if (calls)
            fprintf(status->out, "  cost            " STR_FMT ": %llu calls, about %llu.%03llu ms\n", STR_ARG(name),
                    (unsigned long long)calls, (unsigned long long)us / 1000, (unsigned long long)us % 1000);
    }
}

static void print_modules(const struct status *status)
{
    str list, item;

    if (!json_member(status->json, "modules", &list) || !json_first(list, &list))
        return;
    fprintf(status->out, "  modules        ");
    while (json_next(&list, &item)) {
        str path = member_text(status, item, "path"), name = member_text(status, item, "name");
        str version = member_text(status, item, "version");
        if (path.n) /* those built in are always there */
            fprintf(status->out, " " STR_FMT " " STR_FMT ",", STR_ARG(name), STR_ARG(version));
    }
    fprintf(status->out, " and what is built in\n");
}

static void print_quarantine(const struct status *status)
{
    str list, item;

    if (!json_member(status->json, "quarantine", &list) || !json_first(list, &list))
        return;
    while (json_next(&list, &item)) {
        str name = member_text(status, item, "module"), reason = member_text(status, item, "reason");
        fprintf(status->out, "  quarantine      " STR_FMT ": " STR_FMT "\n", STR_ARG(name), STR_ARG(reason));
        fprintf(status->out, "                  replace the file and weir reload, or weir unquarantine " STR_FMT "\n",
                STR_ARG(name));
    }
}

static void print_notes(const struct status *status)
{
    str list, item, warning;

    if (!json_member(status->json, "notes", &list) || !json_first(list, &list))
        return;
    while (json_next(&list, &item)) {
        str module = member_text(status, item, "module"), subject = member_text(status, item, "subject");
        str text = member_text(status, item, "text");
        bool is_warning = json_member(item, "warning", &warning) && json_is_true(warning);
        fprintf(status->out, "  %-15.*s " STR_FMT ": %s" STR_FMT "\n", (int)module.n, module.p, STR_ARG(subject),
                is_warning ? "warning: " : "", STR_ARG(text));
    }
}

static unsigned long long number_of(str object, const char *name)
{
    str value = STR_NONE;

    json_member(object, name, &value);
    return json_number(value);
}

static void print_server_line(const struct status *status, str server)
{
    str reason = member_text(status, server, "reason"), backup;

    fprintf(status->out, "%-32.*s %-8.*s weight %-4llu %s%5llu under way %9llu requests %6llu failures",
            STR_ARG(member_text(status, server, "name")), STR_ARG(member_text(status, server, "state")),
            number_of(server, "weight"),
            json_member(server, "backup", &backup) && json_is_true(backup) ? "backup " : "       ",
            number_of(server, "active"), number_of(server, "requests"), number_of(server, "failures"));
    if (reason.n)
        fprintf(status->out, " (" STR_FMT ")", STR_ARG(reason));
    fprintf(status->out, "\n");
}

bool status_print_upstream(str json, struct arena *arena, FILE *out)
{
    struct status s = { json, arena, out };
    str list, item, text;

    if (!json_member(json, "servers", &list) || !json_first(list, &list))
        return false;
    while (json_next(&list, &item))
        print_server_line(&s, item);
    if (json_member(json, "changes", &list) && json_first(list, &list))
        while (json_next(&list, &item))
            if (json_text(item, arena, &text))
                fprintf(out, "changed at run time: " STR_FMT "\n", STR_ARG(text));
    return true;
}

bool status_print(str json, struct arena *arena, FILE *out)
{
    struct status s = { json, arena, out };
    str version = member_text(&s, json, "version"), started = member_text(&s, json, "started");
    str file = member_text(&s, json, "configuration");

    if (!version.n)
        return false;
    fprintf(out, "weir " STR_FMT ", server process %llu, up ", STR_ARG(version), number(&s, "pid"));
    print_uptime(number(&s, "uptime"), out);
    fprintf(out, " (since " STR_FMT ")%s\n", STR_ARG(started),
            is_true(&s, "stopping")   ? ", stopping"
            : is_true(&s, "draining") ? ", draining"
                                      : "");
    fprintf(out, "  configuration   " STR_FMT ", generation %llu (%llu alive)\n", STR_ARG(file),
            number(&s, "generation"), number(&s, "snapshots_alive"));
    fprintf(out, "  reloads         %llu done, %llu refused\n", number(&s, "reloads"), number(&s, "failed_reloads"));
    fprintf(out, "  workers         %llu\n", number(&s, "workers"));
    fprintf(out, "  connections     %llu now, %llu accepted\n", number(&s, "connections"), number(&s, "accepted"));
    fprintf(out, "  requests        %llu\n", number(&s, "requests"));
    print_overload(&s);
    print_listen(&s);
    print_sites(&s);
    print_upstreams(&s);
    print_modules(&s);
    print_costs(&s);
    print_quarantine(&s);
    print_notes(&s);
    return true;
}
