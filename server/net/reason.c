/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1 /* strerrordesc_np */
#include "net/reason.h"
#include "base/mem.h"
#include "net/conn.h"

#include <errno.h>
#include <pthread.h>

enum { KEPT_MOST = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *kept[KEPT_MOST]; /* a connection failed: time for a linear search */
static unsigned kept_count;

const char *reason_of_errno(int error)
{
    switch (error) {
    case ECONNREFUSED: return "refused";
    case ECONNRESET:   return "reset by peer";
    case EPIPE:        return "closed by peer";
    case ETIMEDOUT:    return "timed out";
    case EHOSTUNREACH: return "no route to host";
    case ENETUNREACH:  return "network unreachable";
    case ENOENT:       return "no such socket";
    case EACCES:       return "permission denied";
    case EMFILE:       return "too many open files";
    case ENFILE:       return "too many open files in the system";
    default:           break;
    }
    const char *text = strerrordesc_np(error); /* static, unlike strerror's */
    return text ? text : "failed";
}

static const char *find_or_add(str text)
{
    for (unsigned i = 0; i < kept_count; i++)
        if (str_equal(str_of(kept[i]), text))
            return kept[i];
    char *copy = kept_count < KEPT_MOST ? str_dup(text) : NULL;
    if (!copy)
        return "failed";
    kept[kept_count++] = copy;
    return copy;
}

const char *reason_keep(str text)
{
    text = str_upto(text, CONN_WHY - 1);
    if (text.n)
        text.n = strnlen(text.p, text.n);
    pthread_mutex_lock(&lock);
    const char *found = find_or_add(text);
    pthread_mutex_unlock(&lock);
    return found;
}
