# SPDX-License-Identifier: BSD-2-Clause
"""Upgrade (RFC 9110 7.8): behind a 101 weir only carries bytes. Bare sockets, python's websockets, and websockify."""

import socket
import threading

import pytest

from lib.program import start_websockify
from lib.websocket import EchoServer, WebSocket

ASK = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


def opened(stage):
    """Both ends of a tunnel."""
    client = stage.client()
    client.send(ASK)
    connection = stage.origin.take()
    request = connection.request()
    assert request.get("Connection").lower() == "upgrade" and request.get("Upgrade") == "websocket"
    connection.send(SWITCH)
    response = client.head()
    assert response.status == 101 and response.get("Upgrade") == "websocket"
    assert response.get("Connection").lower() == "upgrade"
    return client, connection


def test_bytes_pass_both_ways_as_they_come(stage):
    client, connection = opened(stage)
    client.send(b"\x00\xffGET / HTTP/1.1\r\n\r\n")
    assert connection.exactly(20) == b"\x00\xffGET / HTTP/1.1\r\n\r\n"
    connection.send(b"\r\n\x00")
    assert client.exactly(3) == b"\r\n\x00"


def test_bytes_right_behind_the_101_are_not_lost(stage):
    """The origin speaks first, in the same segment."""
    client = stage.client()
    client.send(ASK)
    connection = stage.origin.take()
    connection.request()
    connection.send(SWITCH + b"welcome")
    assert client.head().status == 101
    assert client.exactly(7) == b"welcome"


def test_bytes_right_behind_the_request_are_not_lost(stage):
    """The client does not wait for the 101."""
    client = stage.client()
    client.send(ASK + b"eager")
    connection = stage.origin.take()
    connection.request()
    connection.send(SWITCH)
    assert client.head().status == 101
    assert connection.exactly(5) == b"eager"


def test_one_end_may_fall_silent_before_the_other(stage):
    """A half-closed tunnel goes on in the other direction."""
    client, connection = opened(stage)
    client.send(b"last words")
    client.half_close()
    assert connection.exactly(10) == b"last words"
    assert connection.is_closed()
    connection.send(b"and the answer")
    connection.close()
    assert client.to_end() == b"and the answer"


def test_a_refused_upgrade_is_an_ordinary_answer(stage):
    """RFC 9110 7.8: an origin may ignore Upgrade; the connection goes on as HTTP."""
    client = stage.client()
    client.send(ASK)
    connection = stage.origin.take()
    connection.request()
    connection.reply(200, body=b"no")
    assert client.response().body == b"no"
    assert stage.exchange(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                          b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")[1].status == 200


@pytest.mark.parametrize("upgrade", ["h2c", "HTTP/2.0", "TLS/1.0"])
def test_upgrades_of_http_itself_do_not_pass(stage, upgrade):
    """RFC 9110 7.6.1: they would change the connection between weir and the origin."""
    request, _ = stage.exchange(
        stage.client(), f"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\r\n".encode(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert not request.has("Upgrade") and not request.has("Connection")


def test_upgrade_without_connection_does_not_pass(stage):
    """RFC 9110 7.8: Upgrade counts only when Connection names it."""
    request, _ = stage.exchange(stage.client(), b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
                                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert not request.has("Upgrade")


def test_a_switch_that_nobody_asked_for_is_502(stage):
    """RFC 9110 15.2.2."""
    client = stage.client()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    connection = stage.origin.take()
    connection.request()
    connection.send(SWITCH)
    assert client.response().status == 502


@pytest.fixture(scope="module")
def echo_server():
    server = EchoServer()
    yield server
    server.stop()


def test_websockets(weir, echo_server):
    """RFC 6455, through weir: text, binary, large messages, subprotocol, ping, the close handshake."""
    one = weir(f"site _ {{ proxy {echo_server.url}; }}")
    client = WebSocket(f"ws://127.0.0.1:{one.http_port}/chat", subprotocols=["echo"])
    assert client.socket.subprotocol == "echo"
    assert client.echo("hello") == "hello"
    assert client.echo(b"\x00\xff" * 100) == b"\x00\xff" * 100
    large = "x" * 3_000_000
    assert client.echo(large) == large
    client.ping()
    assert client.close() == 1000
    assert echo_server.handshakes[-1]["X-Forwarded-For"] == "127.0.0.1"


def test_websockets_over_tls(weir, echo_server, certificates):
    one = weir(f"site a.test {{ tls_certificate {certificates['a']}; proxy {echo_server.url}; }}", modules=["tls"])
    client = WebSocket(f"wss://a.test:{one.https_port}/", ssl=certificates.client(), server_hostname="a.test",
                       host="127.0.0.1")
    assert client.echo("secret") == "secret"
    assert client.close() == 1000


@pytest.mark.parametrize("kind", ["tls", "unix"])
def test_websockets_through_other_kinds_of_upstream(weir, folder, certificates, kind):
    """The same as above: only the way to the origin differs."""
    server = EchoServer(path=str(folder / "echo.sock") if kind == "unix" else None,
                        tls=certificates.server("origin") if kind == "tls" else None)
    to = f"tls on; tls_ca {certificates.path('ca.crt')}; tls_server_name localhost;" if kind == "tls" else ""
    address = server.url if kind == "unix" else server.address
    try:
        one = weir(f"upstream echo {{ server {address}; {to} }} site _ {{ proxy echo; }}", modules=["tls"])
        client = WebSocket(f"ws://127.0.0.1:{one.http_port}/chat", subprotocols=["echo"])
        assert client.echo("hello") == "hello"
        large = "x" * 1_000_000
        assert client.echo(large) == large
        client.ping()
        assert client.close() == 1000
    finally:
        server.stop()


def test_websockify(weir, folder):
    """A WebSocket application: websockify in front of a TCP service that echoes."""
    service = socket.create_server(("127.0.0.1", 0))

    def echo():
        connection, _ = service.accept()
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)

    threading.Thread(target=echo, daemon=True).start()
    application = start_websockify(folder, service.getsockname()[1])
    try:
        one = weir(f"site _ {{ proxy {application.url}; }}")
        client = WebSocket(f"ws://127.0.0.1:{one.http_port}/websockify", subprotocols=["binary"])
        assert client.echo(b"through websockify") == b"through websockify"
        client.close()
    finally:
        application.stop()
        service.close()
