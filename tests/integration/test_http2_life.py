# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/2 connections from their beginning to their end: priorities, idleness, reloads, stops, WebSockets (RFC 8441)."""

import shutil
import struct
import subprocess

import pytest

from lib import http2
from lib.http2 import (DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW, NO_ERROR, PRIORITY_UPDATE,
                       RST_STREAM)
from lib.origin import websocket_answer
from lib.patience import eventually


@pytest.fixture
def house(weir, origin):
    """One worker, so that the connections of a test share it."""
    one = weir(f"workers 1;\nsite _ {{ proxy {origin.url}; route = /own {{ respond 200 own; }} }}")
    one.origin = origin
    return one


# -- priorities --------------------------------------------------------------------------------------------------------


def waiting(client, origin, *priorities):
    """Streams with 100,000 bytes each, of which no content fits into the connection's window any more."""
    client.gives = False
    streams = []
    filler = client.request(path="/filler")
    first = origin.take()
    first.request()
    first.reply(body=b"f" * 65535)
    left = 65535
    while left:
        left -= len(client.next_of(filler, DATA).payload)
    for priority in priorities:
        streams.append(client.request(*([("priority", priority)] if priority is not None else []), path="/waits"))
        connection = origin.take()
        connection.request()
        connection.reply(body=b"x" * 100000)
        client.next_of(streams[-1], HEADERS)
    return streams


def order(client, frames):
    """Whose content comes when the connection's window is opened for so many full frames."""
    client.window(0, 16384 * frames)
    seen = []
    while len(seen) < frames:
        frame = client.pump()
        if frame.type == DATA:
            seen.append(frame.stream)
    return seen


def test_the_urgent_comes_first(house):
    client = http2.connect(house, settings={INITIAL_WINDOW: 1 << 20})
    late, soon = waiting(client, house.origin, "u=6", "u=1")
    assert order(client, 5) == [soon] * 5
    assert set(order(client, 4)) == {soon, late}  # its rest, then the other


def test_incremental_ones_take_turns(house):
    client = http2.connect(house, settings={INITIAL_WINDOW: 1 << 20})
    one, other = waiting(client, house.origin, "i", "i")
    seen = order(client, 6)
    assert sorted(seen) == [one] * 3 + [other] * 3
    assert seen != sorted(seen)


def test_others_come_one_by_one(house):
    """RFC 9218 4.2: what cannot be used in part is of no use in turns."""
    client = http2.connect(house, settings={INITIAL_WINDOW: 1 << 20})
    one, _ = waiting(client, house.origin, "u=3", "u=3")
    assert order(client, 5) == [one] * 5


def test_without_a_signal_streams_take_turns(house):
    client = http2.connect(house, settings={INITIAL_WINDOW: 1 << 20})
    one, other = waiting(client, house.origin, None, None)
    assert sorted(order(client, 6)) == [one] * 3 + [other] * 3


def test_a_priority_may_change(house):
    """RFC 9218 7.1"""
    client = http2.connect(house, settings={INITIAL_WINDOW: 1 << 20})
    one, other = waiting(client, house.origin, "u=2", "u=3")
    client.frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", other) + b"u=0")
    assert client.is_alive()
    assert order(client, 5) == [other] * 5
    assert one


# -- the end -----------------------------------------------------------------------------------------------------------


def test_an_idle_connection_ends_in_order(weir):
    house = weir("timeout idle=1s; site _ { respond 200 own; }")
    client = http2.connect(house)
    assert client.get().status == 200
    client.ends()
    assert client.goaway_frame == (1, NO_ERROR)


def test_a_connection_that_says_nothing_ends(weir):
    house = weir("timeout header=1s; site _ { respond 200 own; }")
    client = http2.connect(house)
    client.ends()
    assert client.goaway_frame == (0, NO_ERROR)


def test_streams_live_through_a_reload(house):
    client = http2.connect(house)
    stream = client.request()
    connection = house.origin.take()
    connection.request()
    house.reload("workers 1;\nsite _ { respond 200 new; }")
    assert client.get("/own").body == b"new"
    connection.reply(body=b"old")
    assert client.response(stream).body == b"old"
    assert not client.goaway_frame


