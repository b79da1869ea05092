/* SPDX-License-Identifier: BSD-2-Clause */
#include "loop/resolver.h"
#include "base/mem.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

enum { HOST_MOST = 255 }; /* RFC 1035 2.3.4 */

struct resolver_job {
    struct job job;
    struct deferred deferred;     /* for answers that need no pool */
    struct resolver_query *query; /* NULL: cancelled. The worker's alone */
    uint16_t port;
    char host[HOST_MOST + 1];
    struct resolved result;
};

static void finish(struct resolver_job *job)
{
    struct resolver_query *query = job->query;
    if (query) {
        query->job = NULL;
        query->on_resolved(query, &job->result); /* the query may be gone behind it */
    }
    mem_free(job);
}

static void finish_deferred(struct deferred *deferred)
{
    finish(list_entry(deferred, struct resolver_job, deferred));
}

static void finish_job(struct job *job)
{
    finish(list_entry(job, struct resolver_job, job));
}

static bool is_known(const struct resolved *result, const struct sockaddr_storage *address)
{
    for (unsigned i = 0; i < result->count; i++)
        if (memcmp(&result->addresses[i], address, sizeof(*address)) == 0)
            return true;
    return false;
}

static int look_up(struct resolver_job *job, int flags)
{
    struct addrinfo hints = { .ai_flags = flags | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    char service[8];
    snprintf(service, sizeof(service), "%u", job->port);
    int failed = getaddrinfo(job->host, service, &hints, &list);
    if (failed)
        return failed;
    struct resolved *result = &job->result;
    for (const struct addrinfo *ai = list; ai && result->count < RESOLVER_MOST; ai = ai->ai_next) {
        struct sockaddr_storage address = { 0 };
        if ((ai->ai_family != AF_INET && ai->ai_family != AF_INET6) || ai->ai_addrlen > sizeof(address))
            continue;
        memcpy(&address, ai->ai_addr, ai->ai_addrlen);
        if (!is_known(result, &address))
            result->addresses[result->count++] = address;
    }
    freeaddrinfo(list);
    if (result->count == 0)
        result->why = "no address";
    return 0;
}

static void work(struct job *base)
{
    struct resolver_job *job = list_entry(base, struct resolver_job, job);
    int failed = look_up(job, AI_ADDRCONFIG); /* no IPv6 answers where there is no IPv6 */
    if (failed)
        job->result.why = gai_strerror(failed);
}

bool resolver_ask(struct resolver_query *query, const char *host, uint16_t port,
                  void (*on_resolved)(struct resolver_query *, const struct resolved *))
{
    query->on_resolved = on_resolved;
    query->job = NULL;
    size_t n = strlen(host);
    if (n > HOST_MOST)
        return false;
    struct resolver_job *job = mem_zalloc(sizeof(*job));
    if (!job)
        return false;
    memcpy(job->host, host, n + 1);
    job->port = port;
    job->query = query;
    if (look_up(job, AI_NUMERICHOST) == 0) { /* blocks on nothing */
        deferred_init(&job->deferred, finish_deferred);
        worker_defer(&job->deferred);
    } else {
        job->job.work = work;
        job->job.done = finish_job;
        if (!job_submit(&job->job)) {
            mem_free(job);
            return false;
        }
    }
    query->job = job;
    return true;
}

void resolver_cancel(struct resolver_query *query)
{
    if (!query->job)
        return;
    query->job->query = NULL;
    query->job = NULL;
}
