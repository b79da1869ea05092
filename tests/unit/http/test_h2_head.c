/* SPDX-License-Identifier: BSD-2-Clause */
/* What heads of HTTP/2 mean, and which are malformed (RFC 9113 8.1.1, 8.2, 8.3; RFC 8441 4). */
#include "http/h2_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define GET ":method=GET|:scheme=https|:path=/|:authority=a"
#define POST ":method=POST|:scheme=https|:path=/|:authority=a"

static struct arena *arena;
static struct fields fields;
static struct h2_head head;
static struct h2_request request;
static struct h1_response response;
static const struct h2_head_limits limits = { .head_bytes = 2000, .fields = 20 };

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(4096, 0);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

/* "name=value|name=value"; a name may begin with a colon. */
static bool take_all(const char *text)
{
    str rest = str_of(text), line;

    fields_init(&fields, arena);
    while (str_split(&rest, '|', &line)) {
        size_t equals = str_find(line, '=');
        if (!h2_head_take(&head, &limits, arena, &fields, str_upto(line, equals), str_from(line, equals + 1)))
            return false;
    }
    return true;
}

static bool read_request(const char *text, bool end)
{
    h2_head_begin(&head, H2_HEAD_REQUEST);
    assert_true(take_all(text));
    return h2_head_request(&head, end, arena, &fields, &request);
}

static void malformed_requests(void **state)
{
    static const char *const cases[] = {
        /* 8.2.1: names and values */
        GET "|X-Upper=1", GET "|x y=1", GET "|x:y=1", GET "|=1", GET "|x\x80=1", GET "|x\x01=1",
        GET "|x=a\nb", GET "|x=a\rb", GET "|x=a\x01", GET "|x= a", GET "|x=a ", GET "|x=a\t", GET "|x=\ta",
        /* 8.2.2: fields of the connection */
        GET "|connection=close", GET "|keep-alive=1", GET "|proxy-connection=close", GET "|transfer-encoding=chunked",
        GET "|upgrade=h2c", GET "|te=gzip", GET "|te=trailers, gzip",
        /* 8.3: pseudo-fields */
        ":scheme=https|:path=/|:authority=a", ":method=GET|:path=/|:authority=a",
        ":method=GET|:scheme=https|:authority=a",
        GET "|:method=GET", GET "|:path=/", GET "|:scheme=http", GET "|:authority=a", GET "|:status=200", GET "|:x=1",
        ":method=GET|x=1|:scheme=https|:path=/|:authority=a", ":method=GET|:scheme=https|:path=|:authority=a",
        ":method=GET|:scheme=https|:path=a|:authority=a", ":method=GET|:scheme=https|:path=*|:authority=a",
        ":method=GET|:scheme=https|:path=http://a/|:authority=a", ":method=|:scheme=https|:path=/|:authority=a",
        ":method=G T|:scheme=https|:path=/|:authority=a", ":method=GET|:scheme=|:path=/|:authority=a",
        ":method=GET|:scheme=https|:path=/\n|:authority=a", ":method=GET|:scheme=https|:path= /|:authority=a",
        /* 8.3.1: who is asked */
        GET "|host=b", GET "|host=a:81", GET "|host=a|host=a", ":method=GET|:scheme=https|:path=/|host=a|host=b",
        /* 8.5, RFC 8441: CONNECT */
        ":method=CONNECT|:authority=a:1|:path=/", ":method=CONNECT|:authority=a:1|:scheme=https", ":method=CONNECT",
        GET "|:protocol=websocket", ":method=CONNECT|:protocol=websocket|:authority=a",
        ":method=CONNECT|:protocol=websocket|:authority=a|:scheme=https",
        ":method=CONNECT|:protocol=|:authority=a|:scheme=https|:path=/",
        ":method=CONNECT|:protocol=websocket|:path=/|:scheme=https",
        /* content-length */
        POST "|content-length=1|content-length=1", POST "|content-length=+1", POST "|content-length=",
        POST "|content-length=1, 1",
        POST "|content-length=18446744073709551616",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (read_request(cases[i], false) || !head.malformed)
            fail_msg("taken: %s", cases[i]);
    }
    assert_false(read_request(POST "|content-length=1", true)); /* 8.1.1: and nothing follows */
    assert_non_null(head.malformed);
}