def test_a_stop_lets_streams_end(house):
    """RFC 9113 6.8: first a GOAWAY that refuses nothing, then one that says what was taken."""
    client = http2.connect(house)
    stream = client.request()
    connection = house.origin.take()
    connection.request()
    house.terminate()
    seen = []
    while len(seen) < 2:
        frame = client.pump()
        if frame.type == GOAWAY:
            seen.append(struct.unpack(">II", frame.payload[:8]))
    assert seen == [(0x7fffffff, NO_ERROR), (stream, NO_ERROR)]
    late = client.request(path="/own")  # on its way, and not taken
    connection.reply(body=b"the end")
    assert client.response(stream).body == b"the end"
    rest = client.ends()
    assert not any(frame.stream == late and frame.type in (HEADERS, DATA) for frame in rest)
    assert house.wait() == 0


def test_a_stop_ends_idle_connections(house):
    client = http2.connect(house)
    assert client.get("/own").status == 200
    house.terminate()
    client.ends()
    assert client.goaway_frame == (1, NO_ERROR)
    assert house.wait() == 0


def test_a_goaway_of_the_client(house):
    """Its streams are served to their end."""
    client = http2.connect(house)
    stream = client.request()
    connection = house.origin.take()
    connection.request()
    client.frame(GOAWAY, 0, 0, struct.pack(">II", 0, NO_ERROR))
    connection.reply(body=b"last")
    assert client.response(stream).body == b"last"
    client.ends()
    eventually(lambda: house.status()["connections"] == 0, "the connection ends")


# -- WebSocket over HTTP/2 ---------------------------------------------------------------------------------------------


def websocket(client, *fields, path="/chat"):
    target = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path),
              (":authority", "a.test")]
    return client.headers(target + [("sec-websocket-version", "13"), ("origin", "http://a.test"), *fields],
                          flags=END_HEADERS)


def test_extended_connect_is_announced(house):
    client = http2.connect(house)
    assert client.is_alive()
    assert client.peer[8] == 1


def test_websocket(house):
    client = http2.connect(house)
    stream = websocket(client, ("sec-websocket-protocol", "chat"))
    client.data(stream, b"early")
    connection = house.origin.take()
    request = connection.accept_websocket("Sec-WebSocket-Protocol: chat")
    assert (request.method, request.target) == ("GET", "/chat")
    assert request.get("Upgrade") == "websocket" and request.get("Connection") == "Upgrade"
    assert request.get("Sec-WebSocket-Version") == "13" and request.get("Origin") == "http://a.test"
    answer = dict(client.next_of(stream).payload)
    assert answer[":status"] == "200" and answer["sec-websocket-protocol"] == "chat"
    assert not {"upgrade", "connection", "sec-websocket-accept"} & set(answer)
    assert connection.exactly(5) == b"early"
    for number in range(3):
        client.data(stream, b"up %d" % number)
        assert connection.exactly(4) == b"up %d" % number
        connection.send(b"down %d" % number)
        assert client.next_of(stream, DATA).payload == b"down %d" % number
    assert client.get("/own").body == b"own"  # beside it
    client.data(stream, b"bye", end=True)
    assert connection.to_end() == b"bye"
    connection.close()
    assert client.next_of(stream, DATA).flags & END_STREAM


def test_the_log_has_the_status_that_the_client_saw(weir, origin, folder):
    house = weir(f'workers 1; access_log {folder}/log "$status $upstream_status"; site _ {{ proxy {origin.url}; }}',
                 modules=["access-log"])
    client = http2.connect(house)
    stream = websocket(client)
    connection = origin.take()
    connection.accept_websocket()
    assert dict(client.next_of(stream, HEADERS).payload)[":status"] == "200"
    connection.close()
    client.data(stream, b"", end=True)
    eventually(lambda: house.cli("reload").returncode == 0 and (folder / "log").read_text() == "200 101\n", "its line")


@pytest.mark.parametrize("proof", ["", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
                                   "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Accept: %s\r\n",
                                   "Sec-WebSocket-Accept: x%s\r\n"])
