/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/sticky.h"

#include "base/clock.h"
#include "base/hash.h"
#include "pipeline/request.h"
#include "upstream/upstream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { DIGITS = 16, VALUE = 3 * DIGITS + 2 };

/* -- the key ------------------------------------------------------------------------------------------------------- */

static bool read_key(const char *path, uint8_t key[STICKY_KEY])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    bool fine = read(fd, key, STICKY_KEY) == STICKY_KEY;
    close(fd);
    return fine;
}

/* By link(2), so that of several who make one the first one's holds, and nobody reads half of it. */
static bool make_key(struct arena *arena, const char *path, uint8_t key[STICKY_KEY])
{
    str fresh = arena_printf(arena, "%s.%d", path, (int)getpid());

    random_bytes(key, STICKY_KEY);
    if (!fresh.p)
        return false;
    int fd = open(fresh.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool fine = write(fd, key, STICKY_KEY) == STICKY_KEY;
    fine = close(fd) == 0 && fine;
    if (fine && link(fresh.p, path) != 0)
        fine = errno == EEXIST && read_key(path, key);
    unlink(fresh.p);
    return fine;
}

static bool is_token(str name)
{
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= ' ' || (unsigned char)name.p[i] >= 0x7f ||
            strchr("()<>@,;:\\\"/[]?={}", name.p[i]))
            return false;
    return name.n > 0 && name.n <= 64;
}

bool sticky_bind(struct binder *binder, const struct sticky_conf *conf, const struct statement *statement,
                 struct sticky_rules *rules)
{
    rules->ttl = conf->ttl;
    if (!is_token(conf->cookie)) {
        diag_error(binder->diags, statement_place(statement), S("sticky cookie=NAME;"),
                   "sticky: \"%.*s\" cannot be a cookie's name", STR_ARG(str_upto(conf->cookie, 200)));
        return false;
    }
    const struct bind_host *host = binder->host;
    str path = host->state_path ? host->state_path(host->arg, S("upstream"), S("sticky.key"), binder->arena) : STR_NONE;
    bool known = path.n && read_key(path.p, rules->key);
    if (!known && !host->is_rehearsal && (!path.n || !make_key(binder->arena, path.p, rules->key))) {
        diag_error(binder->diags, statement_place(statement), S("state_dir PATH;"),
                   "sticky needs a state_dir that can be written");
        return false;
    }
    rules->cookie = conf->cookie;
    return true;
}

/* -- values -------------------------------------------------------------------------------------------------------- */

static uint64_t server_id(const struct weir_upstream *u, uint32_t server)
{
    return siphash13(u->sticky.key, u->servers[server].key.p, u->servers[server].key.n);
}

static void put_value(const struct weir_upstream *u, uint64_t id, uint64_t expiry, char value[VALUE + 1])
{
    char text[VALUE + 256];
    int n = snprintf(text, sizeof(text), "sticky %016llx.%016llx.%.*s", (unsigned long long)id,
                     (unsigned long long)expiry, (int)(u->name.n < 200 ? u->name.n : 200), u->name.p);
    uint64_t signature = siphash13(u->sticky.key, text, (size_t)n);

    snprintf(value, VALUE + 1, "%016llx.%016llx.%016llx", (unsigned long long)id, (unsigned long long)expiry,
             (unsigned long long)signature);
}

static bool read_hex(const char *p, uint64_t *out)
{
    *out = 0;
    for (int i = 0; i < DIGITS; i++) {
        char c = p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        *out = *out << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

/* Every byte is looked at, wherever the first difference is. */
static bool is_same(const char *a, const char *b, size_t n)
{
    unsigned char difference = 0;

    for (size_t i = 0; i < n; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

static int32_t server_of_value(const struct weir_upstream *u, str value, bool *renew)
{
    uint64_t id = 0, expiry = 0, now = clock_wall_ms() / 1000;
    char right[VALUE + 1];

    if (value.n != VALUE || !read_hex(value.p, &id) || !read_hex(value.p + DIGITS + 1, &expiry))
        return -1;
    put_value(u, id, expiry, right);
    if (!is_same(value.p, right, VALUE) || expiry <= now)
        return -1;
    *renew = expiry - now < u->sticky.ttl / 2000;
    for (uint32_t i = 0; i < u->server_count; i++)
        if (server_id(u, i) == id)
            return (int32_t)i;
    return -1;
}

/* -- requests and responses ---------------------------------------------------------------------------------------- */

static str next_pair(str *rest)
{
    size_t end = str_find(*rest, ';');
    str pair = str_upto(*rest, end);

    *rest = end < rest->n ? str_from(*rest, end + 1) : STR_NONE;
    while (pair.n && pair.p[0] == ' ')
        pair = str_from(pair, 1);
    return pair;
}

int32_t sticky_find(const struct weir_upstream *u, const struct weir_req *r, bool *renew)
{
    str name = u->sticky.cookie;

    *renew = false;
    for (uint32_t i = 0; name.n && i < r->fields.count; i++) {
        str rest = r->fields.items[i].id == FIELD_COOKIE ? r->fields.items[i].value : STR_NONE;
        while (rest.n) {
            str pair = next_pair(&rest);
            if (pair.n <= name.n || pair.p[name.n] != '=' || !str_has_prefix(pair, name))
                continue;
            int32_t server = server_of_value(u, str_from(pair, name.n + 1), renew);
            if (server >= 0)
                return server;
        }
    }
    return -1;
}

bool sticky_set(const struct weir_upstream *u, struct weir_req *r, uint32_t server)
{
    char value[VALUE + 1];
    bool is_https = str_equal(r->scheme, S("https"));

    put_value(u, server_id(u, server), clock_wall_ms() / 1000 + u->sticky.ttl / 1000, value);
    str text = arena_printf(r->arena, "%.*s=%s; Path=/; Max-Age=%llu; HttpOnly; SameSite=Lax%s",
                            STR_ARG(u->sticky.cookie), value, (unsigned long long)(u->sticky.ttl / 1000),
                            is_https ? "; Secure" : "");
    return text.p && fields_append(&r->rsp, FIELD_SET_COOKIE, S("Set-Cookie"), text);
}
