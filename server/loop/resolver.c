/* SPDX-License-Identifier: BSD-2-Clause */
#include "loop/resolver.h"
#include "base/mem.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum {
    HOST_MOST = 255, /* RFC 1035 2.3.4 */
    ASK_MS = 1500,   /* for the first answer of a server; c-ares doubles it */
    ASK_TRIES = 2,
    TTL_LEAST = 1,   /* seconds */
    TTL_MOST = 3600,
    WEIGHT_SCALE = 1000,
    TARGETS_MOST = 2 * RESOLVER_MOST, /* of a name's SRV records that are looked up */
};

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

/* -- which servers to ask ------------------------------------------------------------------------------------------ */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char servers[RESOLVER_TEXT]; /* comma separated; empty: what the system says */

bool resolver_use(const char *text)
{
    bool fits = strlen(text) < sizeof(servers);

    pthread_mutex_lock(&lock);
    if (fits)
        memcpy(servers, text, strlen(text) + 1);
    pthread_mutex_unlock(&lock);
    return fits;
}

static void init_library(void)
{
    ares_library_init(ARES_LIB_INIT_ALL);
}

static bool channel_open(ares_channel *channel)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct ares_options options = { .timeout = ASK_MS, .tries = ASK_TRIES };
    char own[RESOLVER_TEXT];

    pthread_once(&once, init_library);
    if (ares_init_options(channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES) != ARES_SUCCESS)
        return false;
    pthread_mutex_lock(&lock);
    memcpy(own, servers, sizeof(own));
    pthread_mutex_unlock(&lock);
    if (!own[0] || ares_set_servers_ports_csv(*channel, own) == ARES_SUCCESS)
        return true;
    ares_destroy(*channel);
    return false;
}

/* Until all questions of the channel are answered, or given up by it. */
static void channel_run(ares_channel channel)
{
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    struct pollfd fds[ARES_GETSOCK_MAXNUM];
    int bits;

    while ((bits = ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM)) != 0) {
        struct timeval most = { .tv_sec = 1 }, wait, *left = ares_timeout(channel, &most, &wait);
        nfds_t count = 0;
        for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
            /* ARES_GETSOCK_WRITABLE shifts a signed 1 by 31 */
            bool reads = (unsigned)bits >> i & 1, writes = (unsigned)bits >> (i + ARES_GETSOCK_MAXNUM) & 1;
            short events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
            if (events)
                fds[count++] = (struct pollfd){ .fd = sockets[i], .events = events };
        }
        int ready = poll(fds, count, (int)(left->tv_sec * 1000 + left->tv_usec / 1000 + 1));
        if (ready <= 0)
            ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        for (nfds_t i = 0; ready > 0 && i < count; i++)
            if (fds[i].revents)
                ares_process_fd(channel, fds[i].revents & ~POLLOUT ? fds[i].fd : ARES_SOCKET_BAD,
                                fds[i].revents & POLLOUT ? fds[i].fd : ARES_SOCKET_BAD);
    }
}

/* -- addresses ----------------------------------------------------------------------------------------------------- */

static bool is_known(const struct resolved *result, const struct sockaddr_storage *address)
{
    for (unsigned i = 0; i < result->count; i++)
        if (memcmp(&result->addresses[i], address, sizeof(*address)) == 0)
            return true;
    return false;
}

static void add_address(struct resolved *result, const struct sockaddr *from, size_t n, uint16_t port)
{
    struct sockaddr_storage address = { 0 };

    if ((from->sa_family != AF_INET && from->sa_family != AF_INET6) || n > sizeof(address) ||
        result->count == RESOLVER_MOST)
        return;
    memcpy(&address, from, n);
    if (from->sa_family == AF_INET)
        ((struct sockaddr_in *)&address)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)&address)->sin6_port = htons(port);
    if (!is_known(result, &address))
        result->addresses[result->count++] = address;
}

static void note_ttl(struct resolved *result, uint32_t seconds)
{
    if (seconds < result->ttl)
        result->ttl = seconds;
}

struct lookup {
    struct resolved *result;
    uint16_t port;
};

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    const struct lookup *lookup = arg;

    (void)timeouts;
    if (status != ARES_SUCCESS)
        lookup->result->why = ares_strerror(status);
    for (const struct ares_addrinfo_node *node = found ? found->nodes : NULL; node; node = node->ai_next) {
        note_ttl(lookup->result, node->ai_ttl > 0 ? (uint32_t)node->ai_ttl : 0);
        add_address(lookup->result, node->ai_addr, (size_t)node->ai_addrlen, lookup->port);
    }
    if (found)
        ares_freeaddrinfo(found);
}

static void ask_addresses(ares_channel channel, const char *host, uint16_t port, struct resolved *result)
{
    struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct lookup lookup = { result, port };

    ares_getaddrinfo(channel, host, NULL, &hints, on_addresses, &lookup);
    channel_run(channel);
}

