# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/2 clients that cost more than they pay: each ends with ENHANCE_YOUR_CALM, is counted, and hurts nobody."""

import contextlib
import re
import struct

import pytest

from lib import daemon, http2
from lib.http2 import (CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, INITIAL_WINDOW,
                       PADDED, PING, PRIORITY, PRIORITY_UPDATE, REFUSED_STREAM, SETTINGS, WINDOW_UPDATE, Reset, pack)
from lib.message import Closed
from lib.origin import Origin
from lib.patience import eventually

MB = 1024 * 1024
MANY = 20000


@pytest.fixture(scope="module")
def house():
    origin = Origin()
    text = (f"workers 1; timeout send=1s body=30s;\nsite _ {{ proxy {origin.url}; route = /own {{ respond 200 own; }} "
            "route = /metrics { metrics; } }")
    try:
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


def counted(house, kind):
    text = house.get("/metrics").body.decode()
    found = re.search(rf'^weir_http2_abuses_total\{{kind="{kind}"\}} (\d+)$', text, re.MULTILINE)
    assert found, text
    return int(found[1])


def rapid_reset(client, _):
    stream = client.request(path="/own")
    client.reset(stream)


def rapid_reset_of_proxied(client, _):
    client.reset(client.request(path="/proxied"))


def made_to_reset(client, _):
    """MadeYouReset: the client never sends a reset itself."""
    stream = client.request(method="POST", end=False, path="/proxied")
    client.window(stream, 0x7fffffff)


def malformed(client, _):
    client.headers(client.head(("connection", "close")))


def more_streams(client, _):
    client.request(method="POST", end=False, path="/proxied")


def rapid_reset_of_answered(client, number):
    """The answer is whole before the reset comes."""
    stream = client.request(path="/own")
    if number < 200:
        client.response(stream)
    client.reset(stream)


def continuation(client, number):
    if number == 0:
        client.frame(HEADERS, END_STREAM, 1, b"")
    else:
        client.frame(CONTINUATION, 0, 1, b"")


def large_block(client, number):
    block = b"\x00\x01a\x7f\x81\x7e" + b"v" * 16000  # a literal field of 16 KB, not indexed
    client.frame(*((HEADERS, END_STREAM, 1) if number == 0 else (CONTINUATION, 0, 1)), block)


def hpack_bomb(client, number):
    """One large field in the table, then many references of one byte."""
    if number == 0:
        value = b"v" * 4000
        client.frame(HEADERS, END_STREAM | END_HEADERS, 1,
                     client.block(client.head()) + b"\x40\x01a" + b"\x7f" + bytes([(4000 - 127) & 127 | 128,
                                                                                  (4000 - 127) >> 7]) + value)
    else:
        client.frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, b"\xbe" * 4000)


def empty_data(client, number):
    if number == 0:
        client.request(method="POST", end=False, path="/proxied")
    client.frame(DATA, 0, 1, b"")


def padding_alone(client, number):
    if number == 0:
        client.request(method="POST", end=False, path="/proxied")
    client.frame(DATA, PADDED, 1, b"\x03\0\0\0")


FLOODS = {
    "rapid_reset": rapid_reset,
    "rapid_reset (proxied)": rapid_reset_of_proxied,
    "rapid_reset (behind the answer)": rapid_reset_of_answered,
    "refused_streams": more_streams,
    "provoked_reset": made_to_reset,
    "provoked_reset (malformed)": malformed,
    "continuation": continuation,
    "continuation (large)": large_block,
    "header_list": hpack_bomb,
    "empty_data": empty_data,
    "empty_data (padding)": padding_alone,
    "ping": lambda client, _: client.frame(PING, 0, 0, b"12345678"),
    "settings": lambda client, _: client.frame(SETTINGS, 0, 0, b""),
    "priority": lambda client, number: client.frame(PRIORITY, 0, 2 * number + 1,
                                                    struct.pack(">IB", 2 * number + 3, 16)),
    "priority (update)": lambda client, number: client.frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 1) + b"u=1"),
    "window": lambda client, _: client.frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)),
    "unknown": lambda client, _: client.frame(0x42, 0, 0, b""),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_floods_end(client, house, flood):
    neighbour = http2.connect(house)
    kind = flood.split(" ")[0]
    before, memory = counted(house, kind), house.memory()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for number in range(MANY):
            FLOODS[flood](client, number)
            if number % 50 == 49:
                assert neighbour.get("/own").body == b"own"
                client.stream.sock.setblocking(False)
                with contextlib.suppress(BlockingIOError, Closed):
                    client.stream.fill()
                client.stream.sock.settimeout(10)
                if b"\x00\x00\x08\x07" + bytes(5) in client.stream.rest:  # GOAWAY of 8 bytes, of no stream
                    break
    try:
        assert client.goaway() == ENHANCE_YOUR_CALM
    except Closed as end:
        assert end.reset
    assert number < MANY - 1
    assert counted(house, kind) == before + 1
    assert neighbour.get("/own").body == b"own"
    assert house.memory() < memory + 32 * MB
    neighbour.stream.reset()


