# SPDX-License-Identifier: BSD-2-Clause
"""The PROXY protocol on listeners: whom a balancer names is the client, and nobody but a balancer is believed."""

import contextlib
import os
import socket
import struct

import pytest

from lib.client import Client
from lib.message import Closed
from lib.patience import PATIENCE, eventually
from lib.ports import free_port

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
WHO = 'respond 200 "$client_addr $client_port $peer_addr";'


def v1(source="192.0.2.7", target="198.51.100.1", ports=(4711, 443)):
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {target} {ports[0]} {ports[1]}\r\n".encode()


def v2(source="192.0.2.7", target="198.51.100.1", ports=(4711, 443), command=1, extensions=b""):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, target) + struct.pack("!HH", *ports)
    kind = 0x21 if ":" in source else 0x11
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, kind, len(ends) + len(extensions)) + ends + extensions


def text(response):
    assert response.status == 200, response.status
    return response.body.decode()


def ask(client, header=b"", *fields):
    """The header and the request in one piece, as balancers send them."""
    lines = ["GET / HTTP/1.1", "Host: a.test", *fields, "", ""]
    client.send(header + "\r\n".join(lines).encode())
    return client.response()


@pytest.fixture
def door(weir):
    """One site behind a balancer at 127.0.0.1; clients of it come from there or, untrusted, from 127.0.0.2."""
    port = free_port()
    one = weir(f"""
        timeout header=2s;
        trusted_proxies 203.0.113.0/24;
        site _ {{ listen 127.0.0.1:{port} proxy_protocol=127.0.0.1; {WHO} }}
    """)
    one.door = port
    return one


def connect(weir, port, source=None):
    if not source:
        return weir.connect(port)
    sock = socket.socket()
    sock.settimeout(PATIENCE)
    sock.bind((source, 0))
    sock.connect(("127.0.0.1", port))
    client = Client.__new__(Client)
    super(Client, client).__init__(sock, PATIENCE)
    weir.clients.append(client)
    return client


@pytest.mark.parametrize("header, expected", [
    (v1(), "192.0.2.7 4711 127.0.0.1"),
    (v2(), "192.0.2.7 4711 127.0.0.1"),
    (v1("2001:db8::7", "2001:db8::1"), "2001:db8::7 4711 127.0.0.1"),
    (v2("2001:db8::7", "2001:db8::1"), "2001:db8::7 4711 127.0.0.1"),
    (v2("::ffff:192.0.2.9", "::ffff:198.51.100.1"), "192.0.2.9 4711 127.0.0.1"),
    (v2(extensions=b"\x02\x00\x06a.test" + b"\x04\x00\x01\x00"), "192.0.2.7 4711 127.0.0.1"),
])
def test_the_announced_client_is_the_client(door, header, expected):
    client = connect(door, door.door)
    assert text(ask(client, header)) == expected
    assert text(ask(client)) == expected  # it is the connection's


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", v2(command=0),
                                    SIGNATURE + b"\x21\x31\x00\xd8" + b"/run/c".ljust(108, b"\0") * 2])
def test_a_header_without_address_leaves_the_balancer(door, header):
    assert text(ask(connect(door, door.door), header)).endswith("127.0.0.1")


def test_a_header_may_come_in_pieces(door):
    for header in (v1(), v2()):
        client = connect(door, door.door)
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(header)):
            client.send(header[i:i + 1])
        assert text(ask(client)).startswith("192.0.2.7 ")