static void refused_requests(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        { ":method=GET|:scheme=https|:path=/", 400 },
        { ":method=GET|:scheme=https|:path=/|:authority=", 400 },
        { ":method=GET|:scheme=https|:path=/|:authority=u@a", 400 },
        { ":method=GET|:scheme=https|:path=/|:authority=a b", 400 },
        { ":method=GET|:scheme=https|:path=/#x|:authority=a", 400 },
        { ":method=GET|:scheme=https|:path=/%zz|:authority=a", 400 },
        { GET "|expect=wonders", 417 },
        { ":method=CONNECT|:authority=a:1", 501 },
        { ":method=ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGH|:scheme=https|:path=/|:authority=a", 501 },
        { GET "|a=|b=|c=|d=|e=|f=|g=|h=|i=|j=|k=|l=|m=|n=|o=|p=|q=|r=|s=|t=|u=", 431 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (read_request(cases[i].text, true) || head.malformed || head.status != cases[i].status)
            fail_msg("%s: %d, %s", cases[i].text, head.status, head.malformed ? head.malformed : "fine");
    }
}

static void requests_are_read(void **state)
{
    (void)state;
    assert_true(read_request(":method=POST|:scheme=HTTPS|:authority=Example.org:8443|:path=/a/../b?c=d|te=trailers|"
                             "content-length=5|expect=100-continue|cookie=a=1|x-y=z|cookie=b=2|accept=*/*", false));
    assert_true(str_equal(request.method, S("POST")));
    assert_true(str_equal(request.uri.path, S("/b")));
    assert_true(str_equal(request.uri.query, S("c=d")));
    assert_true(str_equal(request.uri.scheme, S("https")));
    assert_true(str_equal(request.host, S("example.org")));
    assert_int_equal(request.host_port, 8443);
    assert_true(str_equal(request.host_field, S("Example.org:8443")));
    assert_int_equal(request.body, BODY_LENGTH);
    assert_int_equal(request.content_length, 5);
    assert_true(request.expects_continue);
    assert_true(str_equal(fields_get(&fields, FIELD_COOKIE), S("a=1; b=2"))); /* 8.2.3 */
    assert_int_equal(fields_count_id(&fields, FIELD_COOKIE), 1);
    assert_true(str_equal(fields_get(&fields, FIELD_HOST), S("Example.org:8443")));
    assert_true(str_equal(fields_find(&fields, S("accept"))->name, S("Accept")));
}

static void authorities_agree(void **state)
{
    (void)state;
    assert_true(read_request(":method=GET|:scheme=https|:path=/|host=a.test", true));
    assert_true(str_equal(request.host, S("a.test")));
    assert_true(read_request(":method=GET|:scheme=https|:path=/|:authority=a.test|host=A.Test", true));
    assert_int_equal(fields_count_id(&fields, FIELD_HOST), 1);
    assert_true(read_request(":method=OPTIONS|:scheme=https|:path=*|:authority=a", true));
    assert_int_equal(request.uri.form, TARGET_ASTERISK);
}

static void bodies_are_framed(void **state)
{
    (void)state;
    assert_true(read_request(POST, false));
    assert_int_equal(request.body, BODY_CHUNKED);
    assert_true(read_request(POST, true));
    assert_int_equal(request.body, BODY_NONE);
    assert_true(read_request(POST "|content-length=0", true));
    assert_int_equal(request.body, BODY_LENGTH);
    assert_true(read_request(POST "|expect=100-continue", true)); /* there is nothing to wait for */
    assert_false(request.expects_continue);
}

static void extended_connect(void **state)
{
    (void)state;
    assert_true(read_request(":method=CONNECT|:protocol=websocket|:scheme=https|:path=/chat|:authority=a|"
                             "sec-websocket-version=13", false));
    assert_true(str_equal(request.protocol, S("websocket")));
    assert_true(str_equal(request.uri.path, S("/chat")));
}

static void priorities(void **state)
{
    static const struct {
        const char *value;
        unsigned urgency;
        bool incremental;
    } cases[] = {
        { "u=0", 0, false }, { "u=7, i", 7, true },   { "i", 3, true },       { "i=?0", 3, false },
        { "u=5;x, i=?1", 5, true }, { "u=8", 3, false }, { "u=-1", 3, false }, { "u=1.5", 3, false },
        { "", 3, false },    { "a, u=2", 2, false },  { "u=1,u=4", 4, false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[128];
        strcpy(text, GET "|priority=");
        strcat(text, cases[i].value);
        assert_true(read_request(text, true));
        assert_true(head.has_priority);
        if (head.urgency != cases[i].urgency || head.incremental != cases[i].incremental)
            fail_msg("%s: %u, %d", cases[i].value, head.urgency, head.incremental);
    }
    assert_true(read_request(GET, true)); /* no signal: all take turns */
    assert_true(!head.has_priority && head.incremental && head.urgency == 3);
}

static void trailers(void **state)
{
    static const char *const bad[] = { ":path=/", "x=1|:path=/", "connection=close", "te=trailers", "X=1", "x=a\n" };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        h2_head_begin(&head, H2_HEAD_TRAILERS);
        assert_true(take_all(bad[i]));
        if (!head.malformed)
            fail_msg("taken: %s", bad[i]);
    }
    h2_head_begin(&head, H2_HEAD_TRAILERS);
    assert_true(take_all("x-sum=1|content-length=5|host=a|etag=\"x\""));
    assert_null(head.malformed);
    assert_int_equal(fields.count, 2); /* RFC 9110 6.5.1: framing and routing are none of theirs */
}

