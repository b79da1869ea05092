/* SPDX-License-Identifier: BSD-2-Clause */
#include "toy.h"

#include "pipeline/metrics.h"
#include "pipeline/module_check.h"
#include "pipeline/services.h"

#include <stdlib.h>
#include <weir/log.h>
#include <weir/share.h>

const struct weir_api *weir_api_; /* the inline functions of the SDK use it, as in a module */

/* -- refusals ------------------------------------------------------------------------------------------------------ */

static int get_nothing(weir_req *r, const void *conf, void *ctx, weir_str rest, weir_str *value)
{
    (void)r, (void)conf, (void)ctx, (void)rest, (void)value;
    return -1;
}

static int32_t pick_none(void *state, const void *conf, weir_req *r, const weir_table *servers)
{
    (void)state, (void)conf, (void)r, (void)servers;
    return -1;
}

static const struct weir_balancer balancer = { .name = "none", .pick = pick_none }, nameless = { .pick = pick_none };
static const struct weir_transport old_transport = { .size = 8 }, empty_transport = { .size = sizeof(empty_transport) };

#define HOOK(...) { (const struct weir_hook[]){ __VA_ARGS__ }, 1, sizeof(struct weir_hook) }
#define VAR(...) { (const struct weir_variable[]){ __VA_ARGS__ }, 1, sizeof(struct weir_variable) }
#define METRIC(...) { (const struct weir_metric[]){ __VA_ARGS__ }, 1, sizeof(struct weir_metric) }
#define OTHER(Magic, Major, Size, Api) .magic = (Magic), .abi_major = (Major), .size = (Size), .api = (Api)
#define GOOD OTHER(WEIR_ABI_MAGIC, WEIR_ABI_MAJOR, sizeof(struct weir_module), &weir_api_)

static int load_says_why(weir_mod *mod)
{
    return weir_mod_error(mod, "no room for %d clients", 8);
}

static int load_is_silent(weir_mod *mod)
{
    (void)mod;
    return -1;
}

