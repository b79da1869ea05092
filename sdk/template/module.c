/* @name@.c: puts a field on every response of the scopes that ask for it with `@id@`. */
#include <weir/weir.h>

struct conf {
    weir_tmpl *value;
};

static weir_verdict stamp(weir_req *r, const void *conf_, void *ctx)
{
    const struct conf *conf = conf_;

    (void)ctx;
    if (weir_rsp_set(r, WEIR_S("X-@name@"), weir_eval(r, conf->value)) != 0)
        return weir_fail(r, "the field does not fit");
    return WEIR_NEXT;
}

/* Scopes that never said `@id@` run no hook of this module. */
static int check(weir_conf *c, void *scope)
{
    const struct conf *conf = scope;

    (void)c;
    return conf->value != NULL ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
}

static const struct weir_directive directives[] = {
    WEIR_DIR(struct conf, value, TEMPLATE, "@id@", WEIR_IN_HTTP, NULL, "value of the response field X-@name@"),
};

static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_RSP_HEAD, .flags = WEIR_FAIL_OPEN, .req = stamp },
};

WEIR_MODULE(@name@, .version = "0.1.0", .license = "BSD-2-Clause", .summary = "a field on every response",
            .conf_size = sizeof(struct conf), .directives = WEIR_TABLE(directives), .hooks = WEIR_TABLE(hooks),
            .check = check);