/* What a small block unpacks to is counted while it is unpacked (RFC 7541 7.3). */
static void lists_are_bounded(void **state)
{
    char value[1000];
    unsigned n = 0;

    (void)state;
    memset(value, 'a', sizeof(value));
    fields_init(&fields, arena);
    h2_head_begin(&head, H2_HEAD_REQUEST);
    while (n < 1000 && h2_head_take(&head, &limits, arena, &fields, S("x"), (str){ value, sizeof(value) }))
        n++;
    assert_in_range(n, 10, 30);
    assert_int_equal(head.status, 431);
    assert_in_range(fields.count, 1, 3); /* what is refused is not kept */
}

static bool read_response(const char *text, bool end, struct h2_asked asked)
{
    h2_head_begin(&head, H2_HEAD_RESPONSE);
    assert_true(take_all(text));
    return h2_head_response(&head, end, asked, &response);
}

static void malformed_responses(void **state)
{
    static const struct {
        const char *text;
        bool end;
    } cases[] = {
        /* 8.3.2 */
        { "server=x", true }, { "", true }, { ":status=200|:status=200", true }, { ":status=", true },
        { ":status=20", true }, { ":status=2000", true }, { ":status=2x0", true }, { ":status=099", true },
        { ":status=600", true }, { ":status=+20", true }, { "server=x|:status=200", true },
        { ":status=200|:method=GET", true }, { ":status=200|:path=/", true }, { ":status=200|:x=1", true },
        /* 8.6: nothing is switched to */
        { ":status=101", false },
        /* 8.2.1, 8.2.2 */
        { ":status=200|X-Upper=1", true }, { ":status=200|x=a\nb", true }, { ":status=200|x= a", true },
        { ":status=200|connection=close", true }, { ":status=200|transfer-encoding=chunked", false },
        { ":status=200|keep-alive=1", true }, { ":status=200|upgrade=h2c", true }, { ":status=200|te=trailers", true },
        { ":status=200|proxy-connection=close", true },
        /* 8.1.1, 8.1 */
        { ":status=200|content-length=1", true }, { ":status=200|content-length=x", false },
        { ":status=200|content-length=1|content-length=1", false },
        { ":status=103", true }, { ":status=103|content-length=5", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (read_response(cases[i].text, cases[i].end, (struct h2_asked){ 0 }) || !head.malformed)
            fail_msg("%s", cases[i].text);
}

static void responses_are_read(void **state)
{
    static const struct {
        const char *text;
        bool end;
        struct h2_asked asked;
        int status;
        enum body_kind body;
        bool has_length;
        uint64_t length;
    } cases[] = {
        { ":status=200|content-length=5", false, { 0 }, 200, BODY_LENGTH, true, 5 },
        { ":status=200", false, { 0 }, 200, BODY_UNTIL_CLOSE, false, 0 },
        { ":status=200", true, { 0 }, 200, BODY_NONE, false, 0 },
        { ":status=200|content-length=0", true, { 0 }, 200, BODY_NONE, true, 0 },
        { ":status=200|content-length=5", true, { .head = true }, 200, BODY_NONE, true, 5 },
        { ":status=304|content-length=5", true, { 0 }, 304, BODY_NONE, true, 5 },
        { ":status=204", true, { 0 }, 204, BODY_NONE, false, 0 },
        { ":status=103|link=x", false, { 0 }, 103, BODY_NONE, false, 0 },
        { ":status=100", false, { 0 }, 100, BODY_NONE, false, 0 },
        { ":status=200|content-length=5", false, { .connect = true }, 200, BODY_UNTIL_CLOSE, false, 0 },
        { ":status=403|content-length=5", false, { .connect = true }, 403, BODY_LENGTH, true, 5 },
        { ":status=200|host=x|expect=y|cookie=a|cookie=b", true, { 0 }, 200, BODY_NONE, false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (!read_response(cases[i].text, cases[i].end, cases[i].asked))
            fail_msg("%s: %s", cases[i].text, head.malformed ? head.malformed : head.why);
        assert_int_equal(response.status, cases[i].status);
        assert_int_equal(response.body, cases[i].body);
        assert_int_equal(response.has_length, cases[i].has_length);
        assert_int_equal(response.content_length, cases[i].length);
    }
    assert_int_equal(fields_count_id(&fields, FIELD_COOKIE), 2); /* crumbs are of requests */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(malformed_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(authorities_agree, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bodies_are_framed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(extended_connect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(priorities, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trailers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_responses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(responses_are_read, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