/* A datagram socket's connect() sends nothing: it says whether there is a way. */
static bool is_reachable(const struct sockaddr_storage *address)
{
    int fd = socket(address->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t n = address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

    if (fd < 0)
        return false;
    bool fine = connect(fd, (const struct sockaddr *)address, n) == 0;
    close(fd);
    return fine;
}

/* No IPv6 answers where there is no IPv6, and the like; all, when none can be reached. */
static void drop_unreachable(struct resolved *result)
{
    struct resolved kept = { .ttl = result->ttl, .is_service = result->is_service };

    for (unsigned i = 0; i < result->count; i++) {
        if (!is_reachable(&result->addresses[i]))
            continue;
        kept.tiers[kept.count] = result->tiers[i];
        kept.weights[kept.count] = result->weights[i];
        kept.addresses[kept.count++] = result->addresses[i];
    }
    if (kept.count)
        *result = kept;
}

/* -- SRV ----------------------------------------------------------------------------------------------------------- */

struct services {
    struct resolved *result;
    struct ares_srv_reply *list;
};

static uint32_t number(const unsigned char *p, int bytes)
{
    uint32_t value = 0;

    while (bytes--)
        value = value << 8 | *p++;
    return value;
}

/* The parser of c-ares tells no TTLs. RFC 1035 4.1. */
static void note_ttls(const unsigned char *reply, int n, struct resolved *result)
{
    unsigned answers = n >= 12 ? number(reply + 6, 2) : 0;
    const unsigned char *at = reply + 12, *end = reply + n;
    char *name;
    long used;

    if (n < 12 || ares_expand_name(at, reply, n, &name, &used) != ARES_SUCCESS)
        return;
    ares_free_string(name);
    for (at += used + 4; answers && at < end; answers--) {
        if (ares_expand_name(at, reply, n, &name, &used) != ARES_SUCCESS)
            return;
        ares_free_string(name);
        at += used;
        if (end - at < 10)
            return;
        note_ttl(result, number(at + 4, 4));
        at += 10 + number(at + 8, 2);
    }
}

static void on_services(void *arg, int status, int timeouts, unsigned char *reply, int n)
{
    struct services *services = arg;

    (void)timeouts;
    if (status == ARES_SUCCESS)
        status = ares_parse_srv_reply(reply, n, &services->list);
    if (status != ARES_SUCCESS)
        services->result->why = ares_strerror(status);
    else
        note_ttls(reply, n, services->result);
}

/* RFC 2782: a weight of 0 is a very small one beside others. */
static void ask_target(ares_channel channel, const struct ares_srv_reply *target, uint16_t tier,
                       struct resolved *result)
{
    unsigned before = result->count;
    uint32_t weight = target->weight ? (uint32_t)target->weight * WEIGHT_SCALE : 1;

    ask_addresses(channel, target->host, target->port, result);
    for (unsigned i = before; i < result->count; i++) {
        uint32_t part = weight / (result->count - before);
        result->weights[i] = part ? part : 1;
        result->tiers[i] = tier;
    }
}

/* RFC 2782: the targets of all priorities, the lowest first, as far as there is room. */
static void ask_services(ares_channel channel, const char *host, struct resolved *result)
{
    enum { IN = 1, SRV = 33 };
    struct services services = { result, NULL };
    unsigned asked = 0;

    ares_query(channel, host, IN, SRV, on_services, &services);
    channel_run(channel);
    result->is_service = true;
    uint16_t tier = 0;
    for (uint32_t from = 0; services.list && result->count < RESOLVER_MOST && from <= UINT16_MAX;) {
        unsigned before = result->count;
        uint32_t priority = UINT32_MAX;
        for (const struct ares_srv_reply *one = services.list; one; one = one->next)
            if (one->priority >= from && one->priority < priority)
                priority = one->priority;
        for (const struct ares_srv_reply *one = services.list; one && priority != UINT32_MAX; one = one->next)
            if (one->priority == priority && result->count < RESOLVER_MOST && ++asked <= TARGETS_MOST)
                ask_target(channel, one, tier, result);
        tier = (uint16_t)(tier + (result->count > before));
        from = priority == UINT32_MAX ? priority : priority + 1;
    }
    ares_free_data(services.list);
}

/* -- a name -------------------------------------------------------------------------------------------------------- */

static bool take_literal(struct resolver_job *job)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

    if (inet_pton(AF_INET, job->host, &v4.sin_addr) == 1)
        add_address(&job->result, (const struct sockaddr *)&v4, sizeof(v4), job->port);
    else if (inet_pton(AF_INET6, job->host, &v6.sin6_addr) == 1)
        add_address(&job->result, (const struct sockaddr *)&v6, sizeof(v6), job->port);
    job->result.ttl = TTL_MOST;
    job->result.first_tier = job->result.count;
    return job->result.count > 0;
}

static void work(struct job *base)
{
    struct resolver_job *job = list_entry(base, struct resolver_job, job);
    struct resolved *result = &job->result;
    ares_channel channel;

    result->ttl = TTL_MOST;
    if (!channel_open(&channel)) {
        result->why = "the resolver cannot be started";
        return;
    }
    if (job->host[0] == '_')
        ask_services(channel, job->host, result);
    else
        ask_addresses(channel, job->host, job->port, result);
    ares_destroy(channel);
    drop_unreachable(result);
    while (result->first_tier < result->count && result->tiers[result->first_tier] == result->tiers[0])
        result->first_tier++;
    if (result->count)
        result->why = NULL;
    else if (!result->why)
        result->why = "no address";
    if (result->ttl < TTL_LEAST)
        result->ttl = TTL_LEAST;
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
    if (take_literal(job)) {
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
