# SPDX-License-Identifier: BSD-2-Clause
"""The PROXY protocol towards origins: first on each connection, one client each, before TLS and for health checks."""

import struct

import pytest

from lib.client import Client
from lib.patience import eventually
from lib.ports import free_port

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def upstream(origin, *words):
    return f"upstream u {{ server 127.0.0.1:{origin.port}; {' '.join(words)} }} site _ {{ proxy u; }}"


def read_v1(connection):
    return connection.until(b"\r\n").decode().split()


def read_v2(connection):
    head = connection.exactly(16)
    assert head[:12] == SIGNATURE
    return head[12], head[13], connection.exactly(struct.unpack("!H", head[14:])[0])


def ends(client):
    """Of the client's connection: as version 1 writes them."""
    source, target = client.sock.getsockname(), client.sock.getpeername()
    return [source[0], target[0], str(source[1]), str(target[1])]


def serve(origin_connection, client, target="/"):
    request = origin_connection.request()
    origin_connection.reply()
    assert client.response().status == 200
    return request


def test_version_1(weir, origin):
    one = weir(upstream(origin, "proxy_protocol v1;"))
    client = one.connect()
    client.request()
    connection = origin.accept()
    assert read_v1(connection) == ["PROXY", "TCP4", *ends(client)]
    serve(connection, client)


def test_version_2(weir, origin):
    one = weir(upstream(origin, "proxy_protocol v2;"))
    client = one.connect()
    client.request()
    connection = origin.accept()
    command, family, said = read_v2(connection)
    assert (command, family) == (0x21, 0x11)
    source, target = client.sock.getsockname(), client.sock.getpeername()
    assert said == bytes([127, 0, 0, 1] * 2) + struct.pack("!HH", source[1], target[1])
    serve(connection, client)


def test_a_connection_is_used_again_by_its_client_only(weir, origin):
    one = weir("workers 1;" + upstream(origin, "proxy_protocol v1;"))
    first, second = one.connect(), one.connect()
    first.request()
    of_first = origin.accept()
    assert read_v1(of_first)[2:] == ends(first)
    serve(of_first, first)
    second.request()
    of_second = origin.accept()
    assert read_v1(of_second)[2:] == ends(second)
    serve(of_second, second)
    for client, connection in ((first, of_first), (second, of_second)):
        client.request()
        serve(connection, client)  # no header stands before it
    assert origin.accepted == 2


def test_who_was_named_to_weir_is_named_on(weir, origin):
    """A header that came in, and X-Forwarded-For of a trusted proxy: the client is the same everywhere."""
    port = free_port()
    one = weir(f"""
        trusted_proxies 192.0.2.0/24;
        upstream u {{ server 127.0.0.1:{origin.port}; proxy_protocol v1; }}
        site _ {{ listen 127.0.0.1:{port} proxy_protocol=127.0.0.1; proxy u; }}
    """)
    rows = [(b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", [], "TCP6 2001:db8::7 2001:db8::1 4711 443"),
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n", ["X-Forwarded-For: 203.0.113.9"],
             "TCP4 203.0.113.9 198.51.100.1 0 443"),
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n", ["X-Forwarded-For: 2001:db8::9"],
             "TCP6 2001:db8::9 ::ffff:198.51.100.1 0 443"),
            (b"PROXY UNKNOWN\r\n", [], "UNKNOWN")]
    for header, fields, expected in rows:
        client = one.connect(port)
        client.send(header)
        client.request("GET", "/", *fields)
        connection = origin.accept()
        assert " ".join(read_v1(connection)[1:]) == expected
        serve(connection, client)


@pytest.mark.parametrize("version", [1, 2])
def test_before_the_tls_handshake(weir, origin, certificates, version):
    one = weir(f"""
        module tls;
        upstream u {{
            server 127.0.0.1:{origin.port}; proxy_protocol v{version};
            tls on; tls_ca {certificates.path("ca.crt")}; tls_server_name localhost;
        }}
        site _ {{ proxy u; }}
    """)
    client = one.connect()
    client.request()
    connection = origin.accept()
    sock = connection.sock
    header = sock.recv(16)  # exactly as much as is due: the rest is TLS's
    if version == 1:
        while not header.endswith(b"\r\n"):
            header += sock.recv(1)
        assert header.decode().split() == ["PROXY", "TCP4", *ends(client)]
    else:
        assert header[:12] == SIGNATURE and len(sock.recv(12)) == 12
    connection.sock = certificates.server("origin").wrap_socket(sock, server_side=True)
    serve(connection, client)


@pytest.mark.parametrize("version, expected", [(1, b"PROXY UNKNOWN\r\n"), (2, SIGNATURE + b"\x20\0\0\0")])
def test_health_checks_are_weirs_own(weir, origin, version, expected):
    weir(upstream(origin, f"proxy_protocol v{version};", "health_check interval=100ms;"))
    connection = origin.accept()
    assert connection.exactly(len(expected)) == expected
    assert connection.head().target == "/"


def test_clients_of_unix_sockets_have_no_address(weir, origin, folder):
    one = weir(f"""
        upstream u {{ server 127.0.0.1:{origin.port}; proxy_protocol v2; }}
        site _ {{ listen unix:{folder}/s; proxy u; }}
    """)
    client = Client(f"{folder}/s")
    one.clients.append(client)
    client.request()
    connection = origin.accept()
    assert read_v2(connection) == (0x21, 0x00, b"")
    serve(connection, client)


def test_a_reload_that_turns_it_on_makes_new_connections(weir, origin):
    one = weir("workers 1;" + upstream(origin))
    client = one.connect()
    client.request()
    serve(origin.accept(), client)
    one.reload("workers 1;" + upstream(origin, "proxy_protocol v1;"))

    def is_announced():
        client.request()
        connection = origin.accept()
        assert read_v1(connection)[:2] == ["PROXY", "TCP4"]
        serve(connection, client)
        return True
    eventually(is_announced, "a new connection")
