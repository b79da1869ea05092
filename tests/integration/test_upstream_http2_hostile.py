# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/2 servers that break the rules (RFC 9113 5.1, 6, 8, 10.5): their requests are answered 502, their connections
end with the right GOAWAY, the log has one line of it, and nobody else notices."""

import contextlib
import struct

import pytest

from lib.http2 import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PRIORITY_UPDATE,
                       PUSH_PROMISE, SETTINGS, WINDOW_UPDATE, Gone, connect, pack)
from lib.http2 import (COMPRESSION_ERROR, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR,
                       STREAM_CLOSED)
from lib.http2_origin import AnsweringHttp2Origin, Http2Origin
from lib.message import Closed
from lib.patience import IS_SANITIZED, eventually

LINE = "HTTP/2 connection to 127.0.0.1"


@pytest.fixture
def hostile():
    one = Http2Origin()
    yield one
    one.stop()


@pytest.fixture
def good():
    one = AnsweringHttp2Origin(lambda asked: (200, [], b"good"))
    yield one
    one.stop()


def both(weir, hostile, good):
    return weir(f"""workers 1;
        upstream hostile {{ server 127.0.0.1:{hostile.port} max_fails=0; protocol h2; }}
        upstream good {{ server 127.0.0.1:{good.port}; protocol h2; }}
        site hostile.test {{ proxy hostile; }} site good.test {{ proxy good; }}""")


def asked(one, hostile):
    """A request under way, and the origin's end of it."""
    client = one.connect().request("GET", "/", host="hostile.test")
    server = hostile.serve()
    return client, server, server.asked().stream


def push(server, stream):
    server.frame(PUSH_PROMISE, END_HEADERS, stream, struct.pack(">I", 2) + server.block([(":method", "GET")]))


def head_on_an_idle_stream(server, stream):
    server.headers([(":status", "200")], stream + 20)


def head_on_an_even_stream(server, stream):
    server.headers([(":status", "200")], 2)


def data_on_an_idle_stream(server, stream):
    server.frame(DATA, 0, stream + 20, b"x")


def data_of_the_connection(server, stream):
    server.frame(DATA, 0, 0, b"x")


def reset_of_an_idle_stream(server, stream):
    server.reset(stream + 20)


def window_of_an_idle_stream(server, stream):
    server.window(stream + 20, 1)


def priority_update(server, stream):
    server.frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", stream) + b"u=1")


def frame_too_large(server, stream):
    server.head(stream)
    server.frame(DATA, 0, stream, bytes(16385))


def settings_of_a_stream(server, stream):
    server.frame(SETTINGS, 0, stream)


def settings_that_allow_pushes(server, stream):
    server.send(server.settings_frame({2: 1}))


def settings_of_another_size(server, stream):
    server.frame(SETTINGS, 0, 0, b"abc")


def settings_with_a_window_too_large(server, stream):
    server.send(server.settings_frame({4: 1 << 31}))


def window_of_the_connection_too_large(server, stream):
    server.window(0, (1 << 31) - 1)


def a_block_that_is_interrupted(server, stream):
    server.frame(HEADERS, 0, stream, server.block([(":status", "200")]))
    server.frame(PING, 0, 0, bytes(8))


def continuation_of_nothing(server, stream):
    server.frame(CONTINUATION, END_HEADERS, stream, b"")


def a_block_that_is_no_hpack(server, stream):
    server.frame(HEADERS, END_HEADERS, stream, b"\xff\xff\xff\xff\xff\xff")


def padding_beyond_the_frame(server, stream):
    server.head(stream)
    server.frame(DATA, PADDED, stream, b"\x09abc")


def data_behind_the_end(server, stream):
    server.head(stream, end=True)
    server.frame(DATA, 0, stream, b"x")


def more_data_than_the_window(server, stream):
    server.head(stream)
    for _ in range(64):
        server.frame(DATA, 0, stream, bytes(16384))


