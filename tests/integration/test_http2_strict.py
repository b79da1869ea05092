# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/2 by the letter: what is malformed resets its stream, what breaks the connection's rules ends it (RFC 9113)."""

import contextlib
import struct

import pytest

from lib import daemon, http2
from lib.http2 import (ACK, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR,
                       FRAME_SIZE_ERROR, GOAWAY, HEADERS, INITIAL_WINDOW, PADDED, PING, PRIORITY, PROTOCOL_ERROR,
                       PUSH_PROMISE, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, Http2, Reset)
from lib.origin import Origin
from lib.patience import eventually

head = Http2.head


@pytest.fixture(scope="module")
def house():
    origin = Origin()
    try:
        text = f"workers 1;\nsite _ {{ proxy {origin.url}; route = /own {{ respond 200 own; }} }}"
        with daemon.serving(text) as weir:
            weir.origin = origin
            yield weir
    finally:
        origin.stop()


@pytest.fixture
def client(house):
    one = http2.connect(house)
    yield one
    one.stream.reset()
    eventually(lambda: house.status()["connections"] == 0, "the test's connections are over")
    house.origin.close_all()


# -- malformed requests ------------------------------------------------------------------------------------------------

PSEUDO = [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/own")]

MALFORMED = {
    "8.2.1 upper case in a name": head(("X-Upper", "1"), path="/own"),
    "8.2.1 space in a name": head(("x y", "1"), path="/own"),
    "8.2.1 colon in a name": head(("x:y", "1"), path="/own"),
    "8.2.1 NUL in a value": head(("x", "a\0b"), path="/own"),
    "8.2.1 LF in a value": head(("x", "a\nhost: b"), path="/own"),
    "8.2.1 CR in a value": head(("x", "a\rb"), path="/own"),
    "8.2.1 space before a value": head(("x", " a"), path="/own"),
    "8.2.1 tab behind a value": head(("x", "a\t"), path="/own"),
    "8.2.2 connection": head(("connection", "close"), path="/own"),
    "8.2.2 keep-alive": head(("keep-alive", "5"), path="/own"),
    "8.2.2 proxy-connection": head(("proxy-connection", "close"), path="/own"),
    "8.2.2 transfer-encoding": head(("transfer-encoding", "chunked"), path="/own"),
    "8.2.2 upgrade": head(("upgrade", "websocket"), path="/own"),
    "8.2.2 te": head(("te", "gzip"), path="/own"),
    "8.3 unknown pseudo-field": PSEUDO + [(":x", "1")],
    "8.3 response's pseudo-field": PSEUDO + [(":status", "200")],
    "8.3 pseudo-field behind a field": PSEUDO[:3] + [("x", "1")] + PSEUDO[3:],
    "8.3.1 no method": PSEUDO[1:],
    "8.3.1 no scheme": PSEUDO[:1] + PSEUDO[2:],
    "8.3.1 no path": PSEUDO[:3],
    "8.3.1 empty path": head(path=""),
    "8.3.1 path without a slash": head(path="own"),
    "8.3.1 asterisk without OPTIONS": head(path="*"),
    "8.3.1 method twice": PSEUDO + [(":method", "GET")],
    "8.3.1 path twice": PSEUDO + [(":path", "/own")],
    "8.3.1 scheme twice": PSEUDO + [(":scheme", "http")],
    "8.3.1 authority twice": PSEUDO + [(":authority", "a.test")],
    "8.3.1 host differs": head(("host", "b.test"), path="/own"),
    "8.3.1 host twice": head(("host", "a.test"), ("host", "a.test"), path="/own"),
    "8.5 CONNECT with a path": [(":method", "CONNECT"), (":authority", "a.test:1"), (":path", "/")],
    "8441 protocol without CONNECT": PSEUDO + [(":protocol", "websocket")],
    "8.1.1 content-length without content": head(("content-length", "1"), path="/own"),
    "8.1.1 several content-length": head(("content-length", "0"), ("content-length", "0"), path="/own"),
    "8.1.1 content-length of letters": head(("content-length", "x"), path="/own"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_requests_reset_their_stream(client, case):
    stream = client.headers(MALFORMED[case])
    with pytest.raises(Reset) as reset:
        client.response(stream)
    assert reset.value.code == PROTOCOL_ERROR
    assert client.get("/own").body == b"own"  # the connection is in step


@pytest.mark.parametrize("content, end", [(b"abc", True), (b"abcdef", True), (b"abcdef", False), (b"", True)])
def test_content_that_differs_from_its_length(client, house, content, end):
    """8.1.1; the origin does not take what came for a whole request."""
    stream = client.request(("content-length", "5"), method="POST", end=False)
    connection = house.origin.take()
    connection.head()
    client.data(stream, content, end)
    with pytest.raises(Reset) as reset:
        client.response(stream)
    assert reset.value.code == PROTOCOL_ERROR
    assert connection.exactly(0) == b"" and connection.to_end() in (b"", content[:5])
    assert client.get("/own").status == 200


TRAILERS = {
    "8.1 without END_STREAM": ([("x", "1")], END_HEADERS),
    "8.1 pseudo-field": ([(":path", "/")], END_HEADERS | END_STREAM),
    "8.2.2 connection": ([("connection", "close")], END_HEADERS | END_STREAM),
    "8.2.1 upper case": ([("X", "1")], END_HEADERS | END_STREAM),
}


@pytest.mark.parametrize("case", TRAILERS)
def test_malformed_trailers(client, house, case):
    fields, flags = TRAILERS[case]
    stream = client.request(method="POST", end=False)
    connection = house.origin.take()
    connection.head()
    client.headers(fields, stream=stream, flags=flags)
    with pytest.raises(Reset) as reset:
        client.response(stream)
    assert reset.value.code == PROTOCOL_ERROR
    assert connection.is_closed()
    assert client.get("/own").status == 200


REFUSED = {
    "no authority": (head(authority=None), 400),
    "user information": (head(authority="u@a.test"), 400),
    "malformed escape": (head(path="/%zz"), 400),
    "CONNECT": ([(":method", "CONNECT"), (":authority", "a.test:1")], 501),
    "another protocol": (head(method="CONNECT")[:1] + [(":protocol", "x")] + head()[1:], 501),
    "expectation": (head(("expect", "wonders")), 417),
    "too many fields": (head(*[(f"x-{number}", "") for number in range(101)]), 431),
    "too large": (head(*[(f"x-{number}", "a" * 3000) for number in range(8)]), 431),
    "another scheme": (head(scheme="https"), 421),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(client, case):
    """What is well-formed and yet not served is answered."""
    fields, status = REFUSED[case]
    assert client.response(client.headers(fields)).status == status
    assert client.get("/own").status == 200


# -- frames and states -------------------------------------------------------------------------------------------------

def closed(client):
    stream = client.request(path="/own")
    assert client.response(stream).status == 200
    return stream


def half_closed(client):
    """Its answer is still to come."""
    return client.request(path="/waits")


def was_reset(client):
    stream = client.request(method="POST", end=False, path="/waits")
    client.reset(stream)
    return stream


def frames(*pieces):
    return lambda client: client.send(*[http2.pack(*piece) for piece in pieces])


def u32(number):
    return struct.pack(">I", number)


CONNECTION_ERRORS = {
    "4.2 frame too large": (frames((DATA, 0, 1, b"x" * 16385)), FRAME_SIZE_ERROR),
    "4.3 broken header block": (frames((HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff")), COMPRESSION_ERROR),
    "5.1 DATA on an idle stream": (frames((DATA, 1, 1, b"x")), PROTOCOL_ERROR),
    "5.1 RST_STREAM on an idle stream": (frames((RST_STREAM, 0, 1, u32(8))), PROTOCOL_ERROR),
    "5.1 WINDOW_UPDATE on an idle stream": (frames((WINDOW_UPDATE, 0, 1, u32(8))), PROTOCOL_ERROR),
    "5.1 DATA on a half-closed stream": (lambda c: c.data(half_closed(c), b"x"), STREAM_CLOSED),
    "5.1 head on a half-closed stream": (lambda c: c.headers(head(), stream=half_closed(c)), STREAM_CLOSED),
    "5.1 DATA on a closed stream": (lambda c: c.data(closed(c), b"x"), STREAM_CLOSED),
    "5.1 head on a closed stream": (lambda c: c.headers(head(), stream=closed(c)), STREAM_CLOSED),
    "5.1 DATA behind a reset": (lambda c: c.data(was_reset(c), b"x"), STREAM_CLOSED),
    "5.1 head behind a reset": (lambda c: c.headers(head(), stream=was_reset(c)), STREAM_CLOSED),
    "5.1.1 even stream": (lambda c: c.headers(head(), stream=2), PROTOCOL_ERROR),
    "5.1.1 stream 0": (lambda c: c.headers(head(), stream=0), PROTOCOL_ERROR),
    "5.1.1 number that goes back": (lambda c: [c.headers(head(path="/own"), stream=number) for number in (5, 3)],
                                    PROTOCOL_ERROR),
    "6.1 DATA on stream 0": (frames((DATA, 0, 0, b"x")), PROTOCOL_ERROR),
    "6.1 padding longer than the frame": (lambda c: c.frame(DATA, PADDED, c.request(method="POST", end=False),
                                                            b"\x05abc"), PROTOCOL_ERROR),
    "6.2 padding longer than the head": (frames((HEADERS, 5 | PADDED, 1, b"\xf0\x82")), PROTOCOL_ERROR),
    "6.3 PRIORITY of stream 0": (frames((PRIORITY, 0, 0, b"\0\0\0\0\0")), PROTOCOL_ERROR),
    "6.3 PRIORITY of another size": (frames((PRIORITY, 0, 1, b"\0\0\0\0")), FRAME_SIZE_ERROR),
    "6.4 RST_STREAM of stream 0": (frames((RST_STREAM, 0, 0, u32(8))), PROTOCOL_ERROR),
    "6.4 RST_STREAM of another size": (lambda c: c.frame(RST_STREAM, 0, half_closed(c), b"\0\0\0"), FRAME_SIZE_ERROR),
    "6.5 SETTINGS of a stream": (frames((SETTINGS, 0, 1)), PROTOCOL_ERROR),
    "6.5 SETTINGS of another size": (frames((SETTINGS, 0, 0, b"\0" * 5)), FRAME_SIZE_ERROR),
    "6.5 SETTINGS with ACK and content": (frames((SETTINGS, ACK, 0, b"\0" * 6)), FRAME_SIZE_ERROR),
    "6.5.2 ENABLE_PUSH 2": (lambda c: c.send(c.settings_frame({2: 2})), PROTOCOL_ERROR),
    "6.5.2 INITIAL_WINDOW_SIZE": (lambda c: c.send(c.settings_frame({4: 1 << 31})), FLOW_CONTROL_ERROR),
    "6.5.2 MAX_FRAME_SIZE too small": (lambda c: c.send(c.settings_frame({5: 16383})), PROTOCOL_ERROR),
    "6.5.2 MAX_FRAME_SIZE too large": (lambda c: c.send(c.settings_frame({5: 1 << 24})), PROTOCOL_ERROR),
    "6.6 PUSH_PROMISE": (frames((PUSH_PROMISE, 4, 1, u32(2))), PROTOCOL_ERROR),
    "6.7 PING of a stream": (frames((PING, 0, 1, b"12345678")), PROTOCOL_ERROR),
    "6.7 PING of another size": (frames((PING, 0, 0, b"1234567")), FRAME_SIZE_ERROR),
    "6.8 GOAWAY of a stream": (frames((GOAWAY, 0, 1, u32(0) * 2)), PROTOCOL_ERROR),
    "6.9 WINDOW_UPDATE of 0": (frames((WINDOW_UPDATE, 0, 0, u32(0))), PROTOCOL_ERROR),
    "6.9 WINDOW_UPDATE of another size": (frames((WINDOW_UPDATE, 0, 0, b"\0\0\1")), FRAME_SIZE_ERROR),
    "6.9.1 window of the connection too large": (lambda c: c.window(0, 0x7fffffff), FLOW_CONTROL_ERROR),
    "6.10 CONTINUATION of nothing": (frames((CONTINUATION, 4, 1, b"")), PROTOCOL_ERROR),
    "6.10 something in between": (frames((HEADERS, 1, 1, b"\x82"), (PING, 0, 0, b"12345678")), PROTOCOL_ERROR),
    "6.10 CONTINUATION of another stream": (frames((HEADERS, 1, 1, b"\x82"), (CONTINUATION, 4, 3, b"")),
                                            PROTOCOL_ERROR),
    "6.10 CONTINUATION behind the end": (frames((HEADERS, 5, 1, b"\x82"), (CONTINUATION, 4, 1, b"")), PROTOCOL_ERROR),
}


@pytest.mark.parametrize("case", CONNECTION_ERRORS)
def test_connection_errors(client, case):
    act, code = CONNECTION_ERRORS[case]
    act(client)
    assert client.goaway() == code
    client.ends()


def test_settings_come_first(house):
    client = http2.connect(house, start=False)
    client.send(http2.PREFACE + http2.pack(PING, 0, 0, b"12345678"))
    assert client.goaway() == PROTOCOL_ERROR


def test_window_of_a_stream_too_large(client):
    """6.9.1: a stream error."""
    stream = half_closed(client)
    client.window(stream, 0x7fffffff)
    assert client.code_of(stream) == FLOW_CONTROL_ERROR
    assert client.get("/own").status == 200


def test_more_content_than_the_window(client, house):
    """6.9.1"""
    assert client.is_alive()
    stream = client.request(method="POST", end=False)
    connection = house.origin.take()  # and reads nothing
    for _ in range(4000):  # as fast as it goes, whatever the windows say
        client.frame(DATA, 0, stream, b"x" * 16384)
        client.stream.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            client.stream.fill()
        client.stream.sock.settimeout(10)
        if u32(FLOW_CONTROL_ERROR) in client.stream.rest:
            break
    frames_seen = []
    while not any(one.type in (GOAWAY, RST_STREAM) for one in frames_seen):
        frames_seen.append(client.pump())
    last = frames_seen[-1]
    code = client.goaway_frame[1] if last.type == GOAWAY else int.from_bytes(last.payload, "big")
    assert code == FLOW_CONTROL_ERROR
    connection.close()


IGNORED = {
    "4.1 unknown type": frames((0x42, 0xff, 0, b"abc"), (0x42, 0, 99, b"")),
    "4.1 reserved bit": lambda c: c.frame(PING, 0, 1 << 31, b"12345678"),
    "6.5.2 unknown setting": lambda c: c.send(c.settings_frame({0x4242: 7})),
    "6.3 PRIORITY of an idle stream": frames((PRIORITY, 0, 77, u32(0) + b"\x10")),
    "6.9 WINDOW_UPDATE on a closed stream": lambda c: c.window(closed(c), 1),
    "6.4 RST_STREAM of a closed stream": lambda c: c.reset(closed(c)),
    "6.7 PING ack of nothing": frames((PING, ACK, 0, b"12345678")),
}


@pytest.mark.parametrize("case", IGNORED)
def test_ignored(client, case):
    IGNORED[case](client)
    assert client.is_alive()
    assert client.get("/own").status == 200


def test_padding_is_no_content(client, house):
    """6.1; and it counts in the window."""
    stream = client.request(("content-length", "3"), method="POST", end=False)
    client.frame(DATA, PADDED | END_STREAM, stream, b"\x03abc\0\0\0")
    connection = house.origin.take()
    assert connection.request().body == b"abc"
    connection.reply()
    assert client.response(stream).status == 200


def test_a_head_in_pieces(client):
    """6.10; the first bytes one by one."""
    block = client.block(head(path="/own"))
    pieces = [block[at:at + 1] for at in range(6)] + [block[6:]]
    client.frame(HEADERS, END_STREAM, 1, pieces[0])
    for piece in pieces[1:-1]:
        client.frame(CONTINUATION, 0, 1, piece)
    client.frame(CONTINUATION, END_HEADERS, 1, pieces[-1])
    client.next = 3
    assert client.response(1).body == b"own"


def test_initial_window_changes_open_streams(client, house):
    """6.9.2"""
    client.gives = False
    client.send(client.settings_frame({INITIAL_WINDOW: 5}))
    assert client.is_alive()
    stream = client.request()
    connection = house.origin.take()
    connection.request()
    connection.reply(body=b"0123456789abcdef")
    client.next_of(stream, HEADERS)
    assert client.next_of(stream, DATA).payload == b"01234"
    client.send(client.settings_frame({INITIAL_WINDOW: 8}))
    assert client.next_of(stream, DATA).payload == b"567"
    client.send(client.settings_frame({INITIAL_WINDOW: 100}))
    assert client.next_of(stream, DATA).payload == b"89abcdef"
