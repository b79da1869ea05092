/* SPDX-License-Identifier: BSD-2-Clause */
/* serve_files.c: `files DIR [index=NAME];`: files of a folder: which one, and whether it may be shown.
 *
 *     route /static/ { files /srv/www; }         /static/css/a.css -> /srv/www/css/a.css, as with a proxy URL's path
 *     route = /favicon.ico { files /srv/i.ico; } the path as a whole is replaced, here by one file
 *
 * Shape:   the folder is looked up for each request, so that one that is exchanged by renaming is found without a
 *          reload.
 * Note:    opening happens on the worker and reading in sendfile(2): a slow file system makes the worker's other
 *          requests wait. Files belong on a local disk. */
#include "app/house/builtin.h"
#include "app/house/file_answer.h"
#include "app/house/open_beneath.h"
#include "config/bind.h"
#include "http/chars.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct conf {
    weir_str folder; /* empty: not said */
    weir_str index;
};

/* -- the name ------------------------------------------------------------------------------------------------------ */

/* Names that begin with a dot are not shown (.git, .htpasswd); .well-known exists to be (RFC 8615). */
static bool segment_is_shown(str segment, bool is_first)
{
    return segment.n && (segment.p[0] != '.' || (is_first && str_equal(segment, S(".well-known"))));
}

/* Decoded: a "/" that was %2F would be another file than the route was chosen for. */
static bool name_is_shown(str name, const char *encoded, size_t encoded_n)
{
    bool is_first = true;
    str rest = name, segment;
    size_t slashes = 0;

    for (size_t i = 0; i < name.n; i++) {
        if ((uint8_t)name.p[i] < 0x20 || name.p[i] == 0x7f || name.p[i] == '\\')
            return false;
        slashes += name.p[i] == '/';
    }
    for (size_t i = 0; i < encoded_n; i++)
        slashes -= encoded[i] == '/';
    if (slashes != 0)
        return false;
    if (str_has_suffix(rest, S("/")))
        rest.n--;
    while (rest.n && str_split(&rest, '/', &segment)) {
        if (!segment_is_shown(segment, is_first))
            return false;
        is_first = false;
    }
    return true;
}

/* What stands behind the route's prefix, as a file's name; "a/" and "" (at the end of a path with '/') are folders. */
static bool name_of(struct weir_req *r, str *name)
{
    str match = r->uri.match, prefix = r->route_prefix;
    str rest = str_has_prefix(match, prefix) ? str_from(match, prefix.n) : match;

    if (rest.n && rest.p[0] != '/' && !str_has_suffix(prefix, S("/")))
        return false; /* `route /static` and /staticky */
    if (str_has_prefix(rest, S("/")))
        rest = str_from(rest, 1);
    *name = uri_decode(rest, r->arena);
    return name->p && name_is_shown(*name, rest.p, rest.n);
}

/* -- the answer ---------------------------------------------------------------------------------------------------- */

static weir_verdict refuse_errno(struct weir_req *r, int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
        return request_refuse(r, 403, "file may not be read");
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return request_refuse(r, 503, "no descriptor or memory for a file");
    case EIO:
        return request_refuse(r, 500, "file system error");
    default:
        return request_refuse(r, 404, "no such file");
    }
}

/* So that relative links of the index mean what is in the folder. */
static weir_verdict redirect_to_folder(struct weir_req *r)
{
    str parts[] = { r->uri.match, S("/"), r->uri.has_query ? S("?") : S(""), r->uri.query };
    str location = arena_concat(r->arena, parts, 4);

    return location.p ? weir_redirect(r, 301, location) : WEIR_FAIL;
}

/* Takes fd. */
static weir_verdict answer_open(struct weir_req *r, int fd, str name)
{
    struct stat st = { 0 };

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return file_answer(r, fd, &st, media_type_of_path(name));
    close(fd);
    if (S_ISDIR(st.st_mode) && !str_has_suffix(r->uri.match, S("/")))
        return redirect_to_folder(r);
    return request_refuse(r, 404, "not a regular file");
}

static bool method_is_served(struct weir_req *r)
{
    return str_equal(r->method, S("GET")) || r->is_head;
}

static weir_verdict serve(weir_req *r, const void *conf_, void *ctx)
{
    const struct conf *conf = conf_;
    str name;

    (void)ctx;
    if (!method_is_served(r))
        return fields_set_id(&r->rsp, FIELD_ALLOW, S("GET, HEAD")) ? request_refuse(r, 405, "files are read only")
                                                                   : WEIR_FAIL;
    if (!name_of(r, &name))
        return request_refuse(r, 404, "no such file");
    bool is_folder = str_has_suffix(r->uri.match, S("/"));
    str parts[] = { name, is_folder ? conf->index : S("") };
    str path = arena_concat(r->arena, parts, 2);
    if (!path.p)
        return WEIR_FAIL;
    int fd = open_beneath(conf->folder.p, path.p);
    return fd < 0 ? refuse_errno(r, errno) : answer_open(r, fd, path.n ? path : conf->folder);
}

/* -- directive ----------------------------------------------------------------------------------------------------- */

static int set_files(weir_conf *c, const struct weir_directive *directive, void *to)
{
    const struct conf *conf = to;

    (void)directive;
    if (conf->index.n == 0 || conf->index.p[0] == '.' || str_find(conf->index, '/') < conf->index.n)
        return weir_conf_error(c, "files: index=\"%.*s\" is no name of a file that is shown",
                               STR_ARG(str_upto(conf->index, 100)));
    return 0;
}

static int check(weir_conf *c, void *scope)
{
    const struct conf *conf = scope;

    (void)c;
    return conf->folder.n ? WEIR_CONF_OK : WEIR_CONF_INACTIVE;
}

static const struct weir_arg files_args[] = {
    { .name = "DIR|FILE", .type = WEIR_TYPE_PATH, .offset = WEIR_FIELD(struct conf, folder, WEIR_C_PATH) },
    { .name = "index",
      .type = WEIR_TYPE_STR,
      .flags = WEIR_ARG_OPTION,
      .fallback = "index.html",
      .offset = WEIR_FIELD(struct conf, index, WEIR_C_STR) },
};
static const struct weir_directive directives[] = {
    { .name = "files",
      .scopes = WEIR_IN_SITE | WEIR_IN_ROUTE,
      .args = WEIR_TABLE(files_args),
      .set = set_files,
      .doc = "answer with files of this folder, in place of the route's prefix; names beginning with a dot "
             "are not shown (but .well-known), nor what lies outside, even by a symbolic link" },
};
static const struct weir_hook hooks[] = {
    { .stage = WEIR_AT_SERVE, .flags = WEIR_DRY_OK, .req = serve },
};

const struct weir_module files_module = {
    BUILTIN_MODULE("files", "files of a folder"),
    .conf_size = sizeof(struct conf),
    .directives = WEIR_TABLE(directives),
    .hooks = WEIR_TABLE(hooks),
    .check = check,
};