def flood(kind, flags=0, payload=b"", count=20000, of_stream=False, head=False):
    def run(server, stream):
        if head:
            server.head(stream)
        frame = pack(kind, flags, stream if of_stream else 0, payload)
        for _ in range(count // 100):
            server.send(frame * 100)
    return run


def continuation_flood(server, stream):
    server.frame(HEADERS, 0, stream, server.block([(":status", "200")]))
    for _ in range(1000):
        server.frame(CONTINUATION, 0, stream, b"")


def hpack_bomb(server, stream):
    """A field of 4,000 bytes in the table, and then one byte for each more of it."""
    server.frame(HEADERS, 0, stream, server.block([(":status", "200"), ("x-bomb", "a" * 4000)]))
    index = server.encoder.encode([("x-bomb", "a" * 4000)])
    assert len(index) == 1
    for n in range(5):
        server.frame(CONTINUATION, END_HEADERS if n == 4 else 0, stream, index * 16000)


CONNECTION_ERRORS = [
    (push, PROTOCOL_ERROR), (head_on_an_idle_stream, PROTOCOL_ERROR), (head_on_an_even_stream, PROTOCOL_ERROR),
    (data_on_an_idle_stream, PROTOCOL_ERROR), (data_of_the_connection, PROTOCOL_ERROR),
    (reset_of_an_idle_stream, PROTOCOL_ERROR), (window_of_an_idle_stream, PROTOCOL_ERROR),
    (priority_update, PROTOCOL_ERROR), (frame_too_large, FRAME_SIZE_ERROR), (settings_of_a_stream, PROTOCOL_ERROR),
    (settings_that_allow_pushes, PROTOCOL_ERROR), (settings_of_another_size, FRAME_SIZE_ERROR),
    (settings_with_a_window_too_large, FLOW_CONTROL_ERROR),
    (window_of_the_connection_too_large, FLOW_CONTROL_ERROR), (a_block_that_is_interrupted, PROTOCOL_ERROR),
    (continuation_of_nothing, PROTOCOL_ERROR), (a_block_that_is_no_hpack, COMPRESSION_ERROR),
    (padding_beyond_the_frame, PROTOCOL_ERROR),
    (continuation_flood, ENHANCE_YOUR_CALM), (hpack_bomb, ENHANCE_YOUR_CALM),
    pytest.param(flood(PING, payload=bytes(8)), ENHANCE_YOUR_CALM, id="ping flood"),
    pytest.param(flood(SETTINGS), ENHANCE_YOUR_CALM, id="settings flood"),
    pytest.param(flood(SETTINGS, payload=struct.pack(">HI", 4, 1) * 100, count=1000), ENHANCE_YOUR_CALM,
                 id="long settings flood"),
    pytest.param(flood(WINDOW_UPDATE, payload=struct.pack(">I", 1)), ENHANCE_YOUR_CALM, id="window flood"),
    pytest.param(flood(0x42, payload=b"unknown"), ENHANCE_YOUR_CALM, id="flood of unknown frames"),
    pytest.param(flood(DATA, of_stream=True, head=True), ENHANCE_YOUR_CALM, id="empty data flood"),
    pytest.param(flood(GOAWAY, payload=struct.pack(">II", 2**31 - 1, 0)), ENHANCE_YOUR_CALM, id="goaway flood"),
]


@pytest.mark.parametrize("crime, code", CONNECTION_ERRORS)
def test_what_ends_the_connection(weir, hostile, good, crime, code):
    one = both(weir, hostile, good)
    neighbour = connect(one)
    client, server, stream = asked(one, hostile)
    with contextlib.suppress(OSError):
        crime(server, stream)
    with contextlib.suppress(OSError, Closed):
        assert server.goaway() == code
    answer = client.head()
    if answer.status != 200:  # its head may have come through before
        assert answer.status == 502
    eventually(lambda: LINE in one.log(), "a line in the log")
    assert one.log().count(LINE) == 1
    assert neighbour.get("/", authority="good.test").body == b"good"
    again = one.connect().request("GET", "/", host="hostile.test")
    fresh = hostile.serve()
    fresh.respond(fresh.asked().stream, body=b"better")
    assert again.response().body == b"better"


STREAM_ERRORS = [
    ("no :status", [("server", "x")]), (":status twice", [(":status", "200"), (":status", "200")]),
    ("a wrong :status", [(":status", "2000")]), ("101", [(":status", "101")]),
    (":path", [(":status", "200"), (":path", "/")]), ("an unknown pseudo-field", [(":status", "200"), (":x", "/")]),
    ("a pseudo-field behind", [("server", "x"), (":status", "200")]),
    ("upper case", [(":status", "200"), ("X-Upper", "1")]), ("Connection", [(":status", "200"), ("connection", "x")]),
    ("Transfer-Encoding", [(":status", "200"), ("transfer-encoding", "chunked")]),
    ("TE", [(":status", "200"), ("te", "trailers")]), ("a bad length", [(":status", "200"), ("content-length", "+1")]),
    ("a length without content", [(":status", "200"), ("content-length", "5")]),
    ("a control character", [(":status", "200"), ("x", "a\rb")]), ("a NUL", [(":status", "200"), ("x", "a\0b")]),
    ("too many fields", [(":status", "200")] + [("x", "1")] * 501),
    ("too large a head", [(":status", "200")] + [(f"x{n}", "1" * 1000) for n in range(90)]),
]


@pytest.mark.parametrize("what, fields", STREAM_ERRORS, ids=[what for what, _ in STREAM_ERRORS])
def test_a_malformed_head_is_its_streams_fault(weir, hostile, good, what, fields):
    """RFC 9113 8.1.1: the others on the connection go on."""
    one = both(weir, hostile, good)
    client = connect(one)
    bad, fine = client.request(path="/bad", authority="hostile.test"), client.request(authority="hostile.test")
    server = hostile.serve()
    streams = {}
    for _ in range(2):
        request = server.asked()
        streams[request.fields[":path"]] = request.stream
    server.headers(fields, streams["/bad"])
    assert client.response(bad).status == 502
    server.respond(streams["/"], body=b"fine")
    assert client.response(fine).body == b"fine"
    assert LINE not in one.log()
    assert hostile.accepted == 1


@pytest.mark.parametrize("frames, body", [
    ([(DATA, END_STREAM, b"first")], None),
    ([(HEADERS, END_HEADERS, [(":status", "103")]), (DATA, END_STREAM, b"x")], None),
    ([(HEADERS, END_HEADERS | END_STREAM, [(":status", "103")])], None),
    ([(HEADERS, END_HEADERS, [(":status", "204")]), (DATA, END_STREAM, b"x")], 204),
    ([(HEADERS, END_HEADERS, [(":status", "200"), ("content-length", "3")]), (DATA, END_STREAM, b"1234")], 200),
    ([(HEADERS, END_HEADERS, [(":status", "200"), ("content-length", "3")]), (DATA, END_STREAM, b"12")], 200),
    ([(HEADERS, END_HEADERS, [(":status", "200")]), (HEADERS, END_HEADERS, [("x", "1")])], 200),
    ([(HEADERS, END_HEADERS, [(":status", "200")]), (HEADERS, END_HEADERS | END_STREAM, [(":status", "200")])], 200),
], ids=["content first", "content behind 103", "103 that ends", "content of a 204", "too long", "too short",
        "two heads", "trailers with :status"])
def test_a_malformed_message_is_its_streams_fault(weir, hostile, good, frames, body):
    one = both(weir, hostile, good)
    client, server, stream = asked(one, hostile)
    for kind, flags, payload in frames:
        server.frame(kind, flags, stream, payload if kind == DATA else server.block(payload))
    assert server.code_of(stream) == PROTOCOL_ERROR
    answer = client.head()
    while answer.status == 103:
        answer = client.head()
    assert answer.status == (body or 502)
    if body == 200:  # what cannot be ended properly is broken off
        with pytest.raises(Closed):
            client.body(answer)
    other = connect(one)
    number = other.request(authority="hostile.test")
    server.respond(server.asked().stream, body=b"fine")
    assert other.response(number).body == b"fine"


def test_too_many_interim_heads(weir, hostile, good):
    one = both(weir, hostile, good)
    client, server, stream = asked(one, hostile)
    for _ in range(20):
        server.head(stream, 103)
    answers = [client.head().status for _ in range(17)]
    assert answers == [103] * 16 + [502]


def test_frames_on_closed_streams(weir, hostile, good):
    one = both(weir, hostile, good)
    client, server, stream = asked(one, hostile)
    server.respond(stream, body=b"fine")
    assert client.response().body == b"fine"
    server.frame(DATA, 0, stream, b"late")
    assert server.goaway() == STREAM_CLOSED


def test_data_behind_the_end_of_a_stream_that_is_still_sent_to(weir, hostile, good):
    one = both(weir, hostile, good)
    client = connect(one)
    client.request(method="POST", authority="hostile.test", body=b"x", end=False)
    server = hostile.serve()
    stream, _, _ = server.head_of()
    server.send(pack(HEADERS, END_HEADERS | END_STREAM, stream, server.block([(":status", "200")])) +
                pack(DATA, 0, stream, b"x"))
    assert server.goaway() == STREAM_CLOSED


def test_servers_that_reset_everything_cost_only_themselves(weir, hostile, good):
    one = both(weir, hostile, good)
    client = connect(one)
    server = None
    for n in range(300):
        stream = client.request(authority="hostile.test")
        server = server or hostile.serve()
        server.reset(server.asked().stream, 2)
        assert client.response(stream).status == 502
        if n % 50 == 0:
            assert client.get("/", authority="good.test").body == b"good"


def test_content_that_nobody_granted_is_not_held(weir, hostile, good):
    """A server that does not mind windows meets their end; one that does is held to a share for each stream."""
    one = both(weir, hostile, good)
    client = connect(one, gives=False)
    client.request(authority="hostile.test")
    server = hostile.serve()
    stream = server.asked().stream
    one.forget_peak()
    before = one.peak_memory()
    with contextlib.suppress(OSError):
        more_data_than_the_window(server, stream)
        server.goaway()
    if not IS_SANITIZED:
        assert one.peak_memory() - before < 4 * 1024 * 1024
    assert connect(one).get("/", authority="good.test").body == b"good"


def test_malformed_heads_without_end_are_not_put_up_with(weir, hostile, good):
    """One by one they are their streams' fault; of a server that makes nothing else the connection ends."""
    one = both(weir, hostile, good)
    client = connect(one)
    server, ended = None, False
    for _ in range(150):
        stream = client.request(authority="hostile.test")
        server = server or hostile.serve()
        try:
            server.headers([("no-status", "1")], server.asked().stream)
        except (Gone, OSError, Closed):
            ended = True
            break
        assert client.response(stream).status == 502
    assert ended and server.goaway_frame[1] == ENHANCE_YOUR_CALM
    assert "too many streams that weir was made to reset" in one.log()
    assert client.get("/", authority="good.test").body == b"good"
