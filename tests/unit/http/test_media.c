/* SPDX-License-Identifier: BSD-2-Clause */
/* Quality values (RFC 9110 12.4.2) in Accept (12.5.1) and Accept-Encoding (12.5.3). */
#include "http/media.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void weights_are_read(void **state)
{
    static const struct {
        const char *list, *name;
        int weight;
    } cases[] = {
        { "", "gzip", -1 },
        { "gzip", "gzip", 1000 },
        { "GZip", "gzip", 1000 },
        { "gzip", "br", -1 },
        { "gzipped", "gzip", -1 },
        { "br, gzip;q=0.5", "gzip", 500 },
        { "gzip ; q=0.5", "gzip", 500 },
        { "gzip;Q=0.5", "gzip", 500 },
        { "gzip;q=0", "gzip", 0 },
        { "gzip;q=0.000", "gzip", 0 },
        { "gzip;q=0.001", "gzip", 1 },
        { "gzip;q=1.000", "gzip", 1000 },
        { "gzip;q=1.", "gzip", 1000 },
        { "gzip;q=0.", "gzip", 0 },
        { "*", "gzip", 1000 },
        { "*;q=0.1", "gzip", 100 },
        { "*, gzip;q=0", "gzip", 0 }, /* the name is closer than the star, wherever it stands */
        { "gzip;q=0.2, *;q=0.9", "gzip", 200 },
        { "identity;q=0, *;q=0.9", "gzip", 900 },
        { "gzip;q=0.2, gzip;q=0.4", "gzip", 400 },
        { "*/*", "gzip", -1 }, /* a media range is no coding */
        /* malformed weights: the element does not count */
        { "gzip;q=1.001", "gzip", -1 },
        { "gzip;q=2", "gzip", -1 },
        { "gzip;q=-1", "gzip", -1 },
        { "gzip;q=.5", "gzip", -1 },
        { "gzip;q=0.1234", "gzip", -1 },
        { "gzip;q=", "gzip", -1 },
        { "gzip;q=0.x", "gzip", -1 },
        { "gzip;q=0,5", "gzip", 0 },
        { "gzip;q=x, *;q=0.3", "gzip", 300 },
        /* media ranges */
        { "text/html", "text/html", 1000 },
        { "text/*;q=0.3", "text/html", 300 },
        { "text/*;q=0.3", "image/png", -1 },
        { "text/*;q=0.3", "textual/html", -1 },
        { "TEXT/*;q=0.3", "text/html", 300 },
        { "*/*;q=0.1", "text/html", 100 },
        { "*;q=0.1", "text/html", 100 },
        { "*/*;q=0.1, text/*;q=0.2, text/html;q=0.3", "text/html", 300 },
        { "text/html;q=0.3, text/*;q=0.9, */*", "text/html", 300 },
        { "text/*;q=0.2, */*;q=0.9", "text/html", 200 },
        { "text/html;level=1;q=0.9, text/html;q=0.7", "text/html", 700 },
        { "text/html;level=1;q=0.9", "text/html", 900 },
        { "text/html;q=0.4;level=1", "text/html", 400 },
        { "text/html;x=\"a,b\";q=0.4", "text/html", 400 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int weight = quality_of(str_of(cases[i].list), str_of(cases[i].name));

        if (weight != cases[i].weight)
            fail_msg("%s in \"%s\": %d, not %d", cases[i].name, cases[i].list, weight, cases[i].weight);
    }
}

static void error_pages_come_in_the_form_asked_for(void **state)
{
    static const struct {
        const char *accept;
        bool is_json;
    } cases[] = {
        { "", false },
        { "*/*", false }, /* curl */
        { "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false }, /* browsers */
        { "application/json", true },
        { "application/json, text/plain, */*", true }, /* JSON is named, HTML only covered */
        { "application/problem+json", true },
        { "application/json, text/html", false },
        { "application/json;q=0.5, text/html", false },
        { "application/json, text/html;q=0.5", true },
        { "application/*", true },
        { "application/json;q=0", false },
        { "text/plain", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (accepts_json_over_html(str_of(cases[i].accept)) != cases[i].is_json)
            fail_msg("\"%s\"", cases[i].accept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_read),
        cmocka_unit_test(error_pages_come_in_the_form_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
