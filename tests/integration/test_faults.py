# SPDX-License-Identifier: BSD-2-Clause
"""Peers that stop in the middle: wherever it happens, weir goes on and gives back what it held."""

import contextlib
import socket
import ssl
import threading

import pytest

from lib.daemon import serving
from lib.message import Closed
from lib.origin import Origin
from lib.patience import eventually

REPLIES = {
    "length": (b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"5;x=\"y\"\r\nhello\r\n6\r\n world\r\n0\r\nX-T: u\r\n\r\n", b"hello world"),
    "interim": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    "no body": (b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", b""),
}


class Reader(threading.Thread):
    """Reads one answer in the background: what it got, or how it ended."""

    def __init__(self, client):
        super().__init__()
        self.client, self.answer, self.failure = client, None, None
        self.start()

    def run(self):
        try:
            answer = self.client.head()
            while answer.status < 200:
                answer = self.client.head()
            self.answer = self.client.body(answer)
        except (Closed, OSError) as failure:
            self.failure = failure


@pytest.mark.parametrize("kind", REPLIES)
def test_answers_split_at_every_byte(stage, kind):
    """Where the origin's segments end means nothing: each first piece is seen alone, as weir serves others between."""
    reply, body = REPLIES[kind]
    client, other = stage.client(), stage.client()
    for at in range(1, len(reply)):
        client.request()
        connection = stage.origin.take()
        connection.request()
        connection.send(reply[:at])
        other.send(b"GET /between HTTP/1.1\r\nHost: a\r\n\r\n")
        between = stage.origin.take()
        between.request()
        between.reply()
        assert other.response().status == 200
        connection.send(reply[at:])
        answer = client.head()
        while answer.status < 200:
            answer = client.head()
        assert client.body(answer).body == body, at


def test_an_answer_byte_by_byte(stage):
    client = stage.client()
    client.request()
    connection = stage.origin.take()
    connection.request()
    reader = Reader(client)
    for byte in REPLIES["chunked"][0]:
        connection.send(bytes([byte]))
    reader.join()
    assert reader.answer.body == b"hello world" and reader.answer.trailers == [("X-T", "u")]


@pytest.fixture(scope="module")
def abused():
    """A daemon with modules at work in front of an origin, and how many descriptors it had at first."""
    origin = Origin()
    text = f"""workers 1; gzip on; access_log access.log; response_header set X-A $host;
               upstream u {{ server 127.0.0.1:{origin.port} max_fails=0; keepalive 0; }} site _ {{ proxy u; }}"""
    try:
        with serving(text, modules=["gzip", "access-log", "headers"]) as weir:
            weir.origin = origin
            one = weir.connect()
            one.request("GET", "/", "Connection: close")
            connection = origin.take()
            connection.request()
            connection.reply()
            assert one.response().status == 200
            connection.close()
            eventually(lambda: weir.status()["connections"] == 0, "the first connection is over")
            weir.fds_at_rest = weir.fds()
            yield weir
    finally:
        origin.stop()


@pytest.fixture
def rested(abused):
    """The daemon; afterwards it must hold no more than before."""
    yield abused
    for client in abused.clients:
        client.close()
    abused.clients.clear()

    def is_over():
        """A client that closed may have closed half of it: such a request is over when its origin ends it."""
        abused.origin.close_all()
        return abused.status()["connections"] == 0

    eventually(is_over, "all connections are over")
    eventually(lambda: abused.fds() <= abused.fds_at_rest, "all descriptors are given back")
    abused.origin.close_all()  # what was given up before it was accepted


REQUEST = (b"PUT /x HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
           b"5\r\nhello\r\n0\r\n\r\n")
REPLY = (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"800\r\n" + b"x" * 2048 + b"\r\n800\r\n" + b"y" * 2048 + b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("how", ["close", "reset"])
def test_clients_that_leave_after_each_byte_of_their_request(rested, how):
    for at in range(len(REQUEST) + 1):
        client = rested.connect()
        client.send(REQUEST[:at])
        getattr(client, how)()


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("step", range(0, len(REPLY), 149))
def test_clients_that_leave_during_the_answer(rested, how, step):
    client = rested.connect()
    client.send(REQUEST)
    connection = rested.origin.take()
    connection.request()
    connection.send(REPLY[:step])
    getattr(client, how)()
    with contextlib.suppress(OSError):
        connection.send(REPLY[step:])


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("point", [*range(0, 86, 5), *range(100, len(REPLY), 300)])
def test_origins_that_leave_during_their_answer(rested, how, point):
    """Before the head is whole: 502. Later: broken off, never made to look complete."""
    client = rested.connect()
    client.send(REQUEST)
    connection = rested.origin.take()
    connection.request()
    connection.send(REPLY[:point])
    getattr(connection, how)()
    reader = Reader(client)
    reader.join()
    if point < REPLY.index(b"\r\n\r\n") + 4:
        assert reader.answer is not None and reader.answer.status == 502
    else:
        assert reader.failure is not None or reader.answer.status == 502


@pytest.mark.parametrize("how", ["close", "reset", "half_close"])
@pytest.mark.parametrize("seen", ["nothing", "head", "part of the body"])
def test_origins_that_leave_during_the_request(rested, how, seen):
    client = rested.connect()
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", b"x" * 500)
    connection = rested.origin.accept()
    if seen != "nothing":
        connection.head()
    if seen == "part of the body":
        connection.exactly(500)
    getattr(connection, how)()
    assert client.response().status == 502


def test_clients_that_leave_while_weir_connects(weir):
    """The request is over before its upstream connection exists."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    for sock in waiting:
        sock.setblocking(False)
        sock.connect_ex(full.getsockname())
    one = weir(f"workers 1; timeout connect=60s; site _ {{ proxy http://127.0.0.1:{full.getsockname()[1]}; }}")
    before = one.fds()
    for _ in range(20):
        one.connect().request().reset()
    eventually(lambda: one.status()["connections"] == 0 and one.fds() <= before, "all is given back")
    for sock in [full, *waiting]:
        sock.close()


def test_tunnels_that_end_on_either_side(rested):
    for how in ("close", "reset"):
        for side in ("client", "origin"):
            client = rested.connect()
            client.request("GET", "/", "Connection: Upgrade", "Upgrade: websocket")
            connection = rested.origin.take()
            connection.request()
            connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi")
            assert client.head().status == 101 and client.exactly(2) == b"hi"
            first, second = (client, connection) if side == "client" else (connection, client)
            getattr(first, how)()
            assert second.is_closed()
            second.close()


def test_handshakes_that_stop(weir, certificates):
    """A ClientHello cut at every byte."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = certificates.client().wrap_bio(incoming, outgoing, server_hostname="a.test")
    with contextlib.suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    sent = outgoing.read()
    one = weir(f"workers 1; site a.test {{ tls_certificate {certificates['a']}; respond 200 ok; }}", modules=["tls"])
    assert one.connect_tls(certificates.client()).get("/", "Connection: close").status == 200
    eventually(lambda: one.status()["connections"] == 0, "the first connection is over")
    before = one.fds()
    for at in range(0, len(sent) + 1, 3):
        with socket.create_connection(("127.0.0.1", one.https_port)) as sock:
            sock.sendall(sent[:at])
    eventually(lambda: one.status()["connections"] == 0 and one.fds() <= before, "all is given back")
    assert one.connect_tls(certificates.client()).get().status == 200


def test_a_storm_of_mixed_ends(rested):
    """All of it at once, and an honest client in between is always served."""
    errors = []

    def storm(seed):
        try:
            for number in range(40):
                client = rested.connect()
                client.send(REQUEST[:(seed * 37 + number * 11) % len(REQUEST)])
                (client.reset if number % 2 else client.close)()
        except OSError as failure:
            errors.append(failure)

    storms = [threading.Thread(target=storm, args=(seed,)) for seed in range(4)]
    for one in storms:
        one.start()
    for one in storms:
        one.join()
    assert errors == []
    client = rested.connect()
    client.request()
    for _ in range(200):
        connection = rested.origin.take()
        try:
            request = connection.request()
        except Closed:
            connection.close()
            continue
        if request.method == "GET":
            connection.reply(body=b"honest")
            break
        connection.close()
    assert client.response().body == b"honest"