static const struct {
    struct weir_module module;
    const char *path, *why;
} refusals[] = {
    { { OTHER(0x12345678, 0, 0, NULL) }, "/x/tally.so",
      "module tally: not a weir module (its descriptor begins with 0x12345678)" },
    { { GOOD, .name = "tally", .abi_minor = WEIR_ABI_MINOR + 1 }, "/x/tally.so",
      "module tally was built for ABI 0.2, this weir offers 0.1: rebuild it for an older target (WEIR_TARGET) or "
      "upgrade weir" },
    { { OTHER(WEIR_ABI_MAGIC, 1, sizeof(struct weir_module), &weir_api_), .name = "tally" }, "/x/tally.so",
      "module tally was built for ABI 1.0, this weir offers 0.1: the two do not fit together, rebuild it with this "
      "weir's headers" },
    { { OTHER(WEIR_ABI_MAGIC, WEIR_ABI_MAJOR, 16, &weir_api_), .name = "tally" }, "/x/tally.so",
      "module tally: descriptor of 16 bytes, at least *" },
    { { OTHER(WEIR_ABI_MAGIC, WEIR_ABI_MAJOR, sizeof(struct weir_module), NULL), .name = "tally" }, "",
      "module tally: no place for the host's table (.api)" },
    { { GOOD, .name = NULL }, "/x/tally.so",
      "module tally: its name must be a to z, 0 to 9, '-' and '_', at most 31 bytes" },
    { { GOOD, .name = "Tally" }, "",
      "module (built in): its name must be a to z, 0 to 9, '-' and '_', at most 31 bytes" },
    { { GOOD, .name = "a23456789012345678901234567890123" }, "x.so",
      "module x: its name must be a to z, 0 to 9, '-' and '_', at most 31 bytes" },
    { { GOOD, .name = "t", .ctx_size = UINT32_MAX }, "", "module t: a context of more than 1048576 bytes" },

    { { GOOD, .name = "t", .hooks = { NULL, 1, sizeof(struct weir_hook) } }, "",
      "module t: its table of hooks is broken" },
    { { GOOD, .name = "t", .hooks = { &balancer, 1, 0 } }, "", "module t: its table of hooks is broken" },
    { { GOOD, .name = "t", .hooks = HOOK({ .stage = 555, .req = toy_req }) }, "",
      "module t: hook 0 stands at stage 555, which this weir does not have" },
    { { GOOD, .name = "t", .hooks = HOOK({ .stage = WEIR_AT_GUARD }) }, "",
      "module t: hook 0 (GUARD) has 0 callbacks, exactly one is allowed" },
    { { GOOD, .name = "t", .hooks = HOOK({ .stage = WEIR_AT_GUARD, .req = toy_req, .bytes = toy_bytes }) }, "",
      "module t: hook 0 (GUARD) has 2 callbacks, exactly one is allowed" },
    { { GOOD, .name = "t", .hooks = HOOK({ .stage = WEIR_AT_ENCODE, .req = toy_req }) }, "",
      "module t: hook 0 stands at ENCODE, which takes a .bytes callback" },
    { { GOOD, .name = "t",
        .hooks = HOOK({ .stage = WEIR_AT_GUARD, .req = toy_req, .flags = 1u << 20 | WEIR_FAIL_OPEN }) },
      "", "module t: hook 0 has flags that this weir does not know (0x100000)" },
    { { GOOD, .name = "t", .hooks = HOOK({ .stage = WEIR_AT_BALANCE, .balance = &nameless }) }, "",
      "module t: hook 0: a balancer needs a name and pick()" },
    { { GOOD, .name = "t", .hooks = HOOK({ .stage = WEIR_AT_TRANSPORT, .transport = &old_transport }) }, "",
      "module t: transport of 8 bytes, *" },
    { { GOOD, .name = "t", .hooks = HOOK({ .stage = WEIR_AT_TRANSPORT, .transport = &empty_transport }) }, "",
      "module t: transport without a name lacks calls that both roles need" },

    { { GOOD, .name = "t", .variables = VAR({ .name = "seen", .get = get_nothing }) }, "",
      "module t: variable $seen must begin with the module's name" },
    { { GOOD, .name = "t", .variables = VAR({ .name = "tseen", .get = get_nothing }) }, "",
      "module t: variable $tseen must begin with the module's name" },
    { { GOOD, .name = "t", .variables = VAR({ .name = "t_Seen", .get = get_nothing }) }, "",
      "module t: variable names are a to z, 0 to 9 and '_'" },
    { { GOOD, .name = "t", .variables = VAR({ .name = "t_seen" }) }, "", "module t: variable $t_seen has no getter" },
    { { GOOD, .name = "t", .variables = VAR({ .name = "t_seen", .get = get_nothing, .flags = 64 }) }, "",
      "module t: variable $t_seen has flags that this weir does not know" },
    { { GOOD, .name = "t", .metrics = METRIC({ .name = "seen", .kind = WEIR_COUNTER }) }, "",
      "module t: metric seen: counters, and only they, end in _total" },
    { { GOOD, .name = "t", .metrics = METRIC({ .name = "seen_total", .kind = WEIR_GAUGE }) }, "",
      "module t: metric seen_total: counters, and only they, end in _total" },
    { { GOOD, .name = "t", .metrics = METRIC({ .name = "seen", .kind = 9 }) }, "",
      "module t: metric seen is of a kind that this weir does not know" },
    { { GOOD, .name = "t", .metrics = METRIC({ .name = "a-b" }) }, "",
      "module t: metric names are a to z, 0 to 9 and '_'" },

    { { GOOD, .name = "t", .load = load_says_why }, "", "module t: no room for 8 clients" },
    { { GOOD, .name = "t", .load = load_is_silent }, "", "module t: load() failed and did not say why" },
};

static void refused_with_a_reason(void **state)
{
    (void)state;
    uint32_t before = modules.count;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        weir_mod *mod = NULL;
        const char *why = module_register(&refusals[i].module, str_of(refusals[i].path), &mod);
        assert_non_null(why);
        size_t n = strcspn(refusals[i].why, "*"); /* figures that grow with the SDK are left out */
        assert_memory_equal(why, refusals[i].why, refusals[i].why[n] ? n : n + 1);
        assert_null(mod);
        assert_int_equal(modules.count, before);
    }
}

