/* SPDX-License-Identifier: BSD-2-Clause */
/* conf_api.h: what check() and set() may ask of the scope that is being bound.
 * Thread:  the one that binds. Owner: what is returned lives as long as the snapshot, unless said otherwise. */
#ifndef WEIR_CONF_API_H
#define WEIR_CONF_API_H

#include <weir/api.h>

/* Reports a mistake at the statement being stored (in set()) or at the module's first statement in the scope. Always
 * -1. */
__attribute__((format(printf, 2, 3))) static inline int weir_conf_error(weir_conf *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    weir_api_->conf_error(c, NULL, fmt, ap);
    va_end(ap);
    return -1;
}

/* The same at a place kept with WEIR_TYPE_PLACE. */
__attribute__((format(printf, 3, 4))) static inline int weir_conf_error_at(weir_conf *c, const struct weir_place *at,
                                                                          const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    weir_api_->conf_error(c, at, fmt, ap);
    va_end(ap);
    return -1;
}

__attribute__((format(printf, 3, 4))) static inline void weir_conf_warn(weir_conf *c, const struct weir_place *at,
                                                                       const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    weir_api_->conf_warn(c, at, fmt, ap);
    va_end(ap);
}

/* Zeroed memory of the snapshot; NULL without memory. */
static inline void *weir_conf_alloc(weir_conf *c, size_t n)
{
    return weir_api_->conf_alloc(c, n);
}

static inline weir_mod *weir_conf_mod(weir_conf *c)
{
    return weir_api_->conf_mod(c);
}

/* WEIR_IN_TOP, WEIR_IN_SITE, WEIR_IN_ROUTE or WEIR_IN_UPSTREAM. */
static inline uint32_t weir_conf_scope(weir_conf *c)
{
    return weir_api_->conf_scope(c);
}

/* True under `weir check` and in the rehearsal of a reload: nothing outside the process may be changed then. */
static inline bool weir_conf_is_rehearsal(weir_conf *c)
{
    return weir_api_->conf_is_rehearsal(c);
}

/* The names of the site whose scope this is, as weir_str: "a.example", "*.example", "_". Empty at top level. */
static inline weir_table weir_conf_site_names(weir_conf *c)
{
    return weir_api_->conf_site_names(c);
}

/* A whole file (at most 16 MiB), with a NUL behind it, read with the starter's privileges. 0, or -1 after an error was
 * reported. */
static inline int weir_conf_read_file(weir_conf *c, weir_str path, weir_str *content)
{
    return weir_api_->conf_read_file(c, path, content);
}

/* The path of a file or folder of the module's own under state_dir/MODULE/ (the folder is made, except in a
 * rehearsal). */
static inline weir_str weir_conf_state_path(weir_conf *c, weir_str name)
{
    return weir_api_->conf_state_path(c, name);
}

/* A template compiled from text; NULL after an error was reported. */
static inline weir_tmpl *weir_conf_template(weir_conf *c, weir_str text)
{
    return weir_api_->conf_template(c, text);
}

/* In set(): text read as an argument of this type would be (WEIR_TYPE_*, but ENUM and PLACE), into *to, the field's C
 * type: for directives whose later arguments depend on the first. 0, or -1 after an error was reported. */
static inline int weir_conf_value(weir_conf *c, uint32_t type, weir_str text, void *to)
{
    return weir_api_->conf_value(c, type, text, to);
}

/* What a template without variables evaluates to. 0 and *text (as long as the template lives), or -1: it has
 * variables. */
static inline int weir_tmpl_constant(const weir_tmpl *tmpl, weir_str *text)
{
    return weir_api_->tmpl_constant(tmpl, text);
}

/* Says that the site of this scope can end TLS: without a `listen` of its own it then also gets https_port. */
static inline void weir_conf_offer_tls(weir_conf *c)
{
    weir_api_->conf_offer_tls(c);
}

/* Leaves out the hook with this index (in the module's table) wherever this scope's configuration holds. */
static inline void weir_conf_skip_hook(weir_conf *c, uint32_t index)
{
    weir_api_->conf_skip_hook(c, index);
}

/* A place that lines are written to. target: a path, "stdout", "stderr" or "syslog". The same target named in several
 * scopes is one sink, with the options of the first. Reopened on SIGUSR1, flushed once a second, on reopen and on
 * stop. */
struct weir_sink_options {
    uint64_t rotate; /* bytes after which the file is renamed to PATH.1 and a new one begun; 0: never */
    uint64_t keep;   /* how many renamed files stay */
    uint64_t buffer; /* bytes gathered per worker before they are written */
};
static inline weir_sink *weir_conf_sink(weir_conf *c, weir_str target, const struct weir_sink_options *options)
{
    return weir_api_->conf_sink(c, target, options);
}

/* Appends one line (its newline included) from the calling worker; lines never mix or break. 0, or -1: lost, and
 * counted. */
static inline int weir_sink_write(weir_sink *sink, weir_str line)
{
    return weir_api_->sink_write(sink, line);
}

#endif
