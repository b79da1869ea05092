/* SPDX-License-Identifier: BSD-2-Clause */
/* why_write.c: a remembered request as lines for people, and as JSON; and lists of them. */
#include "app/house/why.h"

/* -- text ---------------------------------------------------------------------------------------------------------- */

static void put_or_dash(struct out *out, str text)
{
    out_printable(out, text.n ? text : S("-"));
}

static void put_ms(struct out *out, uint64_t us)
{
    out_u64(out, us / 1000);
    out_char(out, '.');
    for (uint64_t unit = 100; unit; unit /= 10)
        out_char(out, (char)('0' + us / unit % 10));
    out_str(out, S(" ms"));
}

static void put_asked(struct out *out, const struct why *why)
{
    put_or_dash(out, trace_str(why->trace, why->trace->method));
    out_char(out, ' ');
    put_or_dash(out, why->url);
}

void why_write_text(struct out *out, const void *why_)
{
    const struct why *why = why_;
    const struct trace *trace = why->trace;
    str would = trace_str(trace, trace->would_refuse);

    out_str(out, S("request: "));
    out_printable(out, trace_str(trace, trace->id));
    out_char(out, ' ');
    out_str(out, why->time);
    out_char(out, ' ');
    put_asked(out, why);
    out_char(out, ' ');
    put_or_dash(out, why->version);
    out_str(out, S(" from "));
    out_str(out, why->client);
    out_char(out, '\n');
    explanation_write_text(out, &why->e);
    if (why->refused_by.n) {
        out_str(out, S("refused by: "));
        out_printable(out, why->refused_by);
        out_char(out, '\n');
    }
    if (would.n) {
        out_str(out, S("not enforced: "));
        out_printable(out, would);
        out_char(out, '\n');
    }
    out_str(out, S("took: "));
    put_ms(out, trace->duration);
    out_str(out, S("; bytes in: "));
    out_u64(out, trace->bytes_in);
    out_str(out, S(", out: "));
    out_u64(out, trace->bytes_out);
    out_str(out, trace->is_cut ? S("; texts or steps were cut\n") : S("\n"));
}

static void put_line(struct out *out, const struct why *why)
{
    const struct trace *trace = why->trace;

    out_str(out, why->time);
    out_char(out, ' ');
    out_printable(out, trace_str(trace, trace->id));
    out_char(out, ' ');
    out_str(out, why->client);
    out_char(out, ' ');
    out_u64(out, trace->status);
    out_char(out, ' ');
    put_asked(out, why);
    if (why->refused_by.n) {
        out_str(out, S("  refused by "));
        out_printable(out, why->refused_by);
        if (why->e.reason.n) {
            out_str(out, S(": "));
            out_printable(out, why->e.reason);
        }
    }
    if (trace->would_refuse.n) {
        out_str(out, S("  not enforced: "));
        out_printable(out, trace_str(trace, trace->would_refuse));
    }
    out_char(out, '\n');
}

void why_list_write_text(struct out *out, const void *list_)
{
    const struct why_list *list = list_;

    for (uint32_t i = 0; i < list->count; i++)
        put_line(out, &list->items[i]);
    if (list->count)
        return;
    out_str(out, list->only_refused ? S("no refused request among the last ") : S("no request yet: the ring holds "));
    out_u64(out, list->size);
    out_char(out, '\n');
}

/* -- JSON ---------------------------------------------------------------------------------------------------------- */

static void put_name(struct out *out, const char *name)
{
    out_str(out, S("\""));
    out_str(out, str_of(name));
    out_str(out, S("\":"));
}

static void put_member(struct out *out, const char *name, str value)
{
    put_name(out, name);
    if (value.n)
        out_json_str(out, value);
    else
        out_str(out, S("null"));
    out_char(out, ',');
}

static void put_number(struct out *out, const char *name, uint64_t value)
{
    put_name(out, name);
    out_u64(out, value);
    out_char(out, ',');
}

static void put_request(struct out *out, const struct why *why)
{
    const struct trace *trace = why->trace;

    put_member(out, "id", trace_str(trace, trace->id));
    put_member(out, "time", why->time);
    put_member(out, "client", why->client);
    put_member(out, "method", trace_str(trace, trace->method));
    put_member(out, "url", why->url);
    put_member(out, "version", why->version);
    put_member(out, "refused_by", why->refused_by);
    put_member(out, "would_refuse", trace_str(trace, trace->would_refuse));
}

static void put_try(struct out *out, const struct trace *trace, const struct trace_try *try)
{
    out_char(out, '{');
    put_member(out, "server", trace_str(trace, try->server));
    put_number(out, "status", try->status);
    put_member(out, "error", trace_str(trace, try->why));
    put_number(out, "begun_us", try->began);
    put_number(out, "sent_us", try->sent);
    put_number(out, "answered_us", try->answered);
    put_name(out, "kept_connection");
    out_str(out, try->reused ? S("true}") : S("false}"));
}

void why_write_json(struct out *out, const void *why_)
{
    const struct why *why = why_;
    const struct trace *trace = why->trace;

    out_char(out, '{');
    put_request(out, why);
    put_number(out, "duration_us", trace->duration);
    put_number(out, "bytes_received", trace->bytes_in);
    put_number(out, "bytes_sent", trace->bytes_out);
    put_name(out, "cut");
    out_str(out, trace->is_cut ? S("true,") : S("false,"));
    put_name(out, "servers");
    out_char(out, '[');
    for (uint32_t i = 0; i < trace->try_count; i++) {
        if (i)
            out_char(out, ',');
        put_try(out, trace, &trace->tries[i]);
    }
    out_str(out, S("],"));
    explanation_put_members(out, &why->e);
    out_str(out, S("}\n"));
}

void why_list_write_json(struct out *out, const void *list_)
{
    const struct why_list *list = list_;

    out_char(out, '{');
    put_number(out, "size", list->size);
    put_number(out, "seen", list->seen);
    put_name(out, "requests");
    out_char(out, '[');
    for (uint32_t i = 0; i < list->count; i++) {
        const struct why *why = &list->items[i];
        out_str(out, i ? S(",{") : S("{"));
        put_request(out, why);
        put_member(out, "reason", why->e.reason);
        put_number(out, "duration_us", why->trace->duration);
        put_name(out, "status");
        out_u64(out, why->trace->status);
        out_char(out, '}');
    }
    out_str(out, S("]}\n"));
}
