/* SPDX-License-Identifier: BSD-2-Clause */
#include "toy.h"

#include "pipeline/plan.h"

/* Modules a, b and c: a has two hooks at GUARD and one at LOG, the others one at GUARD. Owner 3 is the core. */
static const struct weir_hook a_hooks[] = {
    { .stage = WEIR_AT_GUARD, .slot = -1, .req = toy_req },
    { .stage = WEIR_AT_GUARD, .slot = 1, .req = toy_req },
    { .stage = WEIR_AT_LOG, .req = toy_req },
};
static const struct weir_hook one_hook[] = { { .stage = WEIR_AT_GUARD, .flags = WEIR_DECIDES, .req = toy_req } };

enum { A, B, C, CORE, OWNERS };

struct house {
    weir_mod mods[3];
    weir_mod *list[3];
    struct arena *arena;
    struct diags diags;
    struct order order;
};

static void house_init(struct house *house)
{
    *house = (struct house){ .arena = arena_create(4096, 0) };
    house->mods[A] = toy_mod("a", A, a_hooks, 3);
    house->mods[B] = toy_mod("b", B, one_hook, 1);
    house->mods[C] = toy_mod("c", C, one_hook, 1);
    for (int i = 0; i < 3; i++)
        house->list[i] = &house->mods[i];
    diags_init(&house->diags, house->arena);
    assert_true(order_compute(&house->order, house->list, 3, NULL, 0, house->arena, &house->diags));
}

static struct scope scope_of(void **confs, uint8_t *state, uint64_t *skipped)
{
    return (struct scope){ .owner_count = OWNERS, .confs = confs, .state = state, .skipped = skipped };
}

static const struct {
    const char *what;
    uint8_t state[OWNERS];
    uint64_t skipped[OWNERS];
    const char *guard, *log;
} cases[] = {
    { "all", { 0 }, { 0 }, "a0 b0 c0 a1", "a2" },
    { "one is inactive", { [B] = SCOPE_INACTIVE }, { 0 }, "a0 c0 a1", "a2" },
    { "a module with several hooks is inactive", { [A] = SCOPE_INACTIVE | SCOPE_OWN }, { 0 }, "b0 c0", "" },
    { "one hook is skipped", { 0 }, { [A] = 1u << 1 }, "a0 b0 c0", "a2" },
    { "two hooks are skipped", { 0 }, { [A] = 1u << 0 | 1u << 2 }, "b0 c0 a1", "" },
    { "nothing is left", { SCOPE_INACTIVE, SCOPE_INACTIVE, SCOPE_INACTIVE, 0 }, { 0 }, "", "" },
};

static const char *steps_text(const struct house *house, const struct steps *steps)
{
    static char text[2][64];
    static int next;
    char *to = text[next++ % 2];
    to[0] = '\0';
    for (uint32_t i = 0; i < steps->count; i++) {
        uint32_t mod = steps->at[i].mod->index;
        uint32_t hook = (uint32_t)(steps->at[i].hook - (const struct weir_hook *)house->mods[mod].desc.hooks.base);
        snprintf(to + strlen(to), 64 - strlen(to), "%s%c%u", i ? " " : "", 'a' + (int)mod, hook);
    }
    return to;
}

static void inactive_hooks_vanish(void **state)
{
    (void)state;
    struct house house;
    struct core_conf conf[OWNERS] = { 0 };
    void *confs[OWNERS] = { &conf[0], &conf[1], &conf[2], &conf[3] };
    house_init(&house);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scope scope = scope_of(confs, (uint8_t *)cases[i].state, (uint64_t *)cases[i].skipped);
        const struct plan *plan = plan_build(&house.order, &scope, NULL, CORE, house.arena);
        assert_non_null(plan);
        assert_string_equal(steps_text(&house, &plan->stages[STAGE_GUARD]), cases[i].guard);
        assert_string_equal(steps_text(&house, &plan->stages[STAGE_LOG]), cases[i].log);
        assert_ptr_equal(plan->core, &conf[CORE]);
        assert_ptr_equal(plan->scope, &scope);
        for (uint32_t s = 0; s < plan->stages[STAGE_GUARD].count; s++) {
            const struct step *step = &plan->stages[STAGE_GUARD].at[s];
            assert_ptr_equal(step->conf, &conf[step->mod->index]);
        }
    }
    arena_destroy(house.arena);
}