def test_resets_of_an_honest_client(client):
    """A page that is left with a hundred pictures on their way."""
    for stream in [client.request(path="/own") for _ in range(100)]:
        client.reset(stream)
    assert client.get("/own").body == b"own"


def test_a_reader_that_never_opens_its_window(client, house):
    """Its stream is ended after the time that a reader of HTTP/1.1 would have; the others go on."""
    client.gives = False
    client.send(client.settings_frame({INITIAL_WINDOW: 0}))
    stream = client.request()
    connection = house.origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100000)
    assert client.code_of(stream) == CANCEL
    assert connection.is_closed()
    assert client.is_alive()


def test_a_reader_that_never_opens_the_connections_window(client, house):
    client.gives = False
    stream = client.request()
    connection = house.origin.take()
    connection.request()
    connection.reply(body=b"x" * 200000)
    assert client.code_of(stream) == CANCEL
    assert client.is_alive()


def test_a_reader_that_does_not_read(house):
    """Frames that are not taken from the socket: the connection ends."""
    client = http2.connect(house, receive_buffer=4096, gives=False, settings={INITIAL_WINDOW: 0x7fffffff})
    client.window(0, 0x7fff0000 - 65535)
    client.request()
    connection = house.origin.take()
    connection.request()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 40000000\r\n\r\n" + b"x" * 40000000)
    eventually(lambda: house.status()["connections"] == 0, "the connection ends")
    client.stream.close()


def test_a_head_that_comes_slowly(weir):
    house = weir("timeout header=1s; site _ { respond 200 a; }")
    client = http2.connect(house)
    assert client.get().status == 200
    block = client.block(client.head())
    client.send(pack(HEADERS, END_STREAM | END_HEADERS, 3, block)[:-1])
    assert client.goaway() == ENHANCE_YOUR_CALM


def test_a_body_that_stops(weir, origin):
    house = weir(f"timeout body=1s; site _ {{ proxy {origin.url}; }}")
    client = http2.connect(house)
    stream = client.request(method="POST", end=False)
    origin.take().head()
    assert client.response(stream).status == 408
    assert client.is_alive()


def test_memory_of_a_connection_is_bounded(client, house):
    """As many uploads as there may be, none of which the origin reads."""
    client.is_alive()
    before = house.memory()
    streams = [client.request(method="POST", end=False, path=f"/{number}") for number in range(100)]
    connections = [house.origin.take() for _ in streams]
    for connection in connections:
        connection.head()
    for stream in streams:
        for _ in range(3):
            client.frame(DATA, 0, stream, b"x" * 16384)
    assert client.is_alive()
    assert house.memory() < before + 64 * MB
    assert client.get("/own").body == b"own"


def test_no_more_streams_than_announced(client, house):
    """RFC 9113 5.1.2: one more ends that stream alone, and its client may ask again; nothing was done."""
    client.is_alive()
    most = client.peer[3]
    assert most == 128
    streams = [client.request(method="POST", end=False, path="/proxied") for _ in range(most)]
    late = client.request(method="POST", end=False, path="/own")
    client.data(late, b"was on its way", end=True)
    with pytest.raises(Reset) as reset:
        client.response(late)
    assert reset.value.code == REFUSED_STREAM
    client.reset(streams.pop())
    assert client.get("/own").body == b"own"
    assert client.is_alive() and not client.goaway_frame


def test_as_many_streams_as_max_streams_says(weir, origin):
    house = weir(f"workers 1; max_streams 3; site _ {{ proxy {origin.url}; }}")
    client = http2.connect(house)
    client.is_alive()
    assert client.peer[3] == 3
    streams = [client.request(path=f"/{number}") for number in range(4)]
    assert client.code_of(streams[3]) == REFUSED_STREAM
    for stream in streams[:3]:
        connection = origin.take()
        connection.request()
        connection.reply(body=b"fine")
    assert [client.response(stream).body for stream in streams[:3]] == [b"fine"] * 3
    assert origin.is_quiet()


def test_streams_asked_for_before_the_settings_came(weir, answering):
    """A client that does not know of a limit may pass it: what is refused is asked again (RFC 9113 5.1.2, 8.7)."""
    page = answering()
    house = weir(f"workers 1; site _ {{ proxy {page.url}; }}")
    client = http2.connect(house, start=False)
    client.send(http2.PREFACE + client.settings_frame({}) +
                b"".join(pack(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, client.block(client.head()))
                         for number in range(400)))
    answered = 0
    for number in range(400):
        try:
            answered += client.response(2 * number + 1).status == 200
        except Reset as reset:
            assert reset.code == REFUSED_STREAM
    assert 128 <= answered <= 400 and not client.goaway_frame
