/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_proxy_header.c: headers of the PROXY protocol. Input: the first bytes of a connection.
 * Holds:   the answer is the same however the bytes arrive, and stays once it is given; a header lies within its limits
 *          and within what came; what it says, written out in either version, says the same. */
#include "net/proxy_header.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(condition) ((condition) ? (void)0 : abort())

static enum proxy_header_answer read_exact(const uint8_t *data, size_t n, struct proxy_header *out)
{
    const char *why = NULL;
    char *copy = malloc(n ? n : 1); /* no slack behind it */

    CHECK(copy);
    memcpy(copy, data, n);
    enum proxy_header_answer answer = proxy_header_read((str){ copy, n }, out, &why);
    CHECK((answer == PROXY_HEADER_REFUSED) == (why != NULL));
    free(copy);
    return answer;
}

static void check_again(const struct proxy_header *header)
{
    static const struct proxy_ends nobody;
    char room[PROXY_HEADER_ROOM];

    CHECK(header->ends.is_known || proxy_ends_equal(&header->ends, &nobody));
    for (int version = 1; version <= 2; version++) {
        size_t n = proxy_header_put(version, &header->ends, room);
        struct proxy_header again;
        CHECK(n <= sizeof(room));
        CHECK(read_exact((const uint8_t *)room, n, &again) == PROXY_HEADER_WHOLE);
        CHECK(again.n == n && again.version == version && proxy_ends_equal(&again.ends, &header->ends));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header header = { .n = 0 }, part = { .n = 0 };
    enum proxy_header_answer answer = read_exact(data, size, &header), so_far = PROXY_HEADER_MORE;
    size_t most = size < 256 ? size : 256;

    for (size_t n = 0; n <= most && so_far == PROXY_HEADER_MORE; n++)
        so_far = read_exact(data, n, &part);
    CHECK(most < size ? so_far == PROXY_HEADER_MORE || so_far == answer : so_far == answer);
    if (answer != PROXY_HEADER_WHOLE)
        return 0;
    CHECK(header.n <= size && header.n <= (header.version == 1 ? (size_t)PROXY_HEADER_V1_MOST : PROXY_HEADER_MOST));
    if (so_far == PROXY_HEADER_WHOLE)
        CHECK(part.n == header.n && proxy_ends_equal(&part.ends, &header.ends));
    CHECK(header.n == 0 || read_exact(data, header.n - 1, &part) == PROXY_HEADER_MORE);
    check_again(&header);
    return 0;
}
