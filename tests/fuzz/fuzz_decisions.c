/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_decisions.c: answers of a list server, read and made into a table, twice over. Input: two answers with a zero
 * byte between them: the whole list, then what has changed.
 * Holds:   what is taken is a network of a fair width that is not over; the table's search by halves finds for any
 *          address what a walk through all decisions finds, and memory is what it says. */
#include "../../modules/ratelimit/network.h"
#include "../../modules/ratelimit/pulled.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(condition) ((condition) ? (void)0 : abort())

enum { MOST = 64 };
static const uint64_t NOW = 1800000000000;

static void check_list(const struct decision_list *list, bool is_gone)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct decision *one = &list->at[i];
        uint8_t masked[16];
        char text[NETWORK_ROOM];
        memcpy(masked, one->address, sizeof(masked));
        network_mask(masked, one->bits);
        CHECK(one->bits <= 128 && one->bits >= WIDEST_IPV6 && memcmp(masked, one->address, 16) == 0);
        CHECK(is_gone || one->until > NOW);
        uint32_t bits;
        network_print(one->address, one->bits, text);
        CHECK(network_read((weir_str){ text, strlen(text) }, masked, &bits) && bits == one->bits &&
              memcmp(masked, one->address, 16) == 0);
    }
}

static const struct decision *walk(const struct pulled *pulled, const uint8_t address[16], uint64_t now)
{
    const struct decision *best = NULL;

    for (size_t i = 0; i < pulled->decisions.count; i++) {
        const struct decision *one = &pulled->decisions.at[i];
        if (network_holds(one->address, one->bits, address) && one->until > now && (!best || one->until > best->until))
            best = one;
    }
    return best;
}

static void check_address(const struct pulled *pulled, const uint8_t address[16])
{
    for (uint64_t now = NOW; now < NOW + 8000000; now += 1999999) {
        const struct decision *found = pulled_find(pulled, address, now), *best = walk(pulled, address, now);
        CHECK(!found == !best && (!found || found->until == best->until));
    }
}

/* The first address of each, the last, and those beside them. */
static void check_table(const struct pulled *pulled)
{
    CHECK(pulled->decisions.count <= MOST && pulled->in_force <= pulled->decisions.count);
    CHECK(pulled->turn_count <= 2 * pulled->decisions.count);
    for (size_t i = 0; i < pulled->decisions.count; i++) {
        const struct decision *one = &pulled->decisions.at[i];
        uint8_t address[16];
        memcpy(address, one->address, sizeof(address));
        check_address(pulled, address);
        for (int at = 15; at >= 0 && address[at]-- == 0; at--)
            continue;
        check_address(pulled, address);
        memcpy(address, one->address, sizeof(address));
        for (uint32_t bit = one->bits; bit < 128; bit++)
            address[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
        check_address(pulled, address);
        for (int at = 15; at >= 0 && ++address[at] == 0; at--)
            continue;
        check_address(pulled, address);
        CHECK(strlen(label_text(pulled->labels, one->label)) < LABEL_ROOM);
    }
}

static struct pulled *apply(const struct pulled *before, weir_str text)
{
    struct decisions read;
    char why[WHY_ROOM] = "";
    uint32_t left_out = 0;

    if (!decisions_read(&read, text, NOW, MOST, why)) {
        CHECK(why[0]);
        return NULL;
    }
    check_list(&read.fresh, false);
    check_list(&read.gone, true);
    CHECK(!read.refused == !read.why[0]);
    struct pulled *made = pulled_make(before, &read, NOW, 0, MOST, &left_out);
    CHECK(made);
    check_table(made);
    decisions_free(&read);
    return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = size ? memchr(data, 0, size) : NULL;
    weir_str text = { (const char *)data, size }, first = text;
    int64_t ms;

    if (cut)
        first.n = (size_t)(cut - data);
    struct pulled *whole = apply(NULL, first);
    if (whole && cut)
        pulled_unref(apply(whole, (weir_str){ (const char *)cut + 1, size - first.n - 1 }));
    pulled_unref(whole);
    (void)duration_read(text, &ms);
    return 0;
}
