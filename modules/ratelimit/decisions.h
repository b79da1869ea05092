/* SPDX-License-Identifier: BSD-2-Clause */
/* decisions.h: what a list server answers to GET /v1/decisions/stream: networks to be banned, and those no longer.
 *
 * Shape:   {"new": [decision...], "deleted": [decision...]}; null for an empty list, other members are passed over. A
 *          decision is an object: scope (Ip or Range), type (ban), value, duration ("3h59m57.5s", from now), and, when
 *          said, id, origin, scenario, simulated.
 * Units:   times are milliseconds since 1970.
 * Owner:   a struct decisions owns its lists and labels: decisions_free.
 * Errors:  an answer that is not of this shape is refused whole, and says why; a decision that is not to be understood
 *          is left out, counted, and the first one of an answer quoted. Decisions of other kinds (captcha, countries,
 *          simulated ones) are counted too, and no error.
 * Thread:  any; nothing is shared. */
#ifndef RATELIMIT_DECISIONS_H
#define RATELIMIT_DECISIONS_H

#include <weir/weir.h>

enum { LABEL_ROOM = 128, LABELS_MOST = 4096, WHY_ROOM = 160, WIDEST_IPV4 = 8, WIDEST_IPV6 = 16 };

/* "crowdsec crowdsecurity/http-probing": origin and scenario, printable and without other spaces; few, shared by many.
 * Number 0 is "-", which stands for whatever has no room either. */
struct labels {
    uint32_t count;
    char *text[LABELS_MOST];
    uint16_t slots[2 * LABELS_MOST]; /* a hash of numbers, 0: empty */
};

struct decision {
    uint8_t address[16]; /* network.h */
    uint32_t bits;
    uint32_t label;      /* its number */
    uint64_t id;         /* 0: none was said */
    uint64_t until;
};

struct decision_list {
    struct decision *at;
    size_t count, room;
};

struct decisions {
    struct decision_list fresh, gone;
    struct labels *labels;
    bool has_fresh;        /* "new" was there */
    uint32_t refused, of_other_kinds, left_out; /* left out: more new ones than there may be */
    char why[WHY_ROOM];    /* of the first one refused */
};

/* False: *why is the reason, and there is nothing to free. most: of the new ones. */
bool decisions_read(struct decisions *decisions, weir_str text, uint64_t now, size_t most, char why[WHY_ROOM]);
void decisions_free(struct decisions *decisions);

/* -- parts --------------------------------------------------------------------------------------------------------- */
bool duration_read(weir_str text, int64_t *ms); /* as Go prints it: -1h2m3.5s, 250ms, 0s; up to 292 years */
bool decision_append(struct decision_list *list, const struct decision *decision); /* false: no memory */

struct labels *labels_create(void); /* NULL: no memory */
uint32_t label_number(struct labels *labels, weir_str origin, weir_str scenario);
const char *label_text(const struct labels *labels, uint32_t number);
void labels_free(struct labels *labels);

#endif
