/* SPDX-License-Identifier: BSD-2-Clause */
/* Request heads: what is read, and what is refused with which status (RFC 9112 2-6, 9; RFC 9110 5, 7, 8.6, 10.1.1).
 * Leniency here is request smuggling: each row is run through the scan, split at every byte, and then parsed. */
#include "base/mem.h"
#include "http/h1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal) { literal, sizeof(literal) - 1 }
#define LINE "GET / HTTP/1.1\r\n"
#define GET LINE "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define POST0 "POST / HTTP/1.0\r\nHost: a\r\n"
#define END "\r\n"

static const struct h1_limits limits = { .head_bytes = 1024, .fields = 10 };

static const struct row {
    str head;
    int status;       /* 0: accepted */
    const char *says; /* render() of what was understood; NULL when refused */
} rows[] = {
    /* -- request line (RFC 9112 3) -- */
    { TEXT(GET END), 0, "GET / 1.1 a none keep" },
    { TEXT("GET /a?b=c HTTP/1.1\r\nHost: a\r\n" END), 0, "GET /a?b=c 1.1 a none keep" },
    { TEXT("GET /x/../a%7e? HTTP/1.1\r\nHost: a\r\n" END), 0, "GET /a~? 1.1 a none keep" },
    { TEXT("get / HTTP/1.1\r\nHost: a\r\n" END), 0, "get / 1.1 a none keep" },        /* methods mind case (9110 9.1) */
    { TEXT("M-SEARCH / HTTP/1.1\r\nHost: a\r\n" END), 0, "M-SEARCH / 1.1 a none keep" }, /* any token */
    { TEXT("AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDD / HTTP/1.1\r\nHost: a\r\n" END), 0,
      "AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDD / 1.1 a none keep" },
    { TEXT("AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDDE / HTTP/1.1\r\nHost: a\r\n" END), 501, NULL }, /* 33 bytes (3) */
    { TEXT("GET  / HTTP/1.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET /  HTTP/1.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET / HTTP/1.1 \r\nHost: a\r\n" END), 400, NULL },
    { TEXT(" GET / HTTP/1.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET\t/ HTTP/1.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET /\tHTTP/1.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET /a b HTTP/1.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GE(T / HTTP/1.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("G\xc3\x84T / HTTP/1.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET /\r\nHost: a\r\n" END), 400, NULL }, /* HTTP/0.9 */
    { TEXT("GET / \r\nHost: a\r\n" END), 400, NULL },
    { TEXT("/ HTTP/1.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET HTTP/1.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("\r\n" GET END), 400, NULL }, /* the one empty line in front is the caller's to drop (2.2) */
    /* -- version (RFC 9112 2.3, RFC 9110 2.5) -- */
    { TEXT("GET / HTTP/1.0\r\nHost: a\r\n" END), 0, "GET / 1.0 a none close" },
    { TEXT("GET / HTTP/1.9\r\nHost: a\r\n" END), 0, "GET / 1.1 a none keep" },
    { TEXT("GET / HTTP/2.0\r\nHost: a\r\n" END), 505, NULL },
    { TEXT("GET / HTTP/0.9\r\nHost: a\r\n" END), 505, NULL },
    { TEXT("PRI * HTTP/2.0\r\n" END), 505, NULL },
    { TEXT("GET / http/1.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET / HTTP/1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET / HTTP/1.\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET / HTTP/1.1x\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET / HTTP/1.10\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET / HTTP/01.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET / HTTP/1,1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET / HTTP/\r\n" END), 400, NULL },
    { TEXT("GET / ICAP/1.0\r\nHost: a\r\n" END), 400, NULL },
    /* -- target forms (RFC 9112 3.2) -- */
    { TEXT("GET http://B.c:81/d?e HTTP/1.1\r\nHost: a\r\n" END), 0, "GET /d?e 1.1 b.c:81 none keep sent=B.c:81" },
    { TEXT("GET http://b HTTP/1.1\r\nHost: a\r\n" END), 0, "GET / 1.1 b none keep" },
    { TEXT("GET http://b: HTTP/1.1\r\nHost: a\r\n" END), 0, "GET / 1.1 b none keep" },
    { TEXT("GET http://b/ HTTP/1.0\r\n" END), 0, "GET / 1.0 b none close" },
    { TEXT("GET http://b/ HTTP/1.1\r\n" END), 400, NULL },               /* Host is wanted all the same (3.2) */
    { TEXT("GET http://b/ HTTP/1.1\r\nHost: a b\r\n" END), 400, NULL },  /* and to be valid */
    { TEXT("GET http://u@b/ HTTP/1.1\r\nHost: b\r\n" END), 400, NULL },
    { TEXT("GET http://b,c/ HTTP/1.1\r\nHost: b\r\n" END), 400, NULL },
    { TEXT("GET ftp://b/ HTTP/1.1\r\nHost: b\r\n" END), 400, NULL },
    { TEXT("GET a HTTP/1.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET /a#b HTTP/1.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("GET /%zz HTTP/1.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("OPTIONS * HTTP/1.1\r\nHost: a\r\n" END), 0, "OPTIONS * 1.1 a none keep" },
    { TEXT("OPTIONS http://b:80 HTTP/1.1\r\nHost: a\r\n" END), 0, "OPTIONS * 1.1 b:80 none keep" }, /* 3.2.4 */
    { TEXT("OPTIONS http://b/ HTTP/1.1\r\nHost: a\r\n" END), 0, "OPTIONS / 1.1 b none keep" },
    { TEXT("OPTIONS http://b? HTTP/1.1\r\nHost: a\r\n" END), 0, "OPTIONS /? 1.1 b none keep" },
    { TEXT("GET * HTTP/1.1\r\nHost: a\r\n" END), 400, NULL },
    { TEXT("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n" END), 501, NULL },
    /* -- Host (RFC 9112 3.2, RFC 9110 7.2) -- */
    { TEXT(LINE END), 400, NULL },
    { TEXT("GET / HTTP/1.0\r\n" END), 0, "GET / 1.0 - none close" },
    { TEXT(LINE "Host: A.Example.:8080\r\n" END), 0, "GET / 1.1 a.example:8080 none keep sent=A.Example.:8080" },
    { TEXT(LINE "hOsT:\ta \t\r\n" END), 0, "GET / 1.1 a none keep" },
    { TEXT(LINE "Host:a\r\n" END), 0, "GET / 1.1 a none keep" },
    { TEXT(LINE "Host: a:\r\n" END), 0, "GET / 1.1 a none keep" },
    { TEXT(LINE "Host: [::1]:80\r\n" END), 0, "GET / 1.1 [::1]:80 none keep" },
    { TEXT(GET "Host: a\r\n" END), 400, NULL },
    { TEXT(GET "host: b\r\n" END), 400, NULL },
    { TEXT("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n" END), 400, NULL },
    { TEXT(LINE "Host:\r\n" END), 400, NULL },
    { TEXT(LINE "Host: a, b\r\n" END), 400, NULL },
    { TEXT(LINE "Host: a/b\r\n" END), 400, NULL },
    { TEXT(LINE "Host: u@a\r\n" END), 400, NULL },
    { TEXT(LINE "Host: http://a\r\n" END), 400, NULL },
    { TEXT(LINE "Host: a:8x\r\n" END), 400, NULL },
    { TEXT(LINE "Host: a b\r\n" END), 400, NULL },
    /* -- field lines (RFC 9112 5) -- */
    { TEXT(GET "A:\r\n" END), 0, "GET / 1.1 a none keep A=" },
    { TEXT(GET "A: \t \r\n" END), 0, "GET / 1.1 a none keep A=" },
    { TEXT(GET "A: b  c\td \r\n" END), 0, "GET / 1.1 a none keep A=b  c\td" },
    { TEXT(GET "A: :\r\n" END), 0, "GET / 1.1 a none keep A=:" },
    { TEXT(GET "A: \xff\x80\r\n" END), 0, "GET / 1.1 a none keep A=\xff\x80" }, /* obs-text (9110 5.5) */
    { TEXT(GET "!#$%&'*+-.^_`|~: b\r\n" END), 0, "GET / 1.1 a none keep !#$%&'*+-.^_`|~=b" },
    { TEXT(GET "A : b\r\n" END), 400, NULL },         /* 5.1 */
    { TEXT(GET "A\t: b\r\n" END), 400, NULL },
    { TEXT(GET "A b: c\r\n" END), 400, NULL },
    { TEXT(GET "A: b\r\n c\r\n" END), 400, NULL },    /* 5.2 obs-fold */
    { TEXT(GET "A: b\r\n\tc\r\n" END), 400, NULL },
    { TEXT(GET "A: b\r\n \r\n" END), 400, NULL },
    { TEXT(LINE " Host: a\r\n" END), 400, NULL },     /* 2.2 */
    { TEXT(GET ": b\r\n" END), 400, NULL },
    { TEXT(GET "A\r\n" END), 400, NULL },
    { TEXT(GET "A b\r\n" END), 400, NULL },
    { TEXT(GET "A(: b\r\n" END), 400, NULL },
    { TEXT(GET "\xc3\xa4: b\r\n" END), 400, NULL },
    { TEXT(GET "A\0: b\r\n" END), 400, NULL },
    { TEXT(GET "A: b\0c\r\n" END), 400, NULL },
    { TEXT(GET "A: b\x01\r\n" END), 400, NULL },
    { TEXT(GET "A: b\x7f\r\n" END), 400, NULL },
    { TEXT(GET "A: b\x1b[0m\r\n" END), 400, NULL },
    /* -- line ends: CRLF and nothing else (RFC 9112 2.2) -- */
    { TEXT("GET / HTTP/1.1\nHost: a\n\n"), 400, NULL },
    { TEXT(LINE "Host: a\n" END), 400, NULL },
    { TEXT(GET "A: b\nC: d\r\n" END), 400, NULL },
    { TEXT(GET "A: b\rC: d\r\n" END), 400, NULL },
    { TEXT(GET "A: b\r\r\n" END), 400, NULL },
    { TEXT(GET "\rA: b\r\n" END), 400, NULL },
    { TEXT("GET / HTTP/1.1\rHost: a\r\n" END), 400, NULL },
    { TEXT(GET "\n"), 400, NULL },
    { TEXT(GET "\r\r\n"), 400, NULL },
    /* -- Content-Length (RFC 9110 8.6, RFC 9112 6.3) -- */
    { TEXT(POST END), 0, "POST / 1.1 a none keep" },
    { TEXT(POST "Content-Length: 0\r\n" END), 0, "POST / 1.1 a length=0 keep Content-Length=0" },
    { TEXT(POST "Content-Length: 007\r\n" END), 0, "POST / 1.1 a length=7 keep Content-Length=007" },
    { TEXT(GET "Content-Length: 3\r\n" END), 0, "GET / 1.1 a length=3 keep Content-Length=3" },
    { TEXT(POST "Content-Length: 18446744073709551615\r\n" END), 0,
      "POST / 1.1 a length=18446744073709551615 keep Content-Length=18446744073709551615" },
    { TEXT(POST "Content-Length: 18446744073709551616\r\n" END), 400, NULL }, /* 2^64 */
    { TEXT(POST "Content-Length:\r\n" END), 400, NULL },
    { TEXT(POST "Content-Length: +5\r\n" END), 400, NULL },
    { TEXT(POST "Content-Length: -5\r\n" END), 400, NULL },
    { TEXT(POST "Content-Length: 0x5\r\n" END), 400, NULL },
    { TEXT(POST "Content-Length: 5a\r\n" END), 400, NULL },
    { TEXT(POST "Content-Length: 5 5\r\n" END), 400, NULL },
    { TEXT(POST "Content-Length: 5.0\r\n" END), 400, NULL },
    { TEXT(POST "Content-Length: \"5\"\r\n" END), 400, NULL },
    { TEXT(POST "Content-Length: 5, 5\r\n" END), 400, NULL },
    { TEXT(POST "Content-Length: 5,\r\n" END), 400, NULL },
    { TEXT(POST "Content-Length: 5\r\nContent-Length: 5\r\n" END), 400, NULL },
    { TEXT(POST "Content-Length: 5\r\ncontent-length: 6\r\n" END), 400, NULL },
    { TEXT(POST0 "Content-Length: 5\r\n" END), 0, "POST / 1.0 a length=5 close Content-Length=5" },
    /* -- Transfer-Encoding (RFC 9112 6.1, 7) -- */
    { TEXT(POST "Transfer-Encoding: chunked\r\n" END), 0, "POST / 1.1 a chunked keep Transfer-Encoding=chunked" },
    { TEXT(POST "transfer-ENCODING: CHUNKED\r\n" END), 0, "POST / 1.1 a chunked keep transfer-ENCODING=CHUNKED" },
    { TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n" END), 400, NULL },
    { TEXT(POST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n" END), 400, NULL },
    { TEXT(POST "Content-Length: 4\r\nTransfer-Encoding: identity\r\n" END), 400, NULL },
    { TEXT(POST0 "Transfer-Encoding: chunked\r\n" END), 400, NULL },
    { TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END), 400, NULL },
    { TEXT(POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n" END), 400, NULL },
    { TEXT(POST "Transfer-Encoding: chunked, chunked\r\n" END), 400, NULL },
    { TEXT(POST "Transfer-Encoding: chunked, gzip\r\n" END), 400, NULL },
    { TEXT(POST "Transfer-Encoding: chunked, identity\r\n" END), 400, NULL },
    { TEXT(POST "Transfer-Encoding: gzip, chunked\r\n" END), 501, NULL },
    { TEXT(POST "Transfer-Encoding: gzip\r\n" END), 501, NULL },
    { TEXT(POST "Transfer-Encoding: identity\r\n" END), 501, NULL },
    { TEXT(POST "Transfer-Encoding: cow\r\n" END), 501, NULL },
    { TEXT(POST "Transfer-Encoding:\r\n" END), 400, NULL },
    { TEXT(POST "Transfer-Encoding: ,\r\n" END), 400, NULL },
    { TEXT(POST "Transfer-Encoding: ,chunked\r\n" END), 400, NULL },
    { TEXT(POST "Transfer-Encoding: chunked,\r\n" END), 400, NULL },
    { TEXT(POST "Transfer-Encoding: xchunked\r\n" END), 501, NULL },
    { TEXT(POST "Transfer-Encoding: chunkedx\r\n" END), 501, NULL },
    { TEXT(POST "Transfer-Encoding: chunked;q=1\r\n" END), 400, NULL },
    { TEXT(POST "Transfer-Encoding: \"chunked\"\r\n" END), 400, NULL },
    { TEXT(POST "Transfer-Encoding: chun ked\r\n" END), 400, NULL },
    { TEXT(POST "Transfer-Encoding : chunked\r\n" END), 400, NULL },
    { TEXT(POST "Transfer-Encoding: \x0b" "chunked\r\n" END), 400, NULL },
    { TEXT(POST "Transfer_Encoding: chunked\r\n" END), 0, "POST / 1.1 a none keep Transfer_Encoding=chunked" },
    /* -- Connection (RFC 9112 9.3) -- */
    { TEXT(GET "Connection: close\r\n" END), 0, "GET / 1.1 a none close Connection=close" },
    { TEXT(GET "Connection: x, CLOSE\r\n" END), 0, "GET / 1.1 a none close Connection=x, CLOSE" },
    { TEXT(GET "Connection: keep-alive\r\n" END), 0, "GET / 1.1 a none keep Connection=keep-alive" },
    { TEXT(GET "Connection: keep-alive, close\r\n" END), 0, "GET / 1.1 a none close Connection=keep-alive, close" },
    { TEXT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n" END), 0, "GET / 1.0 - none keep Connection=Keep-Alive" },
    { TEXT("GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n" END), 0,
      "GET / 1.0 - none close Connection=close, keep-alive" },
    { TEXT(GET "Connection: TE, keep-alive, Transfer-Encoding, x\r\n" END), 0,
      "GET / 1.1 a none keep Connection=TE, keep-alive, Transfer-Encoding, x" },
    { TEXT(GET "Connection: close, Host\r\n" END), 400, NULL }, /* RFC 9110 7.6.1: meant for all recipients */
    { TEXT(GET "Connection: x\r\nConnection: content-length\r\n" END), 400, NULL },
    { TEXT(GET "Connection: X-Forwarded-For\r\n" END), 400, NULL },
    /* -- Expect (RFC 9110 10.1.1) -- */
    { TEXT(POST "Content-Length: 1\r\nExpect: 100-Continue\r\n" END), 0,
      "POST / 1.1 a length=1 keep continue Content-Length=1 Expect=100-Continue" },
    { TEXT(POST "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n" END), 0,
      "POST / 1.1 a chunked keep continue Transfer-Encoding=chunked Expect=100-continue" },
    /* nothing to wait for */
    { TEXT(GET "Expect: 100-continue\r\n" END), 0, "GET / 1.1 a none keep Expect=100-continue" },
    { TEXT(POST "Content-Length: 0\r\nExpect: 100-continue\r\n" END), 0,
      "POST / 1.1 a length=0 keep Content-Length=0 Expect=100-continue" },
    { TEXT(POST0 "Content-Length: 1\r\nExpect: 100-continue\r\n" END), 0,
      "POST / 1.0 a length=1 close Content-Length=1 Expect=100-continue" },
    { TEXT(POST "Expect: 200-ok\r\n" END), 417, NULL },
    { TEXT(POST "Expect: 100-continue, other\r\n" END), 417, NULL },
    { TEXT(POST "Expect: 100-continue;x\r\n" END), 417, NULL },
    { TEXT(POST "Expect: 100-continue\r\nExpect: other\r\n" END), 417, NULL },
    /* -- Upgrade (RFC 9110 7.8) -- */
    { TEXT(GET "Upgrade: websocket\r\nConnection: Upgrade\r\n" END), 0,
      "GET / 1.1 a none keep upgrade=websocket Upgrade=websocket Connection=Upgrade" },
    { TEXT(GET "Connection: keep-alive, upgrade\r\nUpgrade: h2c\r\n" END), 0,
      "GET / 1.1 a none keep upgrade=h2c Connection=keep-alive, upgrade Upgrade=h2c" },
    { TEXT(GET "Upgrade: websocket\r\n" END), 0, "GET / 1.1 a none keep Upgrade=websocket" },
    { TEXT(GET "Connection: upgrade\r\n" END), 0, "GET / 1.1 a none keep Connection=upgrade" },
    { TEXT("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" END), 0,
      "GET / 1.0 - none close Connection=upgrade Upgrade=websocket" },
    /* -- limits -- */
    { TEXT(GET "1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n7:\r\n8:\r\n9:\r\n" END), 0,
      "GET / 1.1 a none keep 1= 2= 3= 4= 5= 6= 7= 8= 9=" },
    { TEXT(GET "1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n7:\r\n8:\r\n9:\r\n10:\r\n" END), 431, NULL },
};

static const char *render(const struct h1_request *request, const struct fields *fields)
{
    static char text[2048];
    static const char *const kinds[] = { "none", "length", "chunked", "close" };
    size_t n = 0;

#define ADD(...) n += (size_t)snprintf(text + n, sizeof text - n, __VA_ARGS__)
    ADD(STR_FMT " " STR_FMT, STR_ARG(request->method), STR_ARG(request->uri.path));
    if (request->uri.has_query)
        ADD("?" STR_FMT, STR_ARG(request->uri.query));
    ADD(" 1.%d " STR_FMT, request->minor, STR_ARG(request->host.n ? request->host : S("-")));
    if (request->host_port)
        ADD(":%d", request->host_port);
    ADD(" %s", kinds[request->body]);
    if (request->body == BODY_LENGTH)
        ADD("=%llu", (unsigned long long)request->content_length);
    ADD(" %s", request->keep_alive ? "keep" : "close");
    if (request->expects_continue)
        ADD(" continue");
    if (request->upgrade.n)
        ADD(" upgrade=" STR_FMT, STR_ARG(request->upgrade));
    if (!str_equal(request->host_field, str_upto(str_of(strstr(text, " 1.") + 5), request->host_field.n)))
        ADD(" sent=" STR_FMT, STR_ARG(request->host_field));
    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id != FIELD_HOST)
            ADD(" " STR_FMT "=" STR_FMT, STR_ARG(fields->items[i].name), STR_ARG(fields->items[i].value));
    }
#undef ADD
    return text;
}

/* Scans the first `first` bytes, then all, then one byte more at a time; returns the status, 0 when the head was found.
 * */
static int scan_split(str text, size_t first, size_t step, size_t *head_bytes, struct h1_error *error)
{
    struct h1_scan scan = { 0 };
    size_t n = first;

    for (;;) {
        switch (h1_scan(&scan, text.p, n, &limits, head_bytes, error)) {
        case H1_DONE:
            return 0;
        case H1_BAD:
            return error->status;
        case H1_MORE:
            if (n == text.n)
                return -1;
            n = n + step < text.n ? n + step : text.n;
        }
    }
}

static int scan_every_way(str text, size_t *head_bytes)
{
    struct h1_error whole = { 0 }, split = { 0 };
    int status = scan_split(text, text.n, 1, head_bytes, &whole);

    for (size_t first = 0; first <= text.n; first++) {
        size_t found = *head_bytes;

        assert_int_equal(scan_split(text, first, text.n, &found, &split), status);
        assert_int_equal(found, *head_bytes);
    }
    assert_int_equal(scan_split(text, 0, 1, head_bytes, &split), status);
    assert_ptr_equal(whole.why, split.why);
    return status;
}

/* As a connection does it; from a copy of exact size, so that a read too far is seen. */
static void check(const struct row *row)
{
    struct arena *arena = arena_create(4096, 0);
    str text = { arena_dup(arena, row->head.p, row->head.n), row->head.n };
    struct h1_error error = { 0 };
    struct h1_request request;
    struct fields fields;
    size_t head_bytes = 0;
    int status = scan_every_way(text, &head_bytes);

    if (status == 0) {
        assert_int_equal(head_bytes, text.n);
        fields_init(&fields, arena);
        if (h1_parse_request(text, &limits, arena, &fields, &request, &error) == H1_BAD)
            status = error.status;
    } else if (status != -1) {
        /* the parser alone refuses it too: it does not lean on the scan */
        fields_init(&fields, arena);
        assert_int_equal(h1_parse_request(text, &limits, arena, &fields, &request, &error), H1_BAD);
        assert_int_equal(error.status, 400);
    }
    if (status != row->status)
        fail_msg("row %zu: %d (%s) in place of %d: " STR_FMT, (size_t)(row - rows), status,
                 error.why ? error.why : "scan", row->status, STR_ARG(row->head));
    if (status == 0 && strcmp(render(&request, &fields), row->says) != 0)
        fail_msg("row %zu: \"%s\" is not \"%s\"", (size_t)(row - rows), render(&request, &fields), row->says);
    arena_destroy(arena);
}

static void heads_are_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check(&rows[i]);
}

/* Every accepted row again, with the first, second, ... allocation failing: refused with 500 or read as before. */
static void without_memory_the_answer_is_500(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool is_read = rows[i].status != 0;

        for (int64_t n = 0; !is_read; n++) {
            struct arena *arena = arena_create(0, 0);
            struct h1_request request;
            struct h1_error error = { 0 };
            struct fields fields;

            assert_true(n < 20);
            fields_init(&fields, arena);
            mem_fail_after(n);
            is_read = h1_parse_request(rows[i].head, &limits, arena, &fields, &request, &error) == H1_DONE;
            mem_fail_after(-1);
            if (is_read)
                assert_string_equal(render(&request, &fields), rows[i].says);
            else
                assert_int_equal(error.status, 500);
            arena_destroy(arena);
        }
    }
}

static void the_head_ends_where_the_empty_line_does(void **state)
{
    static const str text = TEXT(GET END "body\n\0\r\r");
    struct h1_error error;
    struct h1_scan scan = { 0 };
    size_t head_bytes = 0;

    (void)state;
    assert_int_equal(h1_scan(&scan, text.p, text.n, &limits, &head_bytes, &error), H1_DONE);
    assert_int_equal(head_bytes, sizeof(GET END) - 1);
}

/* An error is told before the head is whole: nobody has to be waited for. */
static void bad_bytes_are_refused_at_once(void **state)
{
    static const str texts[] = {
        TEXT("\n"), TEXT("\r\n"), TEXT("G\0"), TEXT("GET / HTTP/1.1\n"), TEXT("GET / HTTP/1.1\rH"), TEXT(GET "A: b\n"),
        TEXT(GET "\rA"), TEXT("\x16\x03\x01\x02"), /* a TLS hello on a plain port */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        size_t head_bytes = 0;

        assert_int_equal(scan_every_way(texts[i], &head_bytes), 400);
    }
}

static int status_of_long_head(size_t line, size_t field)
{
    static char text[4096];
    size_t n = 0, head_bytes = 0;

    text[n++] = '/';
    memset(text + n, 'a', line);
    n += line;
    memcpy(text + n, "\r\nA:", 4);
    n += 4;
    memset(text + n, 'b', field);
    n += field;
    memcpy(text + n, "\r\n\r\nmore", 8);
    return scan_every_way((str){ text, n + 8 }, &head_bytes);
}

/* RFC 9112 3: 414 for a target too long; RFC 6585 5: 431 for fields too large. */
static void long_heads_are_refused(void **state)
{
    (void)state;
    assert_int_equal(status_of_long_head(1024 - 9, 0), 0);
    assert_int_equal(status_of_long_head(1024 - 8, 0), 431);
    assert_int_equal(status_of_long_head(1021, 0), 431);
    assert_int_equal(status_of_long_head(1022, 0), 414);
    assert_int_equal(status_of_long_head(2000, 0), 414);
    assert_int_equal(status_of_long_head(100, 1024 - 109), 0);
    assert_int_equal(status_of_long_head(100, 1024 - 108), 431);
    assert_int_equal(status_of_long_head(0, 2000), 431);
}

/* RFC 9112 2.2: one empty line in front of a request is passed over. */
static void one_empty_line_is_skipped(void **state)
{
    bool need_more;

    (void)state;
    assert_int_equal(h1_skip_empty_line("\r\nGET", 5, &need_more), 2);
    assert_false(need_more);
    assert_int_equal(h1_skip_empty_line("\r\n", 2, &need_more), 2);
    assert_false(need_more);
    assert_int_equal(h1_skip_empty_line("\r", 1, &need_more), 0);
    assert_true(need_more);
    assert_int_equal(h1_skip_empty_line("\rG", 2, &need_more), 0);
    assert_false(need_more);
    assert_int_equal(h1_skip_empty_line("\n", 1, &need_more), 0);
    assert_false(need_more);
    assert_int_equal(h1_skip_empty_line("GET", 3, &need_more), 0);
    assert_false(need_more);
    assert_int_equal(h1_skip_empty_line("", 0, &need_more), 0);
    assert_false(need_more);
}

/* RFC 9112 3.2.2: what is sent on says what the absolute form said. */
static void an_absolute_form_replaces_host(void **state)
{
    static const str heads[] = {
        TEXT("GET http://b:81/ HTTP/1.1\r\nA: 1\r\nHost: a\r\n" END),
        TEXT("GET http://b:81/ HTTP/1.0\r\nA: 1\r\n" END),
    };

    (void)state;
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct arena *arena = arena_create(4096, 0);
        struct h1_request request;
        struct h1_error error;
        struct fields fields;

        fields_init(&fields, arena);
        assert_int_equal(h1_parse_request(heads[i], &limits, arena, &fields, &request, &error), H1_DONE);
        assert_int_equal(fields.count, 2);
        assert_int_equal(fields.items[1].id, FIELD_HOST);
        assert_true(str_equal(fields.items[1].value, S("b:81")));
        arena_destroy(arena);
    }
}

static void names_have_at_most_256_bytes(void **state)
{
    char text[512] = GET;
    const size_t start = sizeof(GET) - 1;

    (void)state;
    for (size_t n = 255; n <= 257; n++) {
        struct arena *arena = arena_create(4096, 0);
        struct h1_request request;
        struct h1_error error;
        struct fields fields;

        memset(text + start, 'n', n);
        memcpy(text + start + n, ":\r\n\r\n", 5);
        fields_init(&fields, arena);
        assert_int_equal(h1_parse_request((str){ text, start + n + 5 }, &limits, arena, &fields, &request, &error),
                         n <= 256 ? H1_DONE : H1_BAD);
        arena_destroy(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_read_or_refused),
        cmocka_unit_test(without_memory_the_answer_is_500),
        cmocka_unit_test(the_head_ends_where_the_empty_line_does),
        cmocka_unit_test(bad_bytes_are_refused_at_once),
        cmocka_unit_test(long_heads_are_refused),
        cmocka_unit_test(one_empty_line_is_skipped),
        cmocka_unit_test(an_absolute_form_replaces_host),
        cmocka_unit_test(names_have_at_most_256_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
