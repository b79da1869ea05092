# SPDX-License-Identifier: BSD-2-Clause
"""What two parsers could read differently is refused, the connection ends, and the origin sees nothing of it."""

import pytest

from lib.client import Client
from lib.daemon import serving
from lib.message import Closed
from lib.origin import AnsweringOrigin
from lib.patience import PATIENCE


@pytest.fixture(scope="module")
def world():
    origin = AnsweringOrigin()
    try:
        with serving(f"workers 1; timeout header=120s body=120s idle=120s;\nsite _ {{ proxy {origin.url}; }}") as weir:
            weir.origin = origin
            yield weir
    finally:
        origin.stop()


def head(*lines, first=b"GET / HTTP/1.1", host=b"Host: a"):
    return b"\r\n".join([first, *([host] if host else []), *lines]) + b"\r\n\r\n"


def post(*lines, body=b""):
    return head(*lines, first=b"POST / HTTP/1.1") + body


CHUNKED = b"Transfer-Encoding: chunked"
BAD = [
    # request line (RFC 9112 3)
    ("no version", b"GET /\r\n\r\n", 400),
    ("no target", b"GET HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("two spaces", head(first=b"GET  / HTTP/1.1"), 400),
    ("tab for space", head(first=b"GET\t/ HTTP/1.1"), 400),
    ("space behind the version", head(first=b"GET / HTTP/1.1 "), 400),
    ("space before the method", head(first=b" GET / HTTP/1.1"), 400),
    ("space in the target", head(first=b"GET /a b HTTP/1.1"), 400),
    ("method that is no token", head(first=b"G(T / HTTP/1.1"), 400),
    ("lower case version", head(first=b"GET / http/1.1"), 400),
    ("version without a dot", head(first=b"GET / HTTP/11"), 400),
    ("version of two digits", head(first=b"GET / HTTP/1.10"), 400),
    ("version 2.0", head(first=b"GET / HTTP/2.0"), 505),
    ("version 0.9", head(first=b"GET / HTTP/0.9"), 505),
    ("TLS to a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, 400),
    ("CONNECT", head(first=b"CONNECT a:443 HTTP/1.1"), 501),
    ("method of 40 bytes", head(first=b"M" * 40 + b" / HTTP/1.1"), 501),
    # targets (RFC 9112 3.2, RFC 3986)
    ("asterisk without OPTIONS", head(first=b"GET * HTTP/1.1"), 400),
    ("target without a slash", head(first=b"GET foo HTTP/1.1"), 400),
    ("fragment", head(first=b"GET /a#b HTTP/1.1"), 400),
    ("broken escape", head(first=b"GET /a%2 HTTP/1.1"), 400),
    ("escape that is none", head(first=b"GET /a%zz HTTP/1.1"), 400),
    ("control byte", head(first=b"GET /a\x01b HTTP/1.1"), 400),
    ("user in the authority", head(first=b"GET http://user@a/ HTTP/1.1"), 400),
    ("other scheme", head(first=b"GET ftp://a/ HTTP/1.1"), 400),
    ("empty authority", head(first=b"GET http:///a HTTP/1.1"), 400),
    # Host (RFC 9112 3.2, RFC 9110 7.2)
    ("no Host", head(host=None), 400),
    ("two Hosts", head(b"Host: b"), 400),
    ("two equal Hosts", head(b"Host: a"), 400),
    ("empty Host", head(host=b"Host:"), 400),
    ("Host with a path", head(host=b"Host: a/b"), 400),
    ("Host with a user", head(host=b"Host: u@a"), 400),
    ("Host with a space", head(host=b"Host: a b"), 400),
    ("Host with a comma", head(host=b"Host: a,b"), 400),
    ("Host with a bad port", head(host=b"Host: a:x"), 400),
    ("Host with a large port", head(host=b"Host: a:65536"), 400),
    ("Host with half an address", head(host=b"Host: [::1"), 400),
    # fields (RFC 9112 5, RFC 9110 5)
    ("no colon", head(b"X-A"), 400),
    ("space before the colon", head(b"X-A : b"), 400),
    ("tab before the colon", head(b"X-A\t: b"), 400),
    ("no name", head(b": b"), 400),
    ("name with a space", head(b"X A: b"), 400),
    ("name with an umlaut", head(b"X-\xc3\xa4: b"), 400),
    ("name with a bracket", head(b"X[a]: b"), 400),
    ("name with a NUL", head(b"X\x00A: b"), 400),
    ("folded", head(b"X-A: a", b" b"), 400),
    ("folded with a tab", head(b"X-A: a", b"\tb"), 400),
    ("white space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    ("NUL in a value", head(b"X-A: a\x00b"), 400),
    ("bell in a value", head(b"X-A: a\x07b"), 400),
    ("DEL in a value", head(b"X-A: a\x7fb"), 400),
    ("bare CR in a value", head(b"X-A: a\rb"), 400),
    ("bare CR before the line end", head(b"X-A: a\r"), 400),
    ("bare LF behind the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    ("bare LF behind a field", b"GET / HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n", 400),
    ("bare LF at the end", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    ("bare LF in front", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("two empty lines in front", b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    # framing (RFC 9112 6)
    ("length and chunked", post(b"Content-Length: 4", CHUNKED, body=b"0\r\n\r\n"), 400),
    ("chunked and length", post(CHUNKED, b"Content-Length: 4", body=b"0\r\n\r\n"), 400),
    ("differing lengths", post(b"Content-Length: 4", b"Content-Length: 5", body=b"abcde"), 400),
    ("repeated length", post(b"Content-Length: 4", b"Content-Length: 4", body=b"abcd"), 400),
    ("list of lengths", post(b"Content-Length: 4, 4", body=b"abcd"), 400),
    ("signed length", post(b"Content-Length: +4", body=b"abcd"), 400),
    ("negative length", post(b"Content-Length: -1"), 400),
    ("length in hex", post(b"Content-Length: 0x4", body=b"abcd"), 400),
    ("length with a space", post(b"Content-Length: 1 2", body=b"abcd"), 400),
    ("empty length", post(b"Content-Length:"), 400),
    ("length beyond 64 bits", post(b"Content-Length: 18446744073709551616"), 400),
    ("chunked twice", post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), 400),
    ("two codings fields", post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), 400),
    ("chunked not last", post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), 400),
    ("chunked with a quote", post(b"Transfer-Encoding: \"chunked\"", body=b"0\r\n\r\n"), 400),
    ("chunked with a vertical tab", post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), 400),
    ("empty coding", post(b"Transfer-Encoding:", body=b"0\r\n\r\n"), 400),
    ("coding identity", post(b"Transfer-Encoding: identity"), 501),
    ("coding gzip", post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    ("unknown coding", post(b"Transfer-Encoding: x-own", body=b"0\r\n\r\n"), 501),
    ("chunked in HTTP/1.0", head(CHUNKED, first=b"POST / HTTP/1.0") + b"0\r\n\r\n", 400),
    ("unknown expectation", post(b"Expect: a-miracle", b"Content-Length: 0"), 417),
    # sizes (max_header_size 16k, max_headers 100)
    ("long target", head(first=b"GET /" + b"a" * 20000 + b" HTTP/1.1"), 414),
    ("long field", head(b"X-A: " + b"a" * 20000), 431),
    ("many fields", head(*[b"X-A: b"] * 101), 431),
    ("many small fields", head(*[b"A:"] * 6000), 431),
    ("long field name", head(b"X" * 300 + b": a"), 400),
]
BAD_CHUNKS = [
    ("size that is no number", b"x\r\nabc\r\n0\r\n\r\n"),
    ("no size", b"\r\nabc\r\n0\r\n\r\n"),
    ("negative size", b"-3\r\nabc\r\n0\r\n\r\n"),
    ("size in C", b"0x3\r\nabc\r\n0\r\n\r\n"),
    ("space before the size", b" 3\r\nabc\r\n0\r\n\r\n"),
    ("space behind the size", b"3 \r\nabc\r\n0\r\n\r\n"),
    ("size beyond 64 bits", b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
    ("bare LF behind the size", b"3\nabc\r\n0\r\n\r\n"),
    ("bare LF in an extension", b"3;a\nabc\r\n0\r\n\r\n"),
    ("bare CR in an extension", b"3;a\rb\r\nabc\r\n0\r\n\r\n"),
    ("too long a chunk", b"3\r\nabcd\r\n0\r\n\r\n"),
    ("too short a chunk", b"3\r\nab\r\n0\r\n\r\n"),
    ("bare LF behind the data", b"3\r\nabc\n0\r\n\r\n"),
    ("endless extension", b"3;" + b"a" * 100000 + b"\r\nabc\r\n0\r\n\r\n"),
    ("bad trailer", b"3\r\nabc\r\n0\r\nno colon\r\n\r\n"),
    ("folded trailer", b"3\r\nabc\r\n0\r\nX-A: a\r\n b\r\n\r\n"),
    ("bare LF behind a trailer", b"3\r\nabc\r\n0\r\nX-A: a\n\r\n"),
]


@pytest.mark.parametrize("sent, status", [pytest.param(sent, status, id=name) for name, sent, status in BAD])
def test_refused(world, sent, status):
    """RFC 9112 2.2, 3, 5, 6: one answer, said to be the last; then the end, even where more was sent behind."""
    world.origin.forget()
    client = world.connect()
    client.send(sent + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    response = client.response()
    assert response.status == status
    assert response.get("Connection") == "close"
    assert client.is_closed()
    assert world.origin.requests == []


@pytest.mark.parametrize("sent", [pytest.param(sent, id=name) for name, sent in BAD_CHUNKS])
def test_refused_chunks(world, sent):
    """RFC 9112 7.1: 400 and the end; nothing that looks like a whole request reaches the origin."""
    world.origin.forget()
    client = world.connect()
    client.send(post(CHUNKED) + sent + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    response = client.response()
    assert response.status == 400
    assert response.get("Connection") == "close"
    assert client.is_closed()
    assert world.origin.requests == []


def test_an_empty_line_in_front_is_ignored(world):
    """RFC 9112 2.2: old clients send one behind a body."""
    client = world.connect()
    for _ in range(2):
        client.send(b"\r\n" + head())
        assert client.response().status == 200


@pytest.mark.parametrize("sent", [
    head(host=b"hOST:a"), head(b"X-A:"), head(b"X-A: \t a \t "), head(first=b"GET /?a=b?c=/d HTTP/1.1"),
    head(first=b"GET /a:b;c=d,e@f!$&'()*+ HTTP/1.1"), head(first=b"GET / HTTP/1.9"),
    head(b"Connection: , ,keep-alive,"), head(host=b"Host: [::1]:80"), head(host=b"Host: 127.0.0.1:8080"),
    head(host=b"Host: A.Test."), head(*[b"A: b"] * 99),
    post(b"transfer-encoding: Chunked", body=b"0\r\n\r\n"), post(b"Content-Length: 000", body=b""),
    post(CHUNKED, body=b"003;a=\"b\\\"c\";d\r\nabc\r\n0;x\r\nX-T: u\r\n\r\n"), head(b"Cookie: " + b"a" * 8000),
    head(b"Content-Length: 0"), post(b"Expect: 100-CONTINUE", b"Content-Length: 0"),
])
def test_unusual_but_right(world, sent):
    """What the RFCs allow is served, and the connection goes on."""
    client = world.connect()
    for _ in range(2):
        client.send(sent)
        response = client.head()
        if response.status == 100:
            response = client.head()
        assert client.body(response).status == 200


@pytest.mark.parametrize("sent", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n",
                                  b"GET / HTTP/1.1\r\nHost: a\r\n\r", post(b"Content-Length: 5", body=b"abc"),
                                  post(CHUNKED, body=b"3\r\nabc\r\n"), post(CHUNKED, body=b"3\r\nab")])
def test_a_message_cut_by_a_half_close_is_answered_at_once(world, sent):
    """RFC 9112 8: not after a timeout (here two minutes)."""
    client = world.connect()
    client.send(sent)
    client.half_close()
    response = client.response()
    assert response.status == 400
    assert client.is_closed()


def test_a_whole_request_before_a_half_close_is_served(world):
    """A client may say that it will send no more."""
    client = world.connect()
    client.send(head() + head(first=b"GET /2 HTTP/1.1"))
    client.half_close()
    for target in (b"GET / ", b"GET /2 "):
        response = client.response()
        assert response.status == 200 and response.body.startswith(target)
    assert client.is_closed()


def test_nothing_at_all_is_answered_with_nothing(world):
    client = world.connect()
    client.half_close()
    assert client.is_closed()


def test_refusals_linger(world):
    """RFC 9112 9.6: a client still sending must read the answer, and is not cut by a reset."""
    client = world.connect()
    client.send(post(b"Content-Length: x"), b"x" * 65536)
    assert client.response().status == 400
    client.send(b"x" * 65536)
    client.half_close()
    assert client.to_end() == b""


def test_lingering_has_an_end(world):
    """A client that never stops sending is cut off."""
    client = world.connect()
    client.send(b"bad\r\n\r\n")
    assert client.response().status == 400
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(10000):
            client.send(b"x" * 65536)


SPLIT = {
    "GET": (head(b"X-A: b", first=b"GET /split?x HTTP/1.1"), b""),
    "length": (head(b"Content-Length: 10", first=b"PUT /split HTTP/1.1") + b"0123456789", b"0123456789"),
    "chunked": (head(CHUNKED, first=b"PUT /split HTTP/1.1")
                + b"5;a=\"b\"\r\nhello\r\n0A\r\n0123456789\r\n0\r\nX-T: u\r\n\r\n", b"hello0123456789"),
    "empty line": (b"\r\n" + head(first=b"HEAD /split HTTP/1.1"), b""),
}


@pytest.mark.parametrize("kind", SPLIT)
def test_requests_split_at_every_byte(world, kind):
    """Where segments end means nothing: weir sees the first piece alone, as it serves another client in between."""
    sent, body = SPLIT[kind]
    other, client = world.connect(), world.connect()
    for at in range(1, len(sent)):
        world.origin.forget()
        client.send(sent[:at])
        assert other.get("/between").status == 200
        client.send(sent[at:])
        response = client.response(to="HEAD" if kind == "empty line" else "GET")
        assert response.status == 200, at
        assert world.origin.requests[-1].body == body, at


def test_requests_byte_by_byte(world):
    other, client = world.connect(), world.connect()
    for byte in SPLIT["chunked"][0]:
        client.send(bytes([byte]))
        assert other.get("/between").status == 200
    assert client.response().status == 200


def test_refusals_do_not_depend_on_where_segments_end(world):
    """One bad request, split at every byte: always the same refusal."""
    sent = head(b"X-A : b")
    other = world.connect()
    for at in range(1, len(sent)):
        client = Client(("127.0.0.1", world.http_port), timeout=PATIENCE)
        try:
            client.send(sent[:at])
            assert other.get("/between").status == 200
            client.send(sent[at:])
            assert client.response().status == 400, at
        except (BrokenPipeError, Closed) as end:
            raise AssertionError(f"split at {at}") from end
        finally:
            client.close()
