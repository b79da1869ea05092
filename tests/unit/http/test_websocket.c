/* SPDX-License-Identifier: BSD-2-Clause */
/* The proof in a WebSocket's handshake (RFC 6455 1.3, 4.1, 4.2.2). */
#include "http/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void answers_fit_their_keys(void **state)
{
    static const struct {
        const char *key, *accept;
    } cases[] = {
        { "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" }, /* RFC 6455 1.3 */
        { "x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk=" },
        { "AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI=" },
        { "/////////////////////w==", "XXpj4jYzLM2yUE0C7TIgMwTQh2g=" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char accept[WEBSOCKET_ACCEPT];
        assert_true(websocket_answer(str_of(cases[i].key), accept));
        assert_memory_equal(accept, cases[i].accept, sizeof(accept));
        assert_true(websocket_fits(str_of(cases[i].key), str_of(cases[i].accept)));
    }
}

static void others_do_not(void **state)
{
    static const struct {
        const char *key, *accept;
    } cases[] = {
        { "dGhlIHNhbXBsZSBub25jZQ==", "" },
        { "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo" },
        { "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo==" },
        { "dGhlIHNhbXBsZSBub25jZQ==", "S3PPLMBITXAQ9KYGZZHZRBK+XOO=" }, /* base64 has case */
        { "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ==" },
        { "dGhlIHNhbXBsZSBub25jZg==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" },
        { "", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" },
        { "dGhlIHNhbXBsZSBub25jZQ", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_false(websocket_fits(str_of(cases[i].key), str_of(cases[i].accept)));
}

static void keys_are_sixteen_random_bytes(void **state)
{
    char one[WEBSOCKET_KEY], other[WEBSOCKET_KEY];

    (void)state;
    websocket_make_key(one);
    websocket_make_key(other);
    assert_memory_not_equal(one, other, sizeof(one));
    for (size_t i = 0; i < 22; i++)
        assert_non_null(memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", one[i], 64));
    assert_non_null(strchr("AQgw", one[21])); /* of the last byte two bits are left */
    assert_memory_equal(one + 22, "==", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_fit_their_keys),
        cmocka_unit_test(others_do_not),
        cmocka_unit_test(keys_are_sixteen_random_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
