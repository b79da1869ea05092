/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_client_chain.c: X-Forwarded-For and Forwarded. Input: a field's value.
 * Holds:   elements lie in the list, in order, and come to an end; whatever stands in front, an element put behind it
 *          is read as it was written. */
#include "net/addr.h"
#include "pipeline/client_chain.h"

#include <stdlib.h>

#define CHECK(condition) ((condition) ? (void)0 : abort())

static void walk(str list)
{
    const char *end = list.p + list.n;
    struct chain_hop hop;
    bool rest = true;
    size_t count = 0, most = list.n + 1;
    str element;

    while (chain_cut_last(&list, &rest, &element)) {
        CHECK(++count <= most);
        CHECK(element.n == 0 || (element.p >= list.p && element.p + element.n <= end));
        if (element.n)
            end = element.p;
        (void)chain_read_for(element, &hop);
        (void)chain_read_forwarded(element, &hop);
    }
}

static void check_appended(str list, const char *text, bool (*read)(str, struct chain_hop *), unsigned port)
{
    size_t n = strlen(text);
    char *whole = malloc(list.n + 2 + n);
    uint8_t expected[16];
    struct chain_hop hop;
    bool rest = true;
    str element;

    CHECK(whole && addr_ip_bytes(S("2001:db8::1"), expected));
    memcpy(whole, list.p, list.n);
    memcpy(whole + list.n, ", ", 2);
    memcpy(whole + list.n + 2, text, n);
    str longer = { whole, list.n + 2 + n };
    CHECK(chain_cut_last(&longer, &rest, &element) && rest && read(element, &hop));
    CHECK(hop.port == port && memcmp(hop.address, expected, 16) == 0);
    CHECK(longer.n == list.n);
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str list = { (const char *)data, size };

    walk(list);
    check_appended(list, "2001:db8::1", chain_read_for, 0);
    check_appended(list, "[2001:db8::1]:80", chain_read_for, 80);
    check_appended(list, "for=\"[2001:db8::1]:80\";proto=https", chain_read_forwarded, 80);
    return 0;
}
