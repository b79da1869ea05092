/* SPDX-License-Identifier: BSD-2-Clause */
/* explain_write.c: an explanation as lines for people, and as JSON. */
#include "app/house/explain.h"

static void put_padded(struct out *out, str text, size_t width)
{
    out_printable(out, text);
    for (size_t i = text.n; i < width; i++)
        out_char(out, ' ');
    out_char(out, ' ');
}

static void put_step(struct out *out, const struct explain_step *step)
{
    put_padded(out, str_of(step->stage), 8);
    put_padded(out, step->module.n ? step->module : S("-"), 12);
    put_padded(out, str_of(step->verdict), 18);
    out_printable(out, step->reason.n ? step->reason : S("-"));
    if (step->file.n) {
        out_str(out, S("  "));
        out_printable(out, step->file);
        out_char(out, ':');
        out_u64(out, step->line);
    }
    out_char(out, '\n');
}

void explanation_write_text(struct out *out, const void *explanation_)
{
    const struct explanation *e = explanation_;

    for (uint32_t i = 0; i < e->steps.count; i++)
        put_step(out, vec_at(&e->steps, struct explain_step, i));
    out_str(out, S("outcome: "));
    out_str(out, str_of(e->outcome));
    if (e->status) {
        out_char(out, ' ');
        out_u64(out, (uint64_t)e->status);
    }
    if (e->upstream.n) {
        out_str(out, S(" to "));
        out_printable(out, e->upstream);
    }
    if (e->reason.n) {
        out_str(out, S(": "));
        out_printable(out, e->reason);
    }
    if (e->depends)
        out_str(out, S(" (depends on the steps that say so)"));
    out_char(out, '\n');
}

static void put_member(struct out *out, const char *name, str value)
{
    out_str(out, S(",\""));
    out_str(out, str_of(name));
    out_str(out, S("\":"));
    if (value.n)
        out_json_str(out, value);
    else
        out_str(out, S("null"));
}

static void put_json_step(struct out *out, const struct explain_step *step)
{
    out_str(out, S("{\"stage\":"));
    out_json_str(out, str_of(step->stage));
    put_member(out, "module", step->module);
    put_member(out, "verdict", str_of(step->verdict));
    put_member(out, "reason", step->reason);
    put_member(out, "file", step->file);
    out_str(out, S(",\"line\":"));
    out_u64(out, step->line);
    out_char(out, '}');
}

void explanation_put_members(struct out *out, const struct explanation *e)
{
    out_str(out, S("\"outcome\":"));
    out_json_str(out, str_of(e->outcome));
    out_str(out, S(",\"status\":"));
    out_u64(out, (uint64_t)e->status);
    out_str(out, e->depends ? S(",\"depends\":true") : S(",\"depends\":false"));
    put_member(out, "site", e->site);
    put_member(out, "route", e->route);
    put_member(out, "upstream", e->upstream);
    put_member(out, "reason", e->reason);
    out_str(out, S(",\"steps\":["));
    for (uint32_t i = 0; i < e->steps.count; i++) {
        if (i)
            out_char(out, ',');
        put_json_step(out, vec_at(&e->steps, struct explain_step, i));
    }
    out_char(out, ']');
}

void explanation_write_json(struct out *out, const void *explanation)
{
    out_char(out, '{');
    explanation_put_members(out, explanation);
    out_str(out, S("}\n"));
}
