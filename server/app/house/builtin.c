/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/house/builtin.h"

int builtin_set_on(weir_conf *c, const struct weir_directive *directive, void *to)
{
    (void)c;
    (void)directive;
    ((struct builtin_switch *)to)->on = true;
    return 0;
}

int builtin_check_on(weir_conf *c, void *scope)
{
    const struct builtin_switch *conf = scope;

    (void)c;
    return conf->on ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
}
