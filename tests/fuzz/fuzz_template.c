/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_template.c: any text compiles or is refused with a reason; results are never longer than allowed. */
#include "config/template.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool what)
{
    if (!what)
        abort();
}

static int get(void *subject, const struct variable *variable, str rest, str *value)
{
    (void)subject;
    *value = variable->is_prefix ? rest : variable->name;
    return variable->index == 1 ? -1 : 0;
}

static void add(struct variables *variables, str name, bool is_prefix)
{
    require(!variables_add(variables, &(struct variable){ .name = name, .is_prefix = is_prefix, .get = get }));
}

/* Neither backslashes nor dollars: the text is its own result. */
static bool is_plain(str text)
{
    return str_find(text, '$') == text.n && str_find(text, '\\') == text.n;
}

static void try_text(str text, bool literal, const struct variables *variables, struct arena *arena,
                     struct diags *diags)
{
    struct place place = { .file = S("fuzz"), .line = 1, .column = 1, .length = (uint32_t)text.n, .text = text };
    uint32_t errors = diags->errors;
    weir_tmpl *tmpl = template_compile(text, literal, variables, arena, diags, place);
    require((tmpl == NULL) == (diags->errors > errors));
    for (const struct diag *diag = diags->first; diag; diag = diag->next)
        require(diag->place.column >= 1 && (size_t)diag->place.column - 1 + diag->place.length <= text.n);
    require(!literal || tmpl);
    if (!tmpl)
        return;
    static const size_t mosts[] = { 0, 1, 7, 100, 65536 };
    for (size_t i = 0; i < sizeof(mosts) / sizeof(mosts[0]); i++) {
        str result = template_eval(tmpl, get, NULL, arena, mosts[i]);
        require(result.n <= mosts[i] && result.p);
        if (literal || is_plain(text))
            require(str_equal(result, str_upto(text, mosts[i])));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(4096, 0);
    struct variables variables;
    struct diags diags;
    require(arena);
    diags_init(&diags, arena);
    variables_init(&variables, arena);
    add(&variables, S("uri"), false);
    add(&variables, S("none"), false);
    add(&variables, S("http_"), true);
    add(&variables, S("http_host"), false);
    try_text((str){ (const char *)data, size }, false, &variables, arena, &diags);
    try_text((str){ (const char *)data, size }, true, &variables, arena, &diags);
    arena_destroy(arena);
    return 0;
}
