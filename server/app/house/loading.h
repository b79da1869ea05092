/* SPDX-License-Identifier: BSD-2-Clause */
/* loading.h: a configuration while it is being bound, and what stays of it as the snapshot's house.
 *
 *     configuration.c   the order of steps, modules, the end       bindhost.c   what binding asks of the world: files,
 * logs, upstreams
 *     house.c           upstream blocks, sites and routes          configuration_print.c   what the command line shows
 *
 * Owner:   everything lies in the configuration's arena, this struct too. */
#ifndef APP_LOADING_H
#define APP_LOADING_H

#include "app/house/settings.h"
#include "app/house/sites.h"
#include "config/bind.h"
#include "upstream/upstream.h"

enum { SERVING_MOST = 8 };

struct house { /* what the snapshot keeps */
    struct sites sites;
    struct upstream_binding upstreams;
    struct vec scopes;            /* of struct scope *, outer ones first */
    struct vec tallies;           /* of struct site_tally: what is counted of sites, each once */
    struct vec blocks;            /* of struct upstream_block, as written */
    weir_mod *mods[MODULES_MOST]; /* of this configuration */
    uint32_t mod_count;
};

enum { TALLIED_SITES_MOST = 1000 }; /* with series of their own; all further ones share one */

struct site_tally {
    str name;
    struct tally *tally;
};

struct upstream_block {
    str name;
    struct scope *scope;
    const struct statement *statement;
    bool is_broken;
};

struct loading {
    struct configuration c; /* first: what the caller sees */
    const struct configuration_options *options;
    struct process_settings process;
    const struct statement *module_statement[MODULES_MOST]; /* which named it, by index */
    struct binder binder;
    struct bind_host host;
    struct snapshot *snapshot; /* c.snapshot when there is no error */
    struct house *house;
    struct scope *bare;                            /* defaults only: what upstream blocks inherit */
    struct strmap tallied;                         /* struct tally by the site's name */
    struct vec files;                              /* of struct configuration_file */
    struct strmap files_known[2];                  /* the same by path: read, logs */
    uint32_t site_owner;                           /* index of site_module */
    uint32_t serving[SERVING_MOST], serving_count; /* indexes of the modules whose directive answers */
    bool has_tls_module;
};

static inline struct loading *loading_of(const struct configuration *configuration)
{
    return (struct loading *)(uintptr_t)configuration;
}

/* bindhost.c */
void bindhost_init(struct loading *l);
bool bindhost_read_config(void *loading, str path, struct arena *arena, str *text,
                          str *why);
void bindhost_list_config(void *arg, str pattern, void (*found)(void *to, str path), void *to);
/* a struct tree_reader's read */
bool bindhost_note_file(struct loading *l, str path, bool is_log);

/* house.c. False without memory (reported). */
bool house_bind_upstreams(struct loading *l);
bool house_bind_sites(struct loading *l);
void house_drop(struct house *house,
                const struct schema *schema); /* what its scopes and upstreams hold outside the arena */

#endif
