# SPDX-License-Identifier: BSD-2-Clause
"""Responses by the letter of RFC 9110 and 9112: what an origin sends wrongly becomes 502 with its reason in the log, or
a body that is visibly cut; never a client's misunderstanding."""

import pytest

from lib.daemon import serving
from lib.message import Closed
from lib.patience import eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def head(*lines, first=b"HTTP/1.1 200 OK"):
    return b"\r\n".join([first, *lines]) + b"\r\n\r\n"


def interim(*lines, status=b"103 X"):
    return head(*lines, first=b"HTTP/1.1 " + status) + OK


CHUNKED = b"Transfer-Encoding: chunked"
BAD = [
    # status line (RFC 9112 4, RFC 9110 15)
    ("no HTTP", b"hello\r\n\r\n", "malformed status line"),
    ("HTTP/0.9", b"<html>hello</html>\r\n\r\n", "malformed status line"),
    ("a request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "malformed status line"),
    ("HTTP/2", head(first=b"HTTP/2 200 OK"), "malformed status line"),
    ("lower case", head(first=b"http/1.1 200 OK"), "malformed status line"),
    ("two spaces", head(first=b"HTTP/1.1  200 OK"), "malformed status line"),
    ("two digits", head(first=b"HTTP/1.1 20 OK"), "malformed status line"),
    ("four digits", head(first=b"HTTP/1.1 2000 OK"), "malformed status line"),
    ("99", head(first=b"HTTP/1.1 099 OK"), "status code outside"),
    ("600", head(first=b"HTTP/1.1 600 OK"), "status code outside"),
    ("NUL in the reason", head(first=b"HTTP/1.1 200 O\x00K"), "NUL in the head"),
    ("bare CR in the reason", head(first=b"HTTP/1.1 200 O\rK"), "bare CR in the head"),
    ("bare LF behind it", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "bare LF in the head"),
    ("empty line in front", b"\r\n" + OK, "empty line where a message should begin"),
    # fields (RFC 9112 5, RFC 9110 5.5)
    ("folded", head(b"X-A: a", b" b"), "folded header field"),
    ("space before the colon", head(b"X-A : b"), "white space before the colon"),
    ("no colon", head(b"X-A"), "without a colon"),
    ("no name", head(b": b"), "without a name"),
    ("bad name", head(b"X(A): b"), "invalid character in a header field name"),
    ("NUL", head(b"X-A: a\x00b"), "NUL in the head"),
    ("DEL", head(b"X-A: a\x7fb"), "control character in the head"),
    ("bare CR", head(b"X-A: a\rSet-Cookie: b"), "bare CR in the head"),
    ("bare LF", head(b"X-A: a\nSet-Cookie: b"), "bare LF in the head"),
    ("500 fields", head(*[b"X-A: b"] * 501), "too many header fields"),
    ("64 KB", head(b"X-A: " + b"a" * 66000), "head of more than 64 KB"),
    # framing (RFC 9112 6)
    ("length and chunked", head(b"Content-Length: 2", CHUNKED) + b"ok", "both Transfer-Encoding and Content-Length"),
    ("chunked and length", head(CHUNKED, b"Content-Length: 2") + b"ok", "both Transfer-Encoding and Content-Length"),
    ("two lengths", head(b"Content-Length: 2", b"Content-Length: 3") + b"ok", "several Content-Length"),
    ("equal lengths", head(b"Content-Length: 2", b"Content-Length: 2") + b"ok", "several Content-Length"),
    ("list of lengths", head(b"Content-Length: 2, 2") + b"ok", "Content-Length is no number"),
    ("signed length", head(b"Content-Length: +2") + b"ok", "Content-Length is no number"),
    ("length in hex", head(b"Content-Length: 0x2") + b"ok", "Content-Length is no number"),
    ("empty length", head(b"Content-Length:") + b"ok", "Content-Length is no number"),
    ("length over 64 bits", head(b"Content-Length: 18446744073709551616"), "Content-Length is no number"),
    ("gzip", head(b"Transfer-Encoding: gzip, chunked"), "transfer coding other than chunked"),
    ("gzip to the end", head(b"Transfer-Encoding: gzip"), "transfer coding other than chunked"),
    ("chunked twice", head(b"Transfer-Encoding: chunked, chunked"), "chunked is not the one final"),
    ("chunked not last", head(b"Transfer-Encoding: chunked, gzip"), "chunked is not the one final"),
    ("two codings fields", head(CHUNKED, CHUNKED), "several Transfer-Encoding"),
    ("chunked with a tab", head(b"Transfer-Encoding: chunked\x0b"), "control character in the head"),
    ("chunked in 1.0", head(CHUNKED, first=b"HTTP/1.0 200 OK"), "Transfer-Encoding in HTTP/1.0"),
    # interim (RFC 9110 15.2, 8.6, RFC 9112 6.1)
    ("interim with a length", interim(b"Content-Length: 5"), "interim response that announces content"),
    ("interim that is chunked", interim(CHUNKED), "interim response that announces content"),
    ("100 with a length", interim(b"Content-Length: 5", status=b"100 Continue"), "announces content"),
    ("17 interim", head(first=b"HTTP/1.1 103 X") * 17 + OK, "too many interim responses"),
    ("101", head(b"Connection: Upgrade", b"Upgrade: websocket", first=b"HTTP/1.1 101 X"), "that nobody asked for"),
    ("101 of HTTP/2", head(b"Connection: Upgrade", b"Upgrade: h2c", first=b"HTTP/1.1 101 X"), "that nobody asked for"),
]


@pytest.mark.parametrize("sent, why", [pytest.param(sent, why, id=name) for name, sent, why in BAD])
def test_refused(stage, sent, why):
    """RFC 9112 6.3: 502, the origin's connection ends, the client's goes on."""
    client = stage.client()
    client.send(GET)
    connection = stage.origin.take()
    connection.request()
    connection.send(sent)
    response = client.head()
    while 100 <= response.status < 200:
        response = client.head()
    assert client.body(response).status == 502
    assert b"hello" not in response.body and not response.has("Set-Cookie") and not response.has("X-A")
    eventually(lambda: why in stage.weir.log(), "the reason in the log")
    try:
        assert connection.is_closed()
    except Closed:
        pass
    _, response = stage.exchange(client, GET, OK)
    assert response.body == b"ok"


CUT = [
    ("length too long", head(b"Content-Length: 5") + b"abc", "closed in the middle of a body"),
    ("chunk cut", head(CHUNKED) + b"5\r\nabc", "closed in the middle of a body"),
    ("no last chunk", head(CHUNKED) + b"3\r\nabc\r\n", "closed in the middle of a body"),
    ("no end of trailers", head(CHUNKED) + b"3\r\nabc\r\n0\r\nX-A: b\r\n", "closed in the middle of a body"),
    ("chunk size that is none", head(CHUNKED) + b"3\r\nabc\r\nx\r\n", "chunk size is no hexadecimal number"),
    ("empty chunk size", head(CHUNKED) + b"3\r\nabc\r\n\r\n", "chunk size is no hexadecimal number"),
    ("size over 64 bits", head(CHUNKED) + b"3\r\nabc\r\n11111111111111111\r\n", "chunk size of more than 16 digits"),
    ("chunk longer than its size", head(CHUNKED) + b"3\r\nabcd\r\n0\r\n\r\n", "chunk data not followed by CRLF"),
    ("bare LF", head(CHUNKED) + b"3\nabc\n0\n\n", "bare LF behind a chunk size"),
    ("bare CR in an extension", head(CHUNKED) + b"3\r\nabc\r\n3;a\rb\r\nabc\r\n", "bare CR behind a chunk size"),
    ("endless extension", head(CHUNKED) + b"3\r\nabc\r\n3;" + b"a" * 5000 + b"\r\nabc\r\n0\r\n\r\n",
     "chunk extensions"),
    ("malformed trailer", head(CHUNKED) + b"3\r\nabc\r\n0\r\nX A: b\r\n\r\n", "white space before the colon"),
    ("folded trailer", head(CHUNKED) + b"3\r\nabc\r\n0\r\nX-A: b\r\n c\r\n\r\n", "folded header field"),
]


@pytest.mark.parametrize("sent, why", [pytest.param(sent, why, id=name) for name, sent, why in CUT])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_body_that_lies_is_cut_visibly(stage, sent, why, version):
    """RFC 9112 8: what is incomplete never looks complete: no last chunk, a length not met, or a reset."""
    client = stage.client()
    client.send(GET.replace(b"1.1", version.encode()))
    connection = stage.origin.take()
    connection.request()
    connection.send(sent)
    connection.half_close()
    with pytest.raises(Closed):
        response = client.response()
        assert response.status == 502
        raise Closed  # refused before anything of it was passed on
    eventually(lambda: why in stage.weir.log(), "the reason in the log")


TRAILING = [
    ("behind a length", "GET", OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"ok"),
    ("behind the last chunk", "GET", head(CHUNKED) + b"2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\nevil", b"ok"),
    ("behind a 204", "GET", head(first=b"HTTP/1.1 204 X") + OK.replace(b"ok", b"no"), b""),
    ("204 with a length", "GET", head(b"Content-Length: 4", first=b"HTTP/1.1 204 X") + b"evil", b""),
    ("204 that is chunked", "GET", head(CHUNKED, first=b"HTTP/1.1 204 X") + b"4\r\nevil\r\n0\r\n\r\n", b""),
    ("behind a 304", "GET", head(b"Content-Length: 4", first=b"HTTP/1.1 304 X") + b"evil", b""),
    ("304 that is chunked", "GET", head(CHUNKED, first=b"HTTP/1.1 304 X") + b"4\r\nevil\r\n0\r\n\r\n", b""),
    ("behind an answer to HEAD", "HEAD", head(b"Content-Length: 4") + b"evil", b""),
    ("chunks to HEAD", "HEAD", head(CHUNKED) + b"4\r\nevil\r\n0\r\n\r\n", b""),
    ("a CRLF too many", "GET", OK + b"\r\n", b"ok"),
]


@pytest.mark.parametrize("method, sent, body", [pytest.param(*row[1:], id=row[0]) for row in TRAILING])
def test_what_comes_behind_a_response_is_nobodys(stage, method, sent, body):
    """RFC 9112 6.3, 9.2: the client gets the response, and the connection is not used again."""
    client = stage.client()
    client.send(f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    connection = stage.origin.take()
    connection.request()
    connection.send(sent)
    response = client.response(to=method)
    assert response.status in (200, 204, 304) and response.body == body
    assert response.has("Transfer-Encoding") == (sent.startswith(head(CHUNKED)) and method == "GET")
    try:
        assert connection.is_closed()
    except Closed:
        pass
    before = stage.origin.accepted
    _, response = stage.exchange(client, GET, OK)
    assert response.body == b"ok" and stage.origin.accepted == before + 1


@pytest.mark.parametrize("sent", [OK, b"x", b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"])
def test_what_comes_without_a_request_ends_the_connection(stage, sent):
    """RFC 9112 9.2: an idle connection has nothing to say; what it says answers nobody's next request."""
    client = stage.client()
    client.send(GET)
    connection = stage.origin.take()
    connection.request()
    connection.send(OK)
    assert client.response().body == b"ok"
    connection.send(sent)
    try:
        assert connection.is_closed()
    except Closed:
        pass
    _, response = stage.exchange(client, GET, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")
    assert response.body == b"new"


def test_an_early_answer_spoils_the_connection(stage):
    """RFC 9112 9.3: as long as the request is not whole the next one cannot begin on it."""
    client = stage.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
    connection = stage.origin.take()
    connection.head()
    assert connection.exactly(3) == b"abc"
    connection.send(OK)
    assert client.response().body == b"ok"
    client.send(b"x" * 97 + GET)
    before = stage.origin.accepted
    other = stage.origin.take()
    assert other.request().method == "GET" and stage.origin.accepted == before + 1
    other.send(OK)
    assert client.response().body == b"ok"


@pytest.mark.parametrize("status, lines, gone", [
    (b"204 X", [b"Content-Length: 0"], "Content-Length"), (b"204 X", [CHUNKED], "Transfer-Encoding"),
    (b"304 X", [CHUNKED], "Transfer-Encoding"),
    (b"200 OK", [b"Keep-Alive: timeout=9", b"Content-Length: 0"], "Keep-Alive"),
])
def test_fields_that_may_not_stand_there_go(stage, status, lines, gone):
    """RFC 9110 8.6, RFC 9112 6.1."""
    _, response = stage.exchange(stage.client(), GET, head(*lines, first=b"HTTP/1.1 " + status))
    assert not response.has(gone)


def test_interim_answers_have_no_length(stage):
    """RFC 9110 8.6."""
    _, response = stage.exchange(stage.client(), GET, interim(b"Content-Length: 0", b"Link: </a>"))
    assert response.status == 103 and response.has("Link") and not response.has("Content-Length")


def test_sixteen_interim_answers_pass(stage):
    client = stage.client()
    client.send(GET)
    connection = stage.origin.take()
    connection.request()
    connection.send(head(first=b"HTTP/1.1 102 Processing") * 16 + OK)
    assert [client.head().status for _ in range(16)] == [102] * 16
    assert client.response().body == b"ok"


@pytest.mark.parametrize("status, length", [(200, 1000), (304, 1000)])
def test_lengths_without_content_stay(stage, status, length):
    """RFC 9110 8.6: to HEAD and in a 304 it is that of the GET."""
    method = "HEAD" if status == 200 else "GET"
    _, response = stage.exchange(stage.client(), f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
                                 head(f"Content-Length: {length}".encode(), first=f"HTTP/1.1 {status} X".encode()))
    assert response.get("Content-Length") == str(length)


SPLITS = ["%0d%0aSet-Cookie:%20evil=1", "%0aSet-Cookie:evil=1", "%0d", "%00", "a%0d%0a%0d%0aHTTP/1.1%20200%20OK",
          "%C4%8D%C4%8A"]


@pytest.fixture(scope="module")
def templates():
    text = """workers 1;
              site _ { response_header set X-Said $arg_x; response_header add X-Path $path;
                       route /to/ { redirect 302 /new$uri; } route /arg/ { redirect 302 $arg_x; }
                       route / { respond 200 $arg_x; } }"""
    with serving(text, modules=["headers"]) as weir:
        yield weir


@pytest.mark.parametrize("route", ["/to/", "/arg/", "/"])
@pytest.mark.parametrize("split", SPLITS)
def test_responses_cannot_be_split(templates, route, split):
    """RFC 9110 5.5, 17.13: whatever stands in a request, no field of ours grows a second line."""
    client = templates.connect()
    for target in (f"{route}{split}?x={split}", f"{route}?x={split}"):
        response = client.get(target)
        assert response.status in (200, 302, 400, 503) and not response.has("Set-Cookie")
        assert not any(char in value for _, value in response.fields for char in "\r\n\0")
        if response.get("Connection") == "close":
            client = templates.connect()
