# SPDX-License-Identifier: BSD-2-Clause
"""Nothing hangs: an exchange is walked step by step, and whoever falls silent there is ended by a deadline, with the
right answer and a line in the log."""

import contextlib
import socket
import time

import pytest

from conftest import Stage
from lib.daemon import serving
from lib.message import Closed
from lib.origin import Origin
from lib.patience import SLOWNESS, eventually

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECT = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
LONGEST = 4.0  # seconds; each deadline below is far shorter, lingering is two seconds
MS = 2 if SLOWNESS > 1 else 1  # what a deadline counts in: a step of a test must fit in


@pytest.fixture(scope="module")
def module_stage():
    """A daemon in a hurry; /full/ is an origin whose queue is full, so that connecting to it takes for ever."""
    origin, full = Origin(), socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    for sock in waiting:
        sock.setblocking(False)
        sock.connect_ex(full.getsockname())
    text = f"""workers 1;
               timeout header={300 * MS}ms body={400 * MS}ms send={400 * MS}ms idle={300 * MS}ms
                       connect={300 * MS}ms response={600 * MS}ms tunnel={400 * MS}ms;
               upstream quick {{ server 127.0.0.1:{origin.port} max_fails=0; keepalive 8 timeout=300ms; }}
               site _ {{ route /full/ {{ proxy http://127.0.0.1:{full.getsockname()[1]}; }}
                         route / {{ proxy quick; }} }}"""
    try:
        with serving(text) as weir:
            yield Stage(weir, origin)
    finally:
        origin.stop()
        for sock in [full, *waiting]:
            sock.close()