def test_an_answer_to_another_key(house, proof):
    """RFC 6455 4.1: the key is weir's own, so nobody but weir can see that the answer is not the origin's to it."""
    client = http2.connect(house)
    stream = websocket(client)
    connection = house.origin.take()
    due = websocket_answer(connection.request())
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
                    proof.replace("%s", due).encode() + b"\r\n")
    assert client.response(stream).status == 502
    assert "Sec-WebSocket-Accept does not fit the key" in house.log()
    assert connection.is_closed()
    assert client.is_alive()


def test_websocket_that_the_origin_ends(house):
    client = http2.connect(house)
    stream = websocket(client)
    connection = house.origin.take()
    connection.accept_websocket()
    client.next_of(stream, HEADERS)
    connection.send(b"last words")
    connection.close()
    received = b""
    while True:
        frame = client.next_of(stream, DATA, RST_STREAM)
        if frame.type == RST_STREAM or frame.flags & END_STREAM:
            received += frame.payload if frame.type == DATA else b""
            break
        received += frame.payload
    assert received == b"last words"
    assert client.is_alive()


def test_websocket_that_the_client_resets(house):
    client = http2.connect(house)
    stream = websocket(client)
    connection = house.origin.take()
    connection.accept_websocket()
    client.next_of(stream, HEADERS)
    client.reset(stream)
    assert connection.is_closed()
    assert client.is_alive()


@pytest.mark.parametrize("status", [403, 404, 503])
def test_websocket_refused(house, status):
    client = http2.connect(house)
    stream = websocket(client)
    connection = house.origin.take()
    connection.request()
    connection.reply(status, body=b"no")
    answer = client.response(stream)
    assert (answer.status, answer.body) == (status, b"no")


def test_an_origin_that_knows_no_websocket(house):
    """A 200 would open the stream for the client: RFC 8441 5."""
    client = http2.connect(house)
    stream = websocket(client)
    connection = house.origin.take()
    connection.request()
    connection.reply(200, body=b"<html>")
    assert client.response(stream).status == 502
    assert client.is_alive()


# -- clients of others -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("h2load"), reason="h2load is not installed (./dev setup test)")
def test_h2load(weir, answering):
    origin = answering()
    house = weir(f"site _ {{ proxy {origin.url}; route = /own {{ respond 200 own; }} }}")
    done = subprocess.run(["h2load", "-n", "2000", "-c", "4", "-m", "32", f"http://127.0.0.1:{house.http_port}/own"],
                          capture_output=True, text=True, timeout=120)
    assert "2000 succeeded, 0 failed" in done.stdout, done.stdout


@pytest.mark.skipif(not shutil.which("nghttp"), reason="nghttp is not installed (./dev setup test)")
def test_nghttp(house, folder):
    (folder / "body").write_bytes(b"x" * 100000)
    done = subprocess.Popen(["nghttp", "-d", str(folder / "body"), "--trailer", "x-sum: 1",
                             f"http://127.0.0.1:{house.http_port}/up"], stdout=subprocess.PIPE)
    connection = house.origin.take()
    request = connection.request()
    assert request.body == b"x" * 100000
    connection.reply(body=b"done")
    assert done.communicate(timeout=30)[0] == b"done"


def test_websocket_through_two(weir, origin):
    """HTTP/2 to a second weir as well. Whoever ends its side first: the other's end is one, and no reset."""
    second = weir(f"workers 1; site _ {{ proxy {origin.url}; }}")
    first = weir(f"workers 1; upstream second {{ server 127.0.0.1:{second.http_port}; protocol h2; }}\n"
                 "site _ { proxy second; }")
    client = http2.connect(first)
    assert client.is_alive()
    for client_ends_first in (True, False):
        stream = websocket(client)
        connection = origin.take()
        connection.accept_websocket()
        assert dict(client.next_of(stream, HEADERS).payload)[":status"] == "200"
        client.data(stream, b"up", end=client_ends_first)
        assert connection.exactly(2) == b"up"
        connection.send(b"down")
        assert client.next_of(stream, DATA).payload == b"down"
        if client_ends_first:
            assert connection.is_closed()
        connection.half_close()
        last = client.next_of(stream, DATA, RST_STREAM)
        assert last.type == DATA and last.flags & END_STREAM
        if not client_ends_first:
            client.data(stream, b"", end=True)
            assert connection.is_closed()
        connection.close()
    assert client.is_alive()
    assert "reset" not in first.log() + second.log()