/* -- what is taken ------------------------------------------------------------------------------------------------- */

static weir_mod *loaded;
static uint64_t seen_by_load;
static int load_counts(weir_mod *mod)
{
    loaded = mod;
    weir_mod_count(mod, 0, 3); /* the register knows it already, the API table is there */
    return weir_dict_open(mod, "clients", 0, 0) && weir_service_publish(mod, "greeter", 1, &seen_by_load) == 0 ? 0 : -1;
}

static void registered(void **state)
{
    (void)state;
    static const struct weir_hook hooks[] = { { .stage = WEIR_AT_GUARD, .req = toy_req },
                                              { .stage = WEIR_AT_BALANCE, .balance = &balancer } };
    static const struct weir_metric metrics[] = { { .name = "seen_total", .doc = "Requests\nseen." },
                                                  { .name = "clients", .doc = "Clients \\ now.", .kind = WEIR_GAUGE } };
    static const struct weir_module module = { GOOD, .name = "count-er", .ctx_size = 24, .conn_ctx_size = 1,
        .thread_size = 17, .conf_size = 8, .hooks = WEIR_TABLE(hooks), .metrics = WEIR_TABLE(metrics),
        .load = load_counts };
    static const struct weir_module second = { GOOD, .name = "second", .ctx_size = 8 };
    weir_mod *mod = NULL, *other = NULL;
    assert_null(module_register(&module, S("/m/count-er.so"), &mod));
    assert_ptr_equal(mod, loaded);
    assert_ptr_equal(weir_api_, &module_api);
    assert_str(mod->path, "/m/count-er.so");
    assert_ptr_equal(module_find(S("count-er")), mod);
    assert_int_equal(mod->owner.index, mod->index);
    assert_int_equal(mod->owner.conf_size, 8);
    assert_ptr_equal(module_hook(mod, 1), &hooks[1]);
    assert_null(module_register(&second, STR_NONE, &other));
    assert_int_equal(other->ctx_offset, mod->ctx_offset + 32);
    assert_int_equal(modules.thread_size, mod->thread_offset + 32);

    assert_string_equal(module_register(&module, S("/n/count-er.so"), &mod),
                        "module count-er is loaded already, from /m/count-er.so");
    assert_string_equal(module_register(&second, STR_NONE, &mod), "module second is loaded already (built in)");

    assert_ptr_equal(weir_dict_open(mod, "clients", 0, 0), weir_dict_open(mod, "clients", 1 << 30, 0));
    assert_ptr_not_equal(weir_dict_open(mod, "clients", 0, 0), weir_dict_open(other, "clients", 0, 0));
    assert_null(weir_dict_open(mod, "clients", 0, 1)); /* a flag of the future */
    assert_ptr_equal(weir_service_find(other, "greeter", 1), &seen_by_load);
    assert_null(weir_service_find(other, "greeter", 2));
    assert_int_equal(weir_service_publish(other, "greeter", 1, &other), -1);
    assert_null(weir_thread_slot(mod)); /* no worker here */
}

static void metrics_text(void **state)
{
    (void)state;
    char room[16 * 1024];
    struct out out = { .p = room, .room = sizeof(room) - 1 };
    weir_mod *mod = module_find(S("count-er"));
    weir_mod_count(mod, 1, 5);
    weir_mod_count(mod, 1, -7);
    weir_mod_count(mod, 2, 100); /* it has no such metric */
    assert_int_equal(metric_sum(mod, 0), 3);
    assert_int_equal(metric_sum(mod, 1), -2);
    assert_int_equal(metric_sum(mod, 2), 0);
    metrics_put_server(&out, NULL);
    metrics_put_modules(&out, &mod, 1);
    assert_false(out.full);
    room[out.n] = 0;
    assert_non_null(strstr(room, "# HELP weir_count_er_seen_total Requests\\nseen.\n"
                                 "# TYPE weir_count_er_seen_total counter\nweir_count_er_seen_total 3\n"
                                 "# HELP weir_count_er_clients Clients \\\\ now.\n"
                                 "# TYPE weir_count_er_clients gauge\nweir_count_er_clients -2\n"));
    assert_non_null(strstr(room, "\nweir_requests_started_total 0\n"));
    assert_non_null(strstr(room, "\nweir_snapshots 0\n"));
    assert_non_null(strstr(room, "\nweir_reloads_total{result=\"refused\"} 0\n"));
}