static void inner_plans_share_what_is_the_same(void **state)
{
    (void)state;
    struct house house;
    struct core_conf conf[OWNERS] = { 0 }, other = { 0 };
    uint8_t none[OWNERS] = { 0 };
    uint64_t skipped[OWNERS] = { 0 };
    void *outer_confs[OWNERS] = { &conf[0], &conf[1], &conf[2], &conf[3] };
    void *inner_confs[OWNERS] = { &conf[0], &conf[1], &conf[2], &conf[3] };
    house_init(&house);
    struct scope outer_scope = scope_of(outer_confs, none, skipped), inner_scope = scope_of(inner_confs, none, skipped);
    const struct plan *outer = plan_build(&house.order, &outer_scope, NULL, CORE, house.arena);

    const struct plan *same = plan_build(&house.order, &inner_scope, outer, CORE, house.arena);
    assert_ptr_equal(same->stages[STAGE_GUARD].at, outer->stages[STAGE_GUARD].at);
    assert_ptr_equal(same->stages[STAGE_LOG].at, outer->stages[STAGE_LOG].at);
    assert_ptr_equal(same->scope, &inner_scope);

    inner_confs[B] = &other; /* b says something of its own: only the stages where it stands are new */
    const struct plan *inner = plan_build(&house.order, &inner_scope, outer, CORE, house.arena);
    assert_ptr_not_equal(inner->stages[STAGE_GUARD].at, outer->stages[STAGE_GUARD].at);
    assert_ptr_equal(inner->stages[STAGE_GUARD].at[1].conf, &other);
    assert_ptr_equal(inner->stages[STAGE_LOG].at, outer->stages[STAGE_LOG].at);

    inner_confs[B] = &conf[B];
    uint8_t inactive[OWNERS] = { [A] = SCOPE_INACTIVE };
    inner_scope.state = inactive;
    inner = plan_build(&house.order, &inner_scope, outer, CORE, house.arena);
    assert_int_equal(inner->stages[STAGE_LOG].count, 0);
    assert_string_equal(steps_text(&house, &inner->stages[STAGE_GUARD]), "b0 c0");
    arena_destroy(house.arena);
}

/* `enforce off b c; enforce on c;` in an inner scope, whose words come first: a does not decide at all. */
static void the_innermost_word_on_enforcement_counts(void **state)
{
    static const str on_names[] = { { "c", 1 } }, off_names[] = { { "a", 1 }, { "b", 1 }, { "c", 1 } };
    static const struct enforcement words[] = { { ENFORCE_ON, WEIR_TABLE(on_names) },
                                                { ENFORCE_OFF, WEIR_TABLE(off_names) } };
    (void)state;
    struct house house;
    struct core_conf conf[OWNERS] = { [CORE] = { .enforcements = WEIR_TABLE(words) } };
    uint8_t none[OWNERS] = { 0 };
    uint64_t skipped[OWNERS] = { 0 };
    void *confs[OWNERS] = { &conf[0], &conf[1], &conf[2], &conf[3] };
    house_init(&house);
    struct scope scope = scope_of(confs, none, skipped);
    const struct plan *plan = plan_build(&house.order, &scope, NULL, CORE, house.arena);
    const struct steps *steps = &plan->stages[STAGE_GUARD];

    assert_int_equal(steps->count, 4);
    for (uint32_t i = 0; i < steps->count; i++)
        assert_int_equal(steps->at[i].is_shadow, steps->at[i].mod == &house.mods[B]);
    arena_destroy(house.arena);
}

static void without_memory(void **state)
{
    (void)state;
    struct house house;
    struct core_conf conf[OWNERS] = { 0 };
    uint8_t none[OWNERS] = { 0 };
    uint64_t skipped[OWNERS] = { 0 };
    void *confs[OWNERS] = { &conf[0], &conf[1], &conf[2], &conf[3] };
    house_init(&house);
    struct scope scope = scope_of(confs, none, skipped);
    for (int n = 0; n < 3; n++) { /* the plan and two stages */
        struct arena *arena = arena_create(0, 0);
        mem_fail_after(n);
        assert_null(plan_build(&house.order, &scope, NULL, CORE, arena));
        mem_fail_after(-1);
        arena_destroy(arena);
    }
    arena_destroy(house.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inactive_hooks_vanish),
        cmocka_unit_test(inner_plans_share_what_is_the_same),
        cmocka_unit_test(the_innermost_word_on_enforcement_counts),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
