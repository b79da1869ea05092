/* SPDX-License-Identifier: BSD-2-Clause */
/* api_conf.c: what check() and set() ask of the scope that is being bound; mistakes are placed. */
#include "pipeline/api.h"

#include "config/args.h"
#include "pipeline/module.h"
#include "pipeline/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MOST = 16 * 1024 * 1024 };

/* -- mistakes ------------------------------------------------------------------------------------------------------ */

int api_conf_error(weir_conf *c, const struct weir_place *at, const char *fmt, va_list ap)
{
    return conf_report(c, SEVERITY_ERROR, at, fmt, ap);
}

void api_conf_warn(weir_conf *c, const struct weir_place *at, const char *fmt, va_list ap)
{
    conf_report(c, SEVERITY_WARNING, at, fmt, ap);
}

static void error(weir_conf *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void error(weir_conf *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    api_conf_error(c, NULL, fmt, ap);
    va_end(ap);
}

/* -- the scope ----------------------------------------------------------------------------------------------------- */

void *api_conf_alloc(weir_conf *c, size_t n)
{
    return arena_zalloc(c->binder->arena, n);
}

weir_mod *api_conf_mod(weir_conf *c)
{
    return c->owner->mod;
}

uint32_t api_conf_scope(weir_conf *c)
{
    return c->scope->kind;
}

bool api_conf_is_rehearsal(weir_conf *c)
{
    return c->binder->host && c->binder->host->is_rehearsal;
}

weir_table api_conf_site_names(weir_conf *c)
{
    return c->scope->site_names;
}

/* The binder hands it on to inner scopes; a route speaks for its site too: that is where `listen` is looked for. */
void api_conf_offer_tls(weir_conf *c)
{
    c->scope->offers_tls = true;
    for (const struct scope *outer = c->scope->outer; outer && c->scope->kind == WEIR_IN_ROUTE; outer = outer->outer)
        if (outer->kind == WEIR_IN_SITE)
            ((struct scope *)(uintptr_t)outer)->offers_tls = true;
}

void api_conf_skip_hook(weir_conf *c, uint32_t index)
{
    if (c->scope->skipped && index < 64)
        c->scope->skipped[c->owner->index] |= (uint64_t)1 << index;
}

weir_tmpl *api_conf_template(weir_conf *c, weir_str text)
{
    struct place place = c->statement ? statement_place(c->statement) : c->scope->place;
    weir_tmpl *tmpl = template_compile(text, false, c->binder->host ? c->binder->host->variables : NULL,
                                       c->binder->arena, c->binder->diags, place);
    if (!tmpl)
        c->failed = true;
    return tmpl;
}

int api_conf_value(weir_conf *c, uint32_t type, weir_str text, void *to)
{
    const struct arg_target target = { .binder = c->binder, .scope = c->scope, .statement = c->statement, .to = to };
    const struct weir_arg arg = { .name = c->statement ? c->statement->name.text.p : "value", .type = type };
    const struct word *word = NULL;

    for (uint32_t i = 0; c->statement && i < c->statement->arg_count; i++)
        if (str_equal(c->statement->args[i].text, text))
            word = &c->statement->args[i];
    if (type == WEIR_TYPE_ENUM || type == WEIR_TYPE_PLACE || !arg_read(&target, &arg, word, text, to)) {
        c->failed = true;
        return -1;
    }
    return 0;
}

int api_tmpl_constant(const weir_tmpl *tmpl, weir_str *text)
{
    if (!tmpl || !template_is_constant(tmpl))
        return -1;
    *text = tmpl->count ? tmpl->parts[0].text : S("");
    return 0;
}

/* -- files --------------------------------------------------------------------------------------------------------- */

static bool read_all(int fd, char *to, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = read(fd, to + done, n - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = EIO; /* it shrank while we read */
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

/* Without a host that reads for us, with our own privileges. */
static bool read_ourselves(str path, struct arena *arena, str *content)
{
    struct stat st;
    str name = arena_str(arena, path);
    int fd = name.p ? open(name.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (fd < 0)
        return false;
    char *to = NULL;
    if (fstat(fd, &st) == 0) {
        if (!S_ISREG(st.st_mode))
            errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        else if (st.st_size > FILE_MOST)
            errno = EFBIG;
        else if (!(to = arena_alloc(arena, (size_t)st.st_size + 1)))
            errno = ENOMEM;
        else if (!read_all(fd, to, (size_t)st.st_size))
            to = NULL;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    *content = (str){ to, to ? (size_t)st.st_size : 0 };
    return to != NULL;
}

int api_conf_read_file(weir_conf *c, weir_str path, weir_str *content)
{
    const struct bind_host *host = c->binder->host;
    struct arena *scratch = arena_create(0, 0); /* only the copy with its NUL stays for the snapshot's life */
    str got = STR_NONE, why = STR_NONE, kept;
    int rc = -1;
    if (!scratch) {
        error(c, "cannot read " STR_FMT ": no memory", STR_ARG(path));
        return -1;
    }
    if (host && host->read_file) {
        if (!host->read_file(host->arg, path, scratch, &got, &why)) {
            error(c, "cannot read " STR_FMT ": " STR_FMT, STR_ARG(path), STR_ARG(why));
            goto done;
        }
    } else if (!read_ourselves(path, scratch, &got)) {
        error(c, "cannot read " STR_FMT ": %m", STR_ARG(path));
        goto done;
    }
    if (got.n > FILE_MOST) {
        error(c, "cannot read " STR_FMT ": larger than %d bytes", STR_ARG(path), FILE_MOST);
        goto done;
    }
    kept = arena_str(c->binder->arena, got);
    if (!kept.p) {
        error(c, "cannot read " STR_FMT ": no memory", STR_ARG(path));
        goto done;
    }
    *content = kept;
    rc = 0;
done:
    arena_destroy(scratch);
    return rc;
}

weir_str api_conf_state_path(weir_conf *c, weir_str name)
{
    const struct bind_host *host = c->binder->host;
    if (!host || !host->state_path)
        return STR_NONE;
    return host->state_path(host->arg, c->owner->name, name, c->binder->arena);
}

/* -- sinks --------------------------------------------------------------------------------------------------------- */

static bool is_stream(str target)
{
    return str_equal(target, S("stdout")) || str_equal(target, S("stderr")) || str_equal(target, S("syslog"));
}

static str folder_of(str path)
{
    size_t n = path.n;
    while (n && path.p[n - 1] != '/')
        n--;
    return n ? str_upto(path, n) : S("./");
}

/* A relative path is taken from the folder of the file that names it, as everywhere in the configuration. */
static str absolute_target(const weir_conf *c, str target)
{
    if (is_stream(target) || target.n == 0 || target.p[0] == '/' || !c->statement)
        return target;
    str folder = arena_str(c->binder->arena, folder_of(c->statement->source->path));
    char *real = folder.p ? realpath(folder.p, NULL) : NULL;
    if (!real)
        return target;
    str path = arena_printf(c->binder->arena, "%s/" STR_FMT, real, STR_ARG(target));
    free(real);
    return path;
}

weir_sink *api_conf_sink(weir_conf *c, weir_str target, const struct weir_sink_options *options)
{
    const struct bind_host *host = c->binder->host;
    str why = S("no memory"), path = absolute_target(c, target);
    weir_sink *sink = NULL;
    if (path.p && host && host->sink)
        sink = host->sink(host->arg, path, options, &why);
    else if (path.p)
        sink = sink_get(path, options, api_conf_is_rehearsal(c), &why);
    if (!sink)
        error(c, "cannot log to " STR_FMT ": " STR_FMT, STR_ARG(path.p ? path : target), STR_ARG(why));
    return sink;
}
