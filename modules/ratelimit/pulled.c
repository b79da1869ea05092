/* SPDX-License-Identifier: BSD-2-Clause */
#include "pulled.h"

#include "network.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 wide;

static wide wide_of(const uint8_t address[16])
{
    uint64_t half[2];

    memcpy(half, address, sizeof(half));
    return (wide)be64toh(half[0]) << 64 | be64toh(half[1]);
}

static wide last_of(const struct decision *decision)
{
    wide rest = decision->bits == 0 ? ~(wide)0 : decision->bits >= 128 ? 0 : ~(wide)0 >> decision->bits;

    return wide_of(decision->address) | rest;
}

/* -- sorting ------------------------------------------------------------------------------------------------------- */

/* Networks before those that lie in them. */
static int compare_networks(const struct decision *a, const struct decision *b)
{
    int order = memcmp(a->address, b->address, sizeof(a->address));

    return order ? order : (a->bits > b->bits) - (a->bits < b->bits);
}

/* Of one id the one that is to stay first. */
static int compare(const void *a_, const void *b_)
{
    const struct decision *a = a_, *b = b_;
    int order = compare_networks(a, b);

    if (!order)
        order = (a->id > b->id) - (a->id < b->id);
    return order ? order : (a->until < b->until) - (a->until > b->until);
}