/* -- older and newer descriptors ----------------------------------------------------------------------------------- */

/* As an older SDK would have made it: the descriptor ends before its tables of variables, hooks have fewer members. */
static void smaller_descriptors_are_grown(void **state)
{
    (void)state;
    enum { OLD_HOOK = offsetof(struct weir_hook, bytes), OLD_MODULE = offsetof(struct weir_module, variables) };
    static _Alignas(16) char old_hooks[2 * OLD_HOOK];
    for (int i = 0; i < 2; i++)
        memcpy(old_hooks + i * OLD_HOOK, &(struct weir_hook){ .stage = WEIR_AT_GUARD, .slot = i, .req = toy_req },
               OLD_HOOK);
    struct weir_module whole = { GOOD, .name = "older", .hooks = { old_hooks, 2, OLD_HOOK } };
    struct weir_module *old = malloc(OLD_MODULE);
    whole.size = OLD_MODULE;
    memcpy(old, &whole, OLD_MODULE); /* ASan sees a read beyond its end */
    weir_mod *mod = NULL;
    assert_null(module_register(old, STR_NONE, &mod));
    assert_int_equal(mod->desc.size, sizeof(struct weir_module));
    assert_int_equal(mod->desc.variables.count, 0);
    assert_null(mod->desc.load);
    assert_int_equal(mod->desc.hooks.stride, sizeof(struct weir_hook));
    assert_int_equal(module_hook(mod, 1)->slot, 1);
    assert_true(module_hook(mod, 1)->req == toy_req);
    assert_null(module_hook(mod, 1)->balance);
    free(old);
}

/* A newer SDK with an old WEIR_TARGET: wider structs, whose ends must be unused. */
struct wider_module {
    struct weir_module is;
    uint64_t more;
};
struct wider_hook {
    struct weir_hook is;
    uint64_t more;
};

static void wider_descriptors_are_taken_when_the_rest_is_zero(void **state)
{
    (void)state;
    static struct wider_hook hooks[2] = { { { .stage = WEIR_AT_GUARD, .req = toy_req }, 0 },
                                          { { .stage = WEIR_AT_LOG, .req = toy_req }, 0 } };
    static struct wider_module module = { { GOOD, .name = "wider", .hooks = { hooks, 2, sizeof(hooks[0]) } }, 0 };
    weir_mod *mod = NULL;
    module.is.size = sizeof(module);
    module.more = 1;
    assert_string_equal(module_register(&module.is, STR_NONE, &mod),
                        "module wider uses fields that this weir does not know: upgrade weir");
    module.more = 0;
    hooks[1].more = 1;
    assert_string_equal(module_register(&module.is, STR_NONE, &mod),
                        "module wider: its table of hooks uses fields that this weir does not know");
    hooks[1].more = 0;
    assert_null(module_register(&module.is, STR_NONE, &mod));
    assert_int_equal(module_hook(mod, 1)->stage, WEIR_AT_LOG);
}

static void without_memory(void **state)
{
    (void)state;
    static const struct weir_module module = { GOOD, .name = "late" };
    weir_mod *mod = NULL;
    mem_fail_after(0);
    assert_string_equal(module_register(&module, STR_NONE, &mod), "no memory");
    mem_fail_after(-1);
    assert_null(module_find(S("late")));
    assert_null(module_register(&module, STR_NONE, &mod));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_with_a_reason),
        cmocka_unit_test(registered),
        cmocka_unit_test(metrics_text),
        cmocka_unit_test(smaller_descriptors_are_grown),
        cmocka_unit_test(wider_descriptors_are_taken_when_the_rest_is_zero),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests_name("module", tests, NULL, NULL);
}
