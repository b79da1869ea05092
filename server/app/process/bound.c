/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/process/bound.h"

#include "base/mem.h"
#include "net/listener.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static struct bound *find(struct bounds *bounds, str key)
{
    for (struct bound *b = bounds->first; b; b = b->next)
        if (str_equal(str_of(b->key), key))
            return b;
    return NULL;
}

static void explain(char *why, size_t n, str key, int error)
{
    const char *cure = "";

    if (error == EACCES)
        cure = " (ports below 1024 need root or CAP_NET_BIND_SERVICE; or choose another with http_port and https_port)";
    else if (error == EADDRINUSE)
        cure = " (another program listens there)";
    else if (error == EADDRNOTAVAIL)
        cure = " (this machine has no such address)";
    snprintf(why, n, "listen %.*s: %s%s", STR_ARG(key), strerror(error), cure);
}

static struct bound *bound_create(str key, unsigned count)
{
    struct bound *b = mem_zalloc(sizeof(*b));

    if (!b)
        return NULL;
    b->key = str_dup(key);
    b->fds = mem_array(count, sizeof(int));
    if (!b->key || !b->fds) {
        mem_free(b->key);
        mem_free(b->fds);
        mem_free(b);
        return NULL;
    }
    b->is_new = true;
    return b;
}

static void bound_destroy(struct bound *b, bool remove_path)
{
    struct addr addr;

    for (unsigned i = 0; i < b->count; i++)
        close(b->fds[i]);
    if (remove_path && b->is_shared && addr_parse(str_of(b->key), &addr) && addr_is_unix(&addr))
        unlink(addr.un.sun_path);
    mem_free(b->fds);
    mem_free(b->key);
    mem_free(b);
}

/* A socket that the service manager handed over for this very address. */
static int take_inherited(struct bounds *bounds, const struct addr *addr)
{
    for (unsigned i = 0; i < bounds->inherited_count; i++) {
        struct addr its;
        if (bounds->inherited[i] < 0)
            continue;
        addr_of_socket(bounds->inherited[i], false, &its);
        if (addr_equal(&its, addr)) {
            int fd = bounds->inherited[i];
            bounds->inherited[i] = -1;
            return fd;
        }
    }
    return -1;
}

/* SO_REUSEPORT would silently share a port with another weir of the same user: ask without it first. */
static bool is_free(const struct addr *addr)
{
    int fd = listener_bind(addr, 1, false);

    if (fd < 0)
        return false;
    close(fd);
    return true;
}

static bool bind_all(struct bound *b, const struct addr *addr, unsigned workers)
{
    b->is_shared = addr_is_unix(addr);
    unsigned wanted = b->is_shared ? 1 : workers;

    if (!b->is_shared && !is_free(addr))
        return false;
    while (b->count < wanted) {
        int fd = listener_bind(addr, BACKLOG, !b->is_shared);
        if (fd < 0)
            return false;
        b->fds[b->count++] = fd;
    }
    return true;
}

bool bounds_want(struct bounds *bounds, str key, unsigned workers, char *why, size_t why_n)
{
    struct bound *b = find(bounds, key);
    struct addr addr;

    if (b) {
        b->is_wanted = true;
        return true;
    }
    b = bound_create(key, workers);
    if (!b || !addr_parse(key, &addr)) {
        snprintf(why, why_n, "listen %.*s: no address", STR_ARG(key));
        return false;
    }
    int inherited = take_inherited(bounds, &addr);
    if (inherited >= 0) {
        b->is_shared = true;
        b->fds[b->count++] = inherited;
    } else if (!bind_all(b, &addr, workers)) {
        int error = errno;
        explain(why, why_n, key, error);
        bound_destroy(b, false);
        errno = error;
        return false;
    }
    b->is_wanted = true;
    b->next = bounds->first;
    bounds->first = b;
    return true;
}

bool bounds_adopt(struct bounds *bounds, str key, const int *fds, unsigned count, bool is_shared)
{
    struct bound *b = bound_create(key, count);

    if (!b)
        return false;
    memcpy(b->fds, fds, count * sizeof(int));
    b->count = count;
    b->is_shared = is_shared;
    b->is_wanted = true;
    b->is_new = false;
    b->next = bounds->first;
    bounds->first = b;
    return true;
}

void bounds_unwant_all(struct bounds *bounds)
{
    for (struct bound *b = bounds->first; b; b = b->next)
        b->is_wanted = false;
}

static void drop_where(struct bounds *bounds, bool (*unfit)(const struct bound *))
{
    for (struct bound **at = &bounds->first; *at;) {
        struct bound *b = *at;
        if (!unfit(b)) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        bound_destroy(b, true);
    }
}

static bool is_unwanted(const struct bound *b)
{
    return !b->is_wanted;
}

static bool is_new(const struct bound *b)
{
    return b->is_new;
}

void bounds_drop_unwanted(struct bounds *bounds)
{
    drop_where(bounds, is_unwanted);
}

void bounds_drop_new(struct bounds *bounds)
{
    drop_where(bounds, is_new);
}

void bounds_settle(struct bounds *bounds)
{
    for (struct bound *b = bounds->first; b; b = b->next)
        b->is_new = false;
}
