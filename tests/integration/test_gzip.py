# SPDX-License-Identifier: BSD-2-Clause
"""The gzip module: which answers are encoded, for whom, and that streams stay streams."""

import gzip
import zlib

import pytest

from lib.daemon import serving
from lib.origin import AnsweringOrigin, Origin
from lib.program import curl

TEXT = b"the quick brown fox jumps over the lazy dog\n" * 200
HTML = ["Content-Type: text/html; charset=utf-8"]


def answer(request):
    """What the request's own fields ask for: X-Answer lines become the answer's fields."""
    body = TEXT[:int(request.get("X-Size", len(TEXT)))]
    status = request.get("X-Status", "200 OK")
    lines = [f"HTTP/1.1 {status}", *request.all("X-Answer")]
    if status[:3] in ("204", "304"):
        body = b""
    elif request.has("X-Chunked"):
        lines.append("Transfer-Encoding: chunked")
        pieces = [body[at:at + 100] for at in range(0, len(body), 100)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    else:
        lines.append(f"Content-Length: {len(body)}")
    return "".join(line + "\r\n" for line in lines).encode() + b"\r\n" + (b"" if request.method == "HEAD" else body)


@pytest.fixture(scope="module")
def zipping():
    origin = AnsweringOrigin(answer)
    try:
        with serving(f"""gzip on; site _ {{ proxy {origin.url};
                route /off/ {{ gzip off; proxy {origin.url}; }}
                route /small/ {{ gzip_min_length 100; gzip_level 9; proxy {origin.url}; }}
                route /types/ {{ gzip_types text/x-own; proxy {origin.url}; }}
                route /own/ {{ respond 200 "{'weir itself ' * 200}"; }} }}""", modules=["gzip"]) as weir:
            yield weir
    finally:
        origin.stop()


def ask(weir, accept="gzip", target="/", answer_fields=("Content-Type: text/html",), method="GET", **fields):
    lines = [f"X-Answer: {field}" for field in answer_fields]
    lines += [f"X-{name.title()}: {value}" for name, value in fields.items()]
    if accept is not None:
        lines.append(f"Accept-Encoding: {accept}")
    client = weir.connect()
    try:
        return client.request(method, target, *lines).response(to=method)
    finally:
        client.close()


def is_encoded(response):
    if response.get("Content-Encoding") is None:
        return False
    assert response.get("Content-Encoding") == "gzip"
    return True


def varies(response):
    return any("accept-encoding" in value.lower() for value in response.all("Vary"))


def test_encoded_for_clients_that_accept_it(zipping):
    """RFC 9110 8.4, 12.5.5: the same content, fewer bytes, and caches told."""
    response = ask(zipping)
    assert is_encoded(response) and varies(response)
    assert gzip.decompress(response.body) == TEXT
    assert len(response.body) < len(TEXT) / 5
    assert response.framing == "chunked"


def test_curl_decodes_it(zipping):
    done = curl("--compressed", "-H", "X-Answer: Content-Type: text/css", f"http://127.0.0.1:{zipping.http_port}/")
    assert done.stdout == TEXT


@pytest.mark.parametrize("accept, encoded", [
    ("gzip", True), ("GZIP", True), ("x-gzip", True), ("gzip;q=0.5", True), ("*", True), ("deflate, gzip;q=0.1", True),
    ("gzip;q=1.0, identity;q=0.5", True), ("br, gzip", True), (None, False), ("", False), ("identity", False),
    ("deflate", False), ("gzip;q=0", False), ("gzip;q=0.000", False), ("*;q=0", False), ("gzip;q=0, *", False),
    ("gzip;q=0.2, identity;q=0.8", False), ("gzipped", False),
])
def test_negotiation(zipping, accept, encoded):
    """RFC 9110 12.5.3; either way the answer says that it depends on Accept-Encoding."""
    response = ask(zipping, accept)
    assert is_encoded(response) == encoded and varies(response)
    assert (gzip.decompress(response.body) if encoded else response.body) == TEXT


@pytest.mark.parametrize("kind, encoded", [
    ("text/html", True), ("text/plain;charset=x", True), ("application/json", True), ("application/ld+json", True),
    ("image/svg+xml", True), ("application/wasm", True), ("TEXT/CSS", True), ("image/png", False),
    ("application/octet-stream", False), ("text/event-stream", False), ("video/mp4", False),
])
def test_types(zipping, kind, encoded):
    assert is_encoded(ask(zipping, answer_fields=[f"Content-Type: {kind}"])) == encoded


def test_types_of_a_route(zipping):
    assert is_encoded(ask(zipping, target="/types/", answer_fields=["Content-Type: text/x-own"]))
    assert not is_encoded(ask(zipping, target="/types/", answer_fields=HTML))


def test_answers_without_a_type_are_left_alone(zipping):
    assert not is_encoded(ask(zipping, answer_fields=[]))


@pytest.mark.parametrize("target, size, encoded", [("/", 1023, False), ("/", 1024, True), ("/small/", 100, True),
                                                   ("/small/", 99, False)])
def test_small_answers_are_left_alone(zipping, target, size, encoded):
    response = ask(zipping, target=target, size=size)
    assert is_encoded(response) == encoded
    if not encoded:
        assert response.get("Content-Length") == str(size)


@pytest.mark.parametrize("fields", [
    ["Content-Encoding: br"], ["Cache-Control: public, no-transform"], ["Content-Range: bytes 0-8799/20000"],
])
def test_answers_that_must_not_be_touched(zipping, fields):
    """RFC 9110 8.4, 14.4; RFC 9111 5.2.2.6."""
    response = ask(zipping, answer_fields=HTML + fields)
    assert response.get("Content-Encoding") in (None, "br") and response.body == TEXT


@pytest.mark.parametrize("status", ["204 No Content", "206 Partial Content", "304 Not Modified"])
def test_statuses_that_must_not_be_touched(zipping, status):
    response = ask(zipping, answer_fields=HTML + ["ETag: \"x\""], status=status)
    assert not is_encoded(response) and response.get("ETag") == '"x"'


@pytest.mark.parametrize("tag, seen", [('"abc"', 'W/"abc"'), ('W/"abc"', 'W/"abc"')])
def test_the_validator_is_weakened(zipping, tag, seen):
    """RFC 9110 8.8.1: another representation cannot share a strong validator."""
    assert ask(zipping, answer_fields=HTML + [f"ETag: {tag}"]).get("ETag") == seen
    assert ask(zipping, accept=None, answer_fields=HTML + [f"ETag: {tag}"]).get("ETag") == tag


def test_what_spoke_of_the_plain_bytes_is_dropped(zipping):
    response = ask(zipping, answer_fields=HTML + ["Accept-Ranges: bytes", "Content-MD5: x", "Vary: Cookie"])
    assert is_encoded(response) and not response.has("Content-Length") and not response.has("Accept-Ranges")
    assert varies(response) and any("Cookie" in value for value in response.all("Vary"))


def test_head_has_the_fields_of_get(zipping):
    """RFC 9110 9.3.2."""
    get = ask(zipping, answer_fields=HTML + ["ETag: \"x\""])
    head = ask(zipping, answer_fields=HTML + ["ETag: \"x\""], method="HEAD")
    assert head.body == b""
    for name in ("Content-Encoding", "ETag", "Vary", "Content-Type"):
        assert head.all(name) == get.all(name)
    assert not head.has("Content-Length")


def test_http10_clients_too(zipping):
    client = zipping.connect()
    client.request("GET", "/", "X-Answer: Content-Type: text/html", "Accept-Encoding: gzip", version="HTTP/1.0")
    response = client.response()
    assert is_encoded(response) and response.framing == "close" and gzip.decompress(response.body) == TEXT


def test_chunked_answers_too(zipping):
    response = ask(zipping, chunked=1)
    assert is_encoded(response) and gzip.decompress(response.body) == TEXT


def test_off_is_off(zipping):
    response = ask(zipping, target="/off/")
    assert not is_encoded(response) and not varies(response) and response.body == TEXT


def test_weirs_own_answers_too(zipping):
    response = ask(zipping, target="/own/")
    assert is_encoded(response) and gzip.decompress(response.body).startswith(b"weir itself")


def test_many_answers_over_one_connection(zipping):
    """The compressor's state is reused, and clean each time."""
    client = zipping.connect()
    for size in (2000, 1500, 8800, 1024, 5000) * 4:
        response = client.get("/", "X-Answer: Content-Type: text/html", "Accept-Encoding: gzip", f"X-Size: {size}")
        assert gzip.decompress(response.body) == TEXT[:size]


@pytest.mark.parametrize("fields", [[], ["X-Accel-Buffering: no"]])
def test_a_stream_stays_a_stream(weir, fields):
    """What was sent arrives, decodable, while the origin pauses."""
    origin = Origin()
    one = weir(f"gzip on; site _ {{ proxy {origin.url}; }}", modules=["gzip"])
    client = one.connect()
    client.request("GET", "/", "Accept-Encoding: gzip")
    connection = origin.take()
    connection.request()
    connection.send("".join(f"{line}\r\n" for line in ["HTTP/1.1 200 OK", *HTML, "Transfer-Encoding: chunked", *fields])
                    .encode() + b"\r\n")
    response = client.head()
    assert is_encoded(response)
    inflate = zlib.decompressobj(31)
    for number in range(5):
        piece = b"line %d of a slow page\n" % number
        connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        got = b""
        while len(got) < len(piece):
            got += inflate.decompress(client.chunk())
        assert got == piece
    connection.send(b"0\r\n\r\n")
    rest = b""
    while chunk := client.chunk():
        rest += inflate.decompress(chunk)
    assert rest == b"" and inflate.eof
    origin.stop()


def test_server_sent_events_are_not_encoded_unless_listed(weir, origin):
    one = weir(f"gzip on; site _ {{ proxy {origin.url}; }}", modules=["gzip"])
    client = one.connect()
    client.request("GET", "/", "Accept-Encoding: gzip")
    connection = origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"9\r\ndata: 1\n\n\r\n")
    assert not is_encoded(client.head())
    assert client.chunk() == b"data: 1\n\n"


def test_an_answer_cut_short_is_not_finished_by_the_encoder(weir, origin):
    """RFC 9112 8: no last chunk and no end of the gzip stream that the origin did not send."""
    one = weir(f"gzip on; site _ {{ proxy {origin.url}; }}", modules=["gzip"])
    client = one.connect()
    client.request("GET", "/", "Accept-Encoding: gzip")
    connection = origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5000\r\n\r\n" + TEXT[:2000])
    assert is_encoded(client.head())
    connection.close()
    rest = client.to_end()
    assert not rest.endswith(b"0\r\n\r\n")
