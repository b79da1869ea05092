/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/api.h"
#include "pipeline/commands.h"

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/dict.h"
#include "pipeline/fetch.h"
#include "pipeline/metrics.h"
#include "pipeline/notes.h"
#include "pipeline/services.h"
#include "pipeline/sink.h"
#include "pipeline/suspension.h"
#include "pipeline/timer.h"

#include <stdio.h>

enum { MESSAGE_MOST = 1024 };

/* -- log.h --------------------------------------------------------------------------------------------------------- */

static enum log_level level_of(uint32_t level)
{
    _Static_assert(WEIR_LOG_DEBUG == LOG_DEBUG_ && WEIR_LOG_ERROR == LOG_ERROR_, "the SDK's levels are ours");
    return level > WEIR_LOG_ERROR ? LOG_ERROR_ : (enum log_level)level;
}

static void log_plain(uint32_t level, const char *fmt, va_list ap)
{
    log_vwrite(level_of(level), fmt, ap);
}

static void log_of_request(weir_req *r, uint32_t level, const char *fmt, va_list ap)
{
    char message[MESSAGE_MOST];
    if (level_of(level) < log_get_level())
        return;
    vsnprintf(message, sizeof(message), fmt, ap);
    log_write(level_of(level), "request " STR_FMT ": %s", STR_ARG(r->id), message);
}

static int mod_error(weir_mod *mod, const char *fmt, va_list ap)
{
    vsnprintf(mod->error, sizeof(mod->error), fmt, ap);
    return -1;
}

static void mod_note(weir_mod *mod, const char *subject, uint32_t level, const char *fmt, va_list ap)
{
    note_put(mod, subject, level, fmt, ap);
}

static void *thread_slot(weir_mod *mod)
{
    const struct pipeline_worker *pw = pipeline_worker_self();
    if (!pw || mod->desc.thread_size == 0 || mod->index >= pw->module_count)
        return NULL;
    return pw->thread_slots[mod->index];
}

static const void *thread_conf(weir_mod *mod)
{
    const struct snapshot *snapshot = snapshot_current();

    return snapshot && mod->desc.conf_size ? snapshot->top->confs[mod->index] : NULL;
}

/* -- event.h ------------------------------------------------------------------------------------------------------- */

static weir_token suspend(weir_req *r, uint64_t ms, weir_verdict on_timeout)
{
    if (r->is_dry || r->ending)
        return (weir_token){ 0, 0 };
    return suspension_create(r, ms, on_timeout);
}

static uint64_t now(uint32_t which)
{
    bool turns = worker_self(); /* other threads have no turn that would renew the reading */
    switch (which) {
    case WEIR_NOW_MS:
        return turns ? clock_ms() : clock_us_now() / 1000;
    case WEIR_NOW_WALL_MS:
        return turns ? clock_wall_ms() : clock_wall_ms_now();
    default:
        return 0;
    }
}

/* -- share.h ------------------------------------------------------------------------------------------------------- */

static weir_dict *open_dict(weir_mod *mod, const char *name, uint64_t bytes, uint32_t flags)
{
    return flags ? NULL : dict_open(mod, name, bytes); /* no flag has been given a meaning yet */
}

static void count(weir_req *r, uint32_t metric, int64_t by)
{
    if (r->calling && !r->is_dry)
        metric_add(r->calling->mod, metric, by);
}

static void count_for(weir_mod *mod, uint32_t metric, int64_t by)
{
    metric_add(mod, metric, by);
}

static int publish(weir_mod *mod, const char *name, uint32_t version, const void *table)
{
    return service_publish(mod, name, version, table) ? 0 : -1;
}

static const void *find_service(weir_mod *mod, const char *name, uint32_t version)
{
    (void)mod;
    return service_find(name, version);
}

const struct weir_api module_api = {
    .size = sizeof(struct weir_api),
    .abi_major = WEIR_ABI_MAJOR,
    .abi_minor = WEIR_ABI_MINOR,

    .mod_error = mod_error,
    .log = log_plain,
    .req_log = log_of_request,
    .thread_slot = thread_slot,

    .conf_error = api_conf_error,
    .conf_warn = api_conf_warn,
    .conf_alloc = api_conf_alloc,
    .conf_mod = api_conf_mod,
    .conf_scope = api_conf_scope,
    .conf_is_rehearsal = api_conf_is_rehearsal,
    .conf_site_names = api_conf_site_names,
    .conf_read_file = api_conf_read_file,
    .conf_state_path = api_conf_state_path,
    .conf_template = api_conf_template,
    .conf_offer_tls = api_conf_offer_tls,
    .conf_skip_hook = api_conf_skip_hook,
    .conf_sink = api_conf_sink,

    .req_alloc = api_req_alloc,
    .req_printf = api_req_printf,
    .req_on_end = api_req_on_end,

    .req_part = api_req_part,
    .req_set_part = api_req_set_part,
    .field_get = api_field_get,
    .field_next = api_field_next,
    .field_set = api_field_set,
    .field_add = api_field_add,
    .field_remove = api_field_remove,
    .rsp_status = api_rsp_status,
    .rsp_set_status = api_rsp_set_status,
    .reply = api_reply,
    .refuse = api_refuse,
    .redirect = api_redirect,
    .fail = api_fail,
    .req_number = api_req_number,
    .client_address = api_client_address,
    .eval = api_eval,
    .variable = api_variable,
    .is_dry = api_is_dry,
    .req_ctx = api_req_ctx,
    .req_conf = api_req_conf,
    .req_conn = api_req_conn,

    .engage = api_engage,
    .want_body = api_want_body,
    .flow_req = api_flow_req,
    .flow_conf = api_flow_conf,
    .flow_ctx = api_flow_ctx,
    .flow_want = api_flow_want,
    .flow_room = api_flow_room,
    .chain_peek = api_chain_peek,
    .chain_size = api_chain_size,
    .chain_eat = api_chain_eat,
    .chain_reserve = api_chain_reserve,
    .chain_commit = api_chain_commit,
    .chain_pass = api_chain_pass,

    .conn_site_conf = api_conn_site_conf,
    .conn_ctx = api_conn_ctx,
    .conn_transport = api_conn_transport,
    .conn_address = api_conn_address,
    .conn_peek = api_conn_peek,
    .conn_suspend = suspension_create_conn,

    .suspend = suspend,
    .resume = suspension_resume,
    .timer = timer_start,
    .thread_timer = timer_start_thread,
    .timer_cancel = timer_cancel,
    .job = request_job,
    .now = now,

    .dict_open = open_dict,
    .dict_get = dict_get,
    .dict_put = dict_put,
    .dict_remove = dict_remove,
    .dict_add = dict_add,
    .dict_compare_and_set = dict_compare_and_set,
    .dict_take = dict_take,
    .dict_spend = dict_spend,
    .say = command_say,
    .is_shadow = api_is_shadow,
    .client_is_trusted = api_client_is_trusted,
    .count = count,
    .mod_count = count_for,
    .service_publish = publish,
    .service_find = find_service,
    .sink_write = sink_write,

    .tmpl_constant = api_tmpl_constant,

    .mod_job = module_job,
    .mod_note = mod_note,
    .fetch = fetch_start,
    .mod_fetch = fetch_start_for,
    .thread_conf = thread_conf,
    .conf_value = api_conf_value,

    .conn_protocols = api_conn_protocols,
};