@pytest.fixture
def clock():
    """The whole test is over in time, connections and all."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < LONGEST * SLOWNESS


def gone(stage):
    eventually(lambda: stage.weir.status()["connections"] == 0, "the connection is over")


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
def test_client_that_says_nothing(stage, clock, sent):
    """timeout header: closed; there is no request to answer."""
    client = stage.client()
    client.send(sent)
    assert client.is_closed()
    gone(stage)


@pytest.mark.parametrize("sent", [b"G", GET[:-2], GET[:-1], b"\r\nGET / HTTP/1.1\r\nX: "])
def test_half_a_head(stage, clock, sent):
    """timeout header: 408 (RFC 9110 15.5.9), and the end."""
    client = stage.client()
    client.send(sent)
    response = client.response()
    assert response.status == 408 and response.get("Connection") == "close"
    assert client.is_closed()
    assert "request head not complete in time" in stage.weir.log()
    client.close()
    gone(stage)


def test_client_that_asks_no_more(stage, clock):
    """timeout idle: closed (RFC 9112 9.5); so is the origin's idle connection."""
    client = stage.client()
    stage.exchange(client, GET, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert client.is_closed()
    assert stage.origin.open[-1].is_closed()


@pytest.mark.parametrize("sent", [POST, POST + b"12345", CHUNKED, CHUNKED + b"5", CHUNKED + b"5\r\n123", EXPECT,
                                  CHUNKED + b"5\r\n12345\r\n0\r\n", CHUNKED + b"5\r\n12345\r\n0\r\nX-A: "])
def test_half_a_body(stage, clock, sent):
    """timeout body: 408, although the origin waits as well; its connection ends too."""
    client = stage.client()
    client.send(sent)
    connection = stage.origin.take()
    connection.head()
    response = client.response()
    assert response.status == 408 and response.get("Connection") == "close"
    assert "request body stalled" in stage.weir.log()
    connection.to_end()
    client.close()
    gone(stage)


def test_a_body_stalls_longer_than_an_answer_may(weir, origin, clock):
    """A client that stalls is to blame, not the origin that waits for it: 408 and not 504."""
    one = weir(f"timeout body=700ms response=200ms;\nsite _ {{ proxy {origin.url}; }}")
    client = one.connect()
    client.send(POST + b"12345")
    origin.take().head()
    assert client.response().status == 408


def test_tls_ends_with_an_alert(weir, certificates, clock):
    """RFC 9112 9.8: an idle connection that is given up is closed in order."""
    one = weir(f"timeout idle=300ms;\nsite a.test {{ tls_certificate {certificates['a']}; respond 200 ok; }}",
               modules=["tls"])
    with socket.create_connection(("127.0.0.1", one.https_port)) as plain:
        with certificates.client().wrap_socket(plain, server_hostname="a.test", suppress_ragged_eofs=False) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            got = b""
            while not got.endswith(b"ok"):
                got += sock.recv(65536)
            assert sock.recv(1) == b""


def test_tls_to_an_origin_ends_with_an_alert(weir, certificates):
    """RFC 9112 9.8: a kept connection that nobody needed again is closed in order, too."""
    origin = Origin(tls=certificates.server("origin"))
    try:
        one = weir(f"""upstream o {{ server 127.0.0.1:{origin.port}; tls on; tls_ca {certificates.path('ca.crt')};
                   keepalive 4 timeout=300ms; }} site _ {{ proxy o; }}""", modules=["tls"])
        client = one.connect().request()
        connection = origin.take()
        connection.request()
        connection.reply()
        assert client.response().status == 200
        connection.sock.suppress_ragged_eofs = False
        assert connection.sock.recv(1) == b""
    finally:
        origin.stop()


def test_an_origin_that_cannot_be_reached(stage, clock):
    """timeout connect: 504 (RFC 9110 15.6.5)."""
    client = stage.client()
    client.request("GET", "/full/x")
    assert client.response().status == 504
    assert "connection timed out" in stage.weir.log()


@pytest.mark.parametrize("sent", [b"", b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r",
                                  b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 X\r\n\r\nHTTP/1.1 2"])
def test_an_origin_that_does_not_answer(stage, clock, sent):
    """timeout response: 504, with half a head too."""
    client = stage.client()
    client.send(GET)
    connection = stage.origin.take()
    connection.request()
    connection.send(sent)
    response = client.head()
    while response.status < 200:
        response = client.head()
    assert client.body(response).status == 504
    assert "no response in time" in stage.weir.log()
    assert connection.is_closed()


@pytest.mark.parametrize("sent", [b"Content-Length: 5\r\n\r\n", b"Content-Length: 5\r\n\r\nabc",
                                  b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"Connection: close\r\n\r\nabc",
                                  b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"])
def test_an_origin_that_stops_in_its_body(stage, clock, sent):
    """timeout response: what was sent so far is cut visibly."""
    client = stage.client()
    client.send(GET)
    connection = stage.origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\n" + sent)
    response = client.head()
    assert response.status == 200
    with pytest.raises(Closed):
        client.body(response)
    assert "response stalled" in stage.weir.log()
    with contextlib.suppress(Closed):
        assert connection.is_closed()
    gone(stage)


def test_a_client_that_takes_nothing(stage, clock):
    """timeout send: reset, and the origin is let go."""
    client = stage.client(receive_buffer=4096)
    client.send(GET)
    connection = stage.origin.take()
    connection.request()
    connection.sock.settimeout(0.2)
    with contextlib.suppress(OSError):
        connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(2000):
            connection.send(b"x" * 65536)
    eventually(lambda: "nothing taken for" in stage.weir.log(), "the log says so")
    gone(stage)


def test_an_origin_that_takes_nothing(stage, clock):
    """timeout response: 504."""
    client = stage.client()
    client.sock.settimeout(0.2)
    with contextlib.suppress(OSError):
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(2000):
            client.send(b"x" * 65536)
    client.sock.settimeout(LONGEST)
    assert client.head().status == 504


def test_a_silent_tunnel(stage, clock):
    """timeout tunnel: both ends."""
    client = stage.client()
    client.send(UPGRADE)
    connection = stage.origin.take()
    connection.request()
    connection.send(SWITCH)
    assert client.head().status == 101
    client.send(b"ping")
    assert connection.exactly(4) == b"ping"
    for end in (client, connection):
        with contextlib.suppress(Closed):
            assert end.is_closed()
    gone(stage)


def test_a_tunnel_that_is_not_answered(stage, clock):
    client = stage.client()
    client.send(UPGRADE + b"eager")
    stage.origin.take().request()
    assert client.response().status == 504


@pytest.mark.parametrize("sent", [b"bad\r\n\r\n", GET.replace(b"Host: a", b"Connection: close\r\nHost: a")])
def test_a_client_that_does_not_close(stage, clock, sent):
    """RFC 9112 9.6: lingering has an end, whether or not the client sends on."""
    client = stage.client()
    client.send(sent)
    if sent.startswith(b"GET"):
        connection = stage.origin.take()
        connection.request()
        connection.reply()
    client.response()
    gone(stage)


def test_a_half_closed_client_of_a_silent_origin(stage, clock):
    client = stage.client()
    client.send(GET)
    client.half_close()
    stage.origin.take().request()
    with contextlib.suppress(Closed):
        assert client.response().status == 504
    gone(stage)
