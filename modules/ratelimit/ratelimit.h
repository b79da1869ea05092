/* SPDX-License-Identifier: BSD-2-Clause */
/* ratelimit.h: what the module's files share: its configuration, a request's context, and who counts what.
 *
 *     ratelimit.c   directives, the hooks, the fields of answers
 *     rates.c       rate_limit: token buckets
 *     conns.c       conn_limit: requests under way at one time
 *     subject.c     whom a limit counts: the client's network or a template's text
 *     bans.h        who is refused altogether, for a time
 *     pull.h        the same as a list server says */
#ifndef RATELIMIT_H
#define RATELIMIT_H

#include <weir/weir.h>

enum { METRIC_RATE_REFUSED, METRIC_DELAYED, METRIC_CONN_REFUSED, METRIC_BANNED, METRIC_BAN_REFUSED,
       METRIC_PULLED, METRIC_PULLED_BYTES, METRIC_PULL_FAILED };

enum { SUBJECT_ROOM = 1024, TAKEN_MOST = 8 };

/* A key of a shared dictionary: eight bytes that say which limit, then whom. */
struct subject {
    char bytes[SUBJECT_ROOM];
    size_t n;
};

struct limit { /* a line of rate_limit or conn_limit */
    struct weir_place place;
    struct weir_rate rate; /* rate_limit */
    uint64_t burst;        /* rate_limit */
    uint64_t most;         /* conn_limit */
    uint64_t status;
    bool delays;
    weir_tmpl *key; /* NULL: the client's network */
    weir_str zone;
    uint64_t id;        /* the same for lines of one zone */
    const char *reason; /* of a refusal */
    weir_str policy;    /* of the RateLimit-Policy field */
};

enum { FIELDS_OFF, FIELDS_REFUSED, FIELDS_ALWAYS };

struct conf {
    weir_table rate_lines, conn_lines; /* of struct limit, as written, outer scopes first */
    weir_table rates, conns;           /* of const struct limit *: what counts here; from check() */
    uint64_t ipv6_prefix;
    uint32_t fields; /* FIELDS_* */
    uint64_t ban_after, ban_within, ban_for; /* refusals, 0: never; milliseconds */
    /* ban_list; at top level */
    struct weir_place list_place;
    weir_str list_url, list_key_file; /* no url: off */
    uint64_t list_interval, list_most;
    weir_table list_except; /* of struct weir_cidr */
    weir_upstream *list_upstream;
    weir_str list_whole, list_changes, list_key; /* targets; the header field's value */
    uint64_t list_identity;
};

struct ctx {
    const struct limit *shown; /* the one the answer's fields speak of */
    struct weir_bucket bucket; /* its */
    bool refused, is_shadow;
    uint32_t taken_count;      /* limits that have counted this request: a reroute asks again */
    uint64_t taken[TAKEN_MOST];
};

static inline const struct limit *limit_at(const weir_table *limits, uint32_t i)
{
    return ((const struct limit *const *)limits->base)[i];
}

/* An IPv6 address becomes that of its network; bits of the prefix, those of an IPv4 address 128. */
uint32_t client_mask(uint8_t address[16], uint64_t ipv6_prefix);

/* False: the key is empty, and whom it would name is not limited. */
bool subject_make(weir_req *r, const struct conf *conf, const struct limit *limit, struct subject *subject);
static inline weir_str subject_str(const struct subject *subject)
{
    return (weir_str){ subject->bytes, subject->n };
}

bool ctx_has_taken(const struct ctx *ctx, uint64_t id);
void ctx_note_taken(struct ctx *ctx, uint64_t id);

/* WEIR_NEXT, WEIR_SUSPEND, or an answer. */
int rates_load(weir_mod *mod);
weir_verdict rates_judge(weir_req *r, const struct conf *conf, struct ctx *ctx);
int conns_load(weir_mod *mod);
weir_verdict conns_judge(weir_req *r, const struct conf *conf, struct ctx *ctx);

#endif
