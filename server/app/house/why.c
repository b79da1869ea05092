/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/house/why.h"

#include "app/house/answer_words.h"
#include "net/addr.h"

/* -- steps --------------------------------------------------------------------------------------------------------- */

static void add(struct why *why, struct explain_step step, struct trace_place place)
{
    struct explain_step *slot = vec_push(why->e.arena, &why->e.steps, sizeof(*slot));

    if (!slot) {
        why->e.no_memory = true;
        return;
    }
    *slot = step;
    slot->file = trace_str(why->trace, place.file);
    slot->line = place.line;
    if (!slot->verdict)
        slot->verdict = "?";
}

static void tell_listener(struct why *why)
{
    const struct trace *trace = why->trace;
    str reason = arena_printf(why->e.arena, "%.*s%s", STR_ARG(trace_str(trace, trace->listener)),
                              trace->is_https ? " https" : "");

    if (trace->listener.n)
        add(why, (struct explain_step){ .stage = "listener", .verdict = "chosen", .reason = reason },
            trace->listener_place);
}

static void tell_choice(struct why *why, const struct trace_step *step)
{
    str name = trace_str(why->trace, step->name), reason = trace_str(why->trace, step->why);
    const char *stage = step->kind == TRACE_SITE ? "site" : "route";

    if (name.n)
        reason = arena_printf(why->e.arena, "%.*s: %.*s", STR_ARG(name), STR_ARG(reason));
    add(why, (struct explain_step){ .stage = stage, .verdict = name.n ? "chosen" : "none", .reason = reason },
        step->place);
}

static str milliseconds(struct arena *arena, uint64_t us)
{
    return arena_printf(arena, "%llu.%03u ms", (unsigned long long)(us / 1000), (unsigned)(us % 1000));
}

static void tell_hook(struct why *why, const struct trace_step *step, struct trace_place of_site)
{
    struct arena *arena = why->e.arena;
    const struct hook_answer answer = {
        .mod = modules.all[step->module], .stage = step->stage, .is_shadow = step->is_shadow, .was_asked = true,
        .verdict = step->verdict, .counts = step->counts, .status = step->status,
        .reason = trace_str(why->trace, step->why),
    };
    str reason = answer_reason(arena, &answer), name = answer.mod->name;

    if (step->waited)
        reason = arena_printf(arena, "%.*s%swaited %.*s", STR_ARG(reason), reason.n ? ", " : "",
                              STR_ARG(milliseconds(arena, step->waited)));
    bool is_way_to_https = str_equal(name, S("site")); /* what the site lacks says it */
    add(why, (struct explain_step){ .stage = arena_str(arena, stage_name(answer.stage)).p, .module = name,
                                    .verdict = answer_verdict(arena, &answer), .reason = reason },
        is_way_to_https ? of_site : step->place);
}

static void tell_steps(struct why *why)
{
    struct trace_place of_site = { 0 };

    for (uint32_t i = 0; i < why->trace->step_count; i++) {
        const struct trace_step *step = &why->trace->steps[i];
        if (step->kind == TRACE_SITE)
            of_site = step->place;
        if (step->kind == TRACE_HOOK)
            tell_hook(why, step, of_site);
        else
            tell_choice(why, step);
    }
}

static void tell_try(struct why *why, const struct trace_try *try)
{
    struct arena *arena = why->e.arena;
    str server = trace_str(why->trace, try->server), failed = trace_str(why->trace, try->why);
    const char *verdict = try->status ? arena_printf(arena, "answers %u", try->status).p
                        : failed.n    ? "fails"
                                      : "no answer";
    str reason = arena_printf(arena, "%.*s%s%.*s: begun at %.*s", STR_ARG(server), failed.n ? ": " : "",
                              STR_ARG(failed), STR_ARG(milliseconds(arena, try->began)));

    if (try->sent)
        reason = arena_printf(arena, "%.*s, sent at %.*s over a %s connection", STR_ARG(reason),
                              STR_ARG(milliseconds(arena, try->sent)), try->reused ? "kept" : "new");
    if (try->answered)
        reason = arena_printf(arena, "%.*s, answered at %.*s", STR_ARG(reason),
                              STR_ARG(milliseconds(arena, try->answered)));
    add(why, (struct explain_step){ .stage = "server", .verdict = verdict, .reason = reason },
        (struct trace_place){ 0 });
}

