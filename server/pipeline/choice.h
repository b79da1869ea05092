/* SPDX-License-Identifier: BSD-2-Clause */
/* choice.h: which listener, site and route a request got, why, and the line that says so. Only who chose can tell:
 * snapshot->tell_choice.
 *
 * Owner:   texts are the snapshot's or static. */
#ifndef PIPELINE_CHOICE_H
#define PIPELINE_CHOICE_H

#include "base/str.h"

struct choice_part {
    str name;        /* empty: there is none */
    const char *why; /* how it was found, or why there is none */
    str file;        /* empty: no line said so */
    uint32_t line;
};
struct choice {
    struct choice_part listener, site, route;
};

#endif
