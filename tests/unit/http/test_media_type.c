/* SPDX-License-Identifier: BSD-2-Clause */
/* Media types by a file's ending. */
#include "http/media_type.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void endings_have_types(void **state)
{
    static const struct {
        const char *path, *type;
    } cases[] = {
        { "index.html", "text/html; charset=utf-8" },
        { "/a/b.d/INDEX.HTM", "text/html; charset=utf-8" },
        { "a.css", "text/css; charset=utf-8" },
        { "a.js", "text/javascript; charset=utf-8" },
        { "a.min.mjs", "text/javascript; charset=utf-8" },
        { "a.txt", "text/plain; charset=utf-8" },
        { "a.json", "application/json" },
        { "a.svg", "image/svg+xml" },
        { "a.3gp", "video/3gpp" }, /* the first and the last of the table */
        { "a.zst", "application/zstd" },
        { "a.woff2", "font/woff2" },
        { "a.wasm", "application/wasm" },
        { "archive.tar.gz", "application/gzip" },
        { ".html", "text/html; charset=utf-8" },
        { "a.html~", "application/octet-stream" },
        { "a.", "application/octet-stream" },
        { "html", "application/octet-stream" },
        { "", "application/octet-stream" },
        { "a.html/b", "application/octet-stream" },
        { "a.webmanifest", "application/manifest+json" },
        { "a.averyveryverylongending", "application/octet-stream" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        str type = media_type_of_path(str_of(cases[i].path));

        if (!str_equal(type, str_of(cases[i].type)))
            fail_msg("%s: %.*s", cases[i].path, STR_ARG(type));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(endings_have_types) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