static void tell_upstream(struct why *why)
{
    const struct trace *trace = why->trace;

    if (!trace->upstream.n)
        return;
    str reason = arena_printf(why->e.arena, "%.*s by %.*s", STR_ARG(trace_str(trace, trace->upstream)),
                              STR_ARG(trace_str(trace, trace->balancer)));
    add(why, (struct explain_step){ .stage = "upstream", .verdict = "chosen", .reason = reason },
        trace->upstream_place);
    for (uint32_t i = 0; i < trace->try_count; i++)
        tell_try(why, &trace->tries[i]);
}

static void tell_page(struct why *why)
{
    const struct trace *trace = why->trace;

    if (!trace->from_origin && trace->page_place.file.n && trace->page_status == trace->status)
        add(why, (struct explain_step){ .stage = "page", .verdict = "sent", .reason = S("error_page") },
            trace->page_place);
}

/* -- the whole ----------------------------------------------------------------------------------------------------- */

/* The last hook whose answer counted: one that refuses without weir_refuse() names no module. */
static str answering_module(const struct trace *trace)
{
    for (uint32_t i = trace->step_count; i-- > 0;) {
        const struct trace_step *step = &trace->steps[i];
        if (step->kind == TRACE_HOOK && (step->counts == WEIR_REPLY || step->counts == WEIR_CLOSE))
            return modules.all[step->module]->name;
    }
    return STR_NONE;
}

static str refused_by(const struct trace *trace)
{
    if (trace->is_closed)
        return answering_module(trace);
    if (trace->from_origin || trace->status < 400 || trace->status == 499)
        return STR_NONE;
    if (trace->module.n)
        return trace_str(trace, trace->module);
    if (trace->asked_origin)
        return S("upstream");
    str module = answering_module(trace);
    return module.n ? module : S("weir");
}

bool why_is_refusal(const struct trace *trace)
{
    return trace->would_refuse.n || refused_by(trace).n;
}

static void conclude(struct why *why)
{
    const struct trace *trace = why->trace;
    struct explanation *e = &why->e;

    e->outcome = trace->is_closed       ? "closed"
               : trace->status == 499 ? "abandoned"
               : trace->from_origin   ? "proxied"
                                      : "answered";
    e->status = trace->status;
    e->site = trace_str(trace, trace->site);
    e->route = trace_str(trace, trace->route);
    e->upstream = trace_str(trace, trace->upstream);
    e->reason = trace_str(trace, trace->is_broken && trace->error.n ? trace->error : trace->reason);
    why->refused_by = refused_by(trace);
}

bool why_begin(struct why *why, const struct trace *trace, struct arena *arena)
{
    char room[CLOCK_ROOM], address[ADDR_TEXT];
    str host = trace_str(trace, trace->host), target = trace_str(trace, trace->target);

    *why = (struct why){ .e = { .arena = arena }, .trace = trace };
    why->time = arena_str(arena, clock_format(CLOCK_ISO8601, trace->wall_ms / 1000, room));
    why->client = arena_str(arena, addr_ip_text(trace->client, address));
    why->url = host.n ? arena_printf(arena, "%s://%.*s%.*s", trace->is_https ? "https" : "http", STR_ARG(host),
                                     STR_ARG(target))
                      : target;
    why->version = trace->version == 20 ? S("HTTP/2") : trace->version == 11 ? S("HTTP/1.1")
                 : trace->version == 10 ? S("HTTP/1.0") : STR_NONE;
    conclude(why);
    return why->time.p && why->client.p;
}

bool why_tell(struct why *why, const struct trace *trace, struct arena *arena)
{
    if (!why_begin(why, trace, arena))
        return false;
    tell_listener(why);
    if (!trace->step_count && trace->reason.n)
        add(why, (struct explain_step){ .stage = "parser", .verdict = "refuses",
                                        .reason = trace_str(trace, trace->reason) }, (struct trace_place){ 0 });
    tell_steps(why);
    tell_upstream(why);
    tell_page(why);
    return !why->e.no_memory;
}