def test_nobody_else_is_believed(door):
    """From another peer a header is a malformed request, whatever it says; without one it is a plain client."""
    for header in (v1(), v2()):
        client = connect(door, door.door, "127.0.0.2")
        client.send(header + b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert client.response().status == 400
    client = connect(door, door.door, "127.0.0.2")
    assert text(ask(client)).startswith("127.0.0.2 ")


def test_a_second_header_is_not_believed(door):
    client = connect(door, door.door)
    client.send(v1() + v1("198.51.100.66") + b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert client.response().status == 400


@pytest.mark.parametrize("first", [
    b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
    b"PROXY UNKNOWN " + b"x" * 200,
    v2()[:12] + b"\x11" + v2()[13:],
    SIGNATURE + b"\x21\x11\xff\xff" + b"\0" * 64,
    SIGNATURE + b"\x21\x11\x00\x17" + v2()[16:] + b"\x03\x00\x04\1\2\3\4" + b"\x04\x00\x01\x00",
])
def test_a_balancer_has_to_send_a_good_header(door, first):
    client = connect(door, door.door)
    with contextlib.suppress(OSError):  # closed while it is sent
        client.send(first)
    assert client.is_closed()
    eventually(lambda: "PROXY header of 127.0.0.1 refused" in door.log(), "the log says why")


def test_what_does_not_come_is_not_waited_for(door):
    """Nothing, half a header, and one that trickles: closed at `timeout header=`, which is a total."""
    silent, half, slow = (connect(door, door.door) for _ in range(3))
    half.send(v2()[:20])
    header = v1()[:-2] + b"\r"
    alive = True
    for i in range(len(header)):
        if not alive:
            break
        with contextlib.suppress(OSError):
            slow.send(header[i:i + 1])
        slow.sock.settimeout(0.2)
        try:
            alive = slow.sock.recv(1) != b""
        except TimeoutError:
            continue
        except OSError:
            alive = False
    assert not alive
    assert silent.is_closed() and half.is_closed()
    assert "no PROXY header from 127.0.0.1 in time" in door.log()


def test_a_header_cut_short_ends_the_connection(door):
    client = connect(door, door.door)
    client.send(v2()[:20])
    client.sock.shutdown(socket.SHUT_WR)
    assert client.is_closed()


def test_a_look_at_the_port_is_no_news(door):
    """Balancers' health checks open and close."""
    connect(door, door.door).close()
    assert text(ask(connect(door, door.door), v1())).startswith("192.0.2.7 ")
    assert "PROXY header" not in door.log()


def test_x_forwarded_for_counts_when_the_announced_peer_is_trusted(door):
    """The header says who the peer is; what that one says of others is believed as of any peer."""
    client = connect(door, door.door)
    assert text(ask(client, v1("203.0.113.9"), "X-Forwarded-For: 192.0.2.55")).startswith("192.0.2.55 ")
    assert text(ask(connect(door, door.door), v1(), "X-Forwarded-For: 192.0.2.55")).startswith("192.0.2.7 ")


def test_a_balancer_that_says_nothing_does_not_lend_its_trust(weir):
    """UNKNOWN may stand for anyone: the balancer's own place in trusted_proxies is not theirs."""
    port = free_port()
    one = weir(f"""
        trusted_proxies 127.0.0.1;
        site _ {{ listen 127.0.0.1:{port} proxy_protocol=127.0.0.1; {WHO} }}
    """)
    for header in (b"PROXY UNKNOWN\r\n", v2(command=0)):
        answer = text(ask(connect(one, port), header, "X-Forwarded-For: 192.0.2.55"))
        assert answer.startswith("127.0.0.1 ")


def test_guards_and_log_see_the_announced_client(weir):
    port = free_port()
    one = weir(f"""
        module access; module access-log; access_log access.log "$client_addr|$peer_addr|$status" buffer=0;
        site _ {{
            listen 127.0.0.1:{port} proxy_protocol=127.0.0.1;
            route /r client=192.0.2.0/24 {{ respond 200 "inner"; }}
            route / {{ deny 192.0.2.8; {WHO} }}
        }}
    """)
    assert ask(connect(one, port), v1("192.0.2.8")).status == 403
    assert ask(connect(one, port), v1("192.0.2.9")).status == 200
    client = connect(one, port)
    client.send(v2() + b"GET /r HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert client.response().body == b"inner"
    log = one.folder / "access.log"
    eventually(lambda: log.exists() and len(log.read_text().splitlines()) == 3, "three lines")
    assert sorted(log.read_text().splitlines()) == [
        "192.0.2.7|127.0.0.1|200", "192.0.2.8|127.0.0.1|403", "192.0.2.9|127.0.0.1|200"]


def test_connections_are_counted_by_announced_client(weir):
    """per_client: not the balancer is limited, but each of those behind it."""
    port = free_port()
    one = weir(f"""
        max_connections auto per_client=2;
        site _ {{ listen 127.0.0.1:{port} proxy_protocol=127.0.0.1; {WHO} }}
    """)
    held = [connect(one, port) for _ in range(4)]
    for client, source in zip(held, ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2"]):
        assert text(ask(client, v1(source))).startswith(source)
    third = connect(one, port)
    third.send(v1("192.0.2.1"))
    assert third.is_closed()
    held[0].close()

    def has_room():
        client = connect(one, port)
        with contextlib.suppress(OSError, Closed):
            return ask(client, v1("192.0.2.1")).status == 200
        return False
    eventually(has_room, "room for another one")


def test_before_tls(weir, certificates):
    port = free_port()
    one = weir(f"""
        module tls;
        site a.test {{
            listen 127.0.0.1:{port} tls proxy_protocol=127.0.0.1;
            tls_certificate {certificates["a"]};
            {WHO}
        }}
    """)
    for header in (v1(), v2("2001:db8::7", "2001:db8::1")):
        client = connect(one, port)
        client.send(header)
        client.sock = certificates.client().wrap_socket(client.sock, server_hostname="a.test")
        assert text(ask(client)) == ("192.0.2.7" if header == v1() else "2001:db8::7") + " 4711 127.0.0.1"


def test_ipv6_and_unix_listeners(weir):
    port = free_port()
    one = weir(f"""
        site _ {{
            listen [::1]:{port} proxy_protocol=::1;
            listen unix:door.sock proxy_protocol=unix;
            {WHO}
        }}
    """)
    client = one.connect(port, "::1")
    assert text(ask(client, v2("2001:db8::7", "2001:db8::1"))) == "2001:db8::7 4711 ::1"
    client = Client(os.fspath(one.folder / "door.sock"))
    one.clients.append(client)
    assert text(ask(client, v1())) == "192.0.2.7 4711 unix:"


def test_the_origin_is_told_of_the_announced_client(weir, origin):
    port = free_port()
    one = weir(f"site _ {{ listen 127.0.0.1:{port} proxy_protocol=127.0.0.1; proxy {origin.url}; }}")
    client = connect(one, port)
    client.send(v2() + b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")
    connection = origin.take()
    request = connection.request()
    connection.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert client.response().status == 204
    assert request.all("X-Forwarded-For") == ["192.0.2.7"]
    assert request.all("X-Forwarded-Port") == ["443"]


def test_a_reload_changes_who_is_asked_for_a_header(weir):
    port = free_port()
    text_of = "site _ {{ listen 127.0.0.1:{0}{1}; {2} }}".format
    one = weir(text_of(port, "", WHO))
    assert text(ask(connect(one, port))).startswith("127.0.0.1 ")
    one.reload(text_of(port, " proxy_protocol=127.0.0.1", WHO))
    eventually(lambda: ask(connect(one, port), v1()).body.startswith(b"192.0.2.7 "), "headers are read")