static size_t first_of(const struct decision_list *list, const struct decision *network)
{
    size_t low = 0, high = list->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_networks(&list->at[middle], network) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* -- what is gone, what is new ------------------------------------------------------------------------------------- */

/* is_gone: a mark for each decision of the list. */
static void mark_gone(const struct decision_list *list, const struct decision_list *gone, bool *is_gone)
{
    for (size_t i = 0; i < gone->count; i++) {
        const struct decision *what = &gone->at[i];
        size_t first = first_of(list, what), last = first;
        bool is_known = false;
        for (; last < list->count && compare_networks(&list->at[last], what) == 0; last++)
            if (what->id && list->at[last].id == what->id)
                is_known = is_gone[last] = true;
        for (size_t k = first; k < last && !is_known; k++)
            is_gone[k] = true;
    }
}

static uint32_t label_again(struct labels *to, const struct labels *from, uint32_t number)
{
    const char *text = label_text(from, number);
    size_t n = strcspn(text, " "), gap = text[n] == ' ';

    return number ? label_number(to, (weir_str){ text, n }, (weir_str){ text + n + gap, strlen(text + n + gap) }) : 0;
}

static bool append_from(struct pulled *to, const struct decision *decision, const struct labels *labels)
{
    struct decision copy = *decision;

    copy.label = label_again(to->labels, labels, decision->label);
    return decision_append(&to->decisions, &copy);
}

static bool keep_old(struct pulled *to, const struct pulled *before, const struct decision_list *gone, uint64_t least)
{
    bool *is_gone = calloc(before->decisions.count + 1, sizeof(*is_gone)), is_fine = is_gone != NULL;

    if (is_gone)
        mark_gone(&before->decisions, gone, is_gone);
    for (size_t i = 0; is_fine && i < before->decisions.count; i++)
        if (!is_gone[i] && before->decisions.at[i].until > least)
            is_fine = append_from(to, &before->decisions.at[i], before->labels);
    free(is_gone);
    return is_fine;
}

static bool is_held(const struct decision_list *list, const struct decision *decision, size_t *at)
{
    for (*at = first_of(list, decision); *at < list->count; ++*at) {
        if (compare_networks(&list->at[*at], decision) != 0)
            return false;
        if (list->at[*at].id == decision->id)
            return true;
    }
    return false;
}

/* Said again is said anew, even when it then ends sooner. */
static bool add_new(struct pulled *to, const struct decisions *news, size_t most, uint32_t *left_out)
{
    struct decision_list held = { to->decisions.at, to->decisions.count, 0 };
    size_t at;

    for (size_t i = 0; i < news->fresh.count; i++) {
        const struct decision *decision = &news->fresh.at[i];
        held.at = to->decisions.at;
        if (is_held(&held, decision, &at)) {
            to->decisions.at[at].until = decision->until;
            to->decisions.at[at].label = label_again(to->labels, news->labels, decision->label);
        } else if (to->decisions.count >= most) {
            ++*left_out;
        } else if (!append_from(to, decision, news->labels)) {
            return false;
        }
    }
    return true;
}

static void sort(struct decision_list *list)
{
    size_t count = 0;

    if (list->count)
        qsort(list->at, list->count, sizeof(list->at[0]), compare);
    for (size_t i = 0; i < list->count; i++) /* an answer that names one twice means the longer */
        if (count == 0 || compare_networks(&list->at[i], &list->at[count - 1]) != 0 ||
            list->at[i].id != list->at[count - 1].id)
            list->at[count++] = list->at[i];
    list->count = count;
    struct decision *tight = realloc(list->at, (count ? count : 1) * sizeof(*tight));
    if (tight)
        list->at = tight;
    list->room = count;
}

/* -- turns --------------------------------------------------------------------------------------------------------- */

/* Networks lie side by side or within each other: those around the address reached stand on a stack. */
struct sweep {
    struct pulled *to;
    uint32_t open[129], best[129]; /* decisions; of the ones up to here the one that lasts longest */
    uint32_t depth;
};

static void turn_to(struct sweep *sweep, wide from, uint32_t decision)
{
    struct pulled *to = sweep->to;

    if (to->turn_count && to->turns[to->turn_count - 1].high == (uint64_t)(from >> 64) &&
        to->turns[to->turn_count - 1].low == (uint64_t)from)
        to->turn_count--;
    if (to->turn_count ? to->turns[to->turn_count - 1].decision == decision : decision == NOBODY)
        return;
    to->turns[to->turn_count++] = (struct turn){ (uint64_t)(from >> 64), (uint64_t)from, decision };
}

static void close_one(struct sweep *sweep)
{
    wide last = last_of(&sweep->to->decisions.at[sweep->open[--sweep->depth]]);

    if (last != ~(wide)0)
        turn_to(sweep, last + 1, sweep->depth ? sweep->best[sweep->depth - 1] : NOBODY);
}

static void open_one(struct sweep *sweep, uint32_t index)
{
    const struct decision *all = sweep->to->decisions.at, *one = &all[index];
    uint32_t best = index;

    while (sweep->depth && last_of(&all[sweep->open[sweep->depth - 1]]) < wide_of(one->address))
        close_one(sweep);
    if (sweep->depth) {
        uint32_t around = sweep->best[sweep->depth - 1], last = sweep->open[sweep->depth - 1];
        if (all[around].until >= one->until)
            best = around;
        if (compare_networks(&all[last], one) == 0)
            sweep->depth--; /* the same network once more */
    }
    sweep->open[sweep->depth] = index;
    sweep->best[sweep->depth++] = best;
    turn_to(sweep, wide_of(one->address), best);
}

static bool make_turns(struct pulled *to, uint64_t now)
{
    struct sweep sweep = { .to = to };

    to->first_end = UINT64_MAX;
    to->turns = malloc((2 * to->decisions.count + 1) * sizeof(*to->turns));
    if (!to->turns)
        return false;
    for (uint32_t i = 0; i < to->decisions.count; i++) {
        const struct decision *one = &to->decisions.at[i];
        if (one->until <= now)
            continue;
        to->in_force++;
        if (one->until < to->first_end)
            to->first_end = one->until;
        open_one(&sweep, i);
    }
    while (sweep.depth)
        close_one(&sweep);
    struct turn *tight = realloc(to->turns, (to->turn_count + 1) * sizeof(*tight));
    if (tight)
        to->turns = tight;
    return true;
}

/* -- calls --------------------------------------------------------------------------------------------------------- */

static size_t bytes_of(const struct pulled *pulled)
{
    size_t bytes = sizeof(*pulled) + pulled->decisions.room * sizeof(struct decision) +
                   (pulled->turn_count + 1) * sizeof(struct turn) + sizeof(struct labels);

    for (uint32_t i = 1; i < pulled->labels->count; i++)
        bytes += strlen(pulled->labels->text[i]) + 1;
    return bytes;
}

struct pulled *pulled_make(const struct pulled *before, const struct decisions *news, uint64_t now, uint64_t grace,
                           size_t most, uint32_t *left_out)
{
    struct pulled *made = calloc(1, sizeof(*made));
    uint64_t least = now > grace ? now - grace : 0;

    if (!made)
        return NULL;
    atomic_store(&made->holders, 1);
    made->labels = labels_create();
    if (!made->labels || (before && !keep_old(made, before, &news->gone, least)) ||
        !add_new(made, news, most, left_out)) {
        pulled_unref(made);
        return NULL;
    }
    sort(&made->decisions);
    if (!make_turns(made, now)) {
        pulled_unref(made);
        return NULL;
    }
    made->bytes = bytes_of(made);
    return made;
}

struct pulled *pulled_ref(struct pulled *pulled)
{
    if (pulled)
        atomic_fetch_add(&pulled->holders, 1);
    return pulled;
}

void pulled_unref(struct pulled *pulled)
{
    if (!pulled || atomic_fetch_sub(&pulled->holders, 1) != 1)
        return;
    free(pulled->decisions.at);
    free(pulled->turns);
    labels_free(pulled->labels);
    free(pulled);
}

const struct decision *pulled_find(const struct pulled *pulled, const uint8_t address[16], uint64_t now)
{
    wide asked = wide_of(address);
    uint64_t asked_high = (uint64_t)(asked >> 64), asked_low = (uint64_t)asked;
    size_t low = 0, high = pulled ? pulled->turn_count : 0;

    while (low < high) { /* the first turn behind the address */
        size_t middle = low + (high - low) / 2;
        const struct turn *turn = &pulled->turns[middle];
        if (turn->high < asked_high || (turn->high == asked_high && turn->low <= asked_low))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || pulled->turns[low - 1].decision == NOBODY)
        return NULL;
    const struct decision *found = &pulled->decisions.at[pulled->turns[low - 1].decision];
    return found->until > now ? found : NULL;
}

const struct decision *pulled_find_network(const struct pulled *pulled, const uint8_t address[16], uint32_t bits,
                                           uint64_t now)
{
    struct decision asked = { .bits = bits };

    if (!pulled)
        return NULL;
    memcpy(asked.address, address, sizeof(asked.address));
    for (size_t i = first_of(&pulled->decisions, &asked); i < pulled->decisions.count; i++) {
        if (compare_networks(&pulled->decisions.at[i], &asked) != 0)
            return NULL;
        if (pulled->decisions.at[i].until > now)
            return &pulled->decisions.at[i];
    }
    return NULL;
}
