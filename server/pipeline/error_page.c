/* SPDX-License-Identifier: BSD-2-Clause */
/* Error pages: the operator's file for the status, else a small page of ours, in HTML or JSON as the client prefers. */
#include "http/media.h"
#include "pipeline/trace.h"

static const struct error_page *page_of(const struct core_conf *core, int status)
{
    const char *at = core->error_pages.base;

    for (uint32_t i = 0; i < core->error_pages.count; i++, at += core->error_pages.stride) {
        const struct error_page *page = (const struct error_page *)at;
        const uint64_t *statuses = page->statuses.base;
        for (uint32_t k = 0; k < page->statuses.count; k++)
            if (statuses[k] == (uint64_t)status)
                return page;
    }
    return NULL;
}

static str small_page(struct weir_req *r, int status, str *media_type)
{
    str reason = status_reason(status);

    if (accepts_json_over_html(fields_get(&r->fields, FIELD_ACCEPT))) {
        *media_type = S("application/json");
        return arena_printf(r->arena, "{\"status\":%d,\"error\":\"%.*s\",\"request_id\":\"%.*s\"}\n", status,
                            STR_ARG(reason),
                            STR_ARG(r->id));
    }
    *media_type = S("text/html; charset=utf-8");
    return arena_printf(r->arena,
                        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                        "<title>%d %.*s</title></head>\n"
                        "<body><h1>%d %.*s</h1><p>Request %.*s</p></body></html>\n",
                        status, STR_ARG(reason), status, STR_ARG(reason), STR_ARG(r->id));
}

void request_error_body(struct weir_req *r, int status)
{
    const struct error_page *page = page_of(r->plan->core, status);
    str media_type, content;

    if (page) {
        media_type = page->media_type;
        content = page->content;
        if (trace_is_on(r))
            trace_put_page(r, &page->place, status);
    } else {
        content = small_page(r, status, &media_type);
    }
    fields_set_id(&r->rsp, FIELD_CONTENT_TYPE, media_type);
    if (!fields_find_id(&r->rsp, FIELD_CACHE_CONTROL))
        fields_append(&r->rsp, FIELD_CACHE_CONTROL, S("Cache-Control"), S("no-store"));
    if (chain_append_copy(&r->reply, content.p, content.n))
        r->rsp_length = content.n;
}
