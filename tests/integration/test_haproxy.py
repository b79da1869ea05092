# SPDX-License-Identifier: BSD-2-Clause
"""HAProxy on the other side of the PROXY protocol: in front of weir and behind it, both versions."""

import pathlib

import pytest

from lib.client import Client
from lib.patience import eventually
from lib.ports import free_port
from lib.program import start_haproxy

WHO = 'respond 200 "$client_addr $client_port $peer_addr";'


@pytest.fixture
def haproxy(folder):
    started = []

    def start(port, sections):
        started.append(start_haproxy(folder / f"haproxy{len(started)}", port, sections))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def door(weir, certificates):
    """weir, plain and with TLS, behind a balancer on this machine."""
    plain, tls = free_port(), free_port()
    one = weir(f"""
        module tls; module access-log; access_log access.log "$client_addr $peer_addr $uri" buffer=0;
        site a.test {{
            listen 127.0.0.1:{plain} proxy_protocol=127.0.0.1;
            listen 127.0.0.1:{tls} tls proxy_protocol=127.0.0.1;
            tls_certificate {certificates["a"]};
            {WHO}
        }}
    """)
    one.plain, one.tls = plain, tls
    return one


SENDERS = ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority"]


def in_front(port, address, target, words):
    return f"""
frontend in
    mode tcp
    unique-id-format %[uuid]
    bind {address}:{port}
    default_backend weir
backend weir
    mode tcp
    server weir 127.0.0.1:{target} {words}
"""


@pytest.mark.parametrize("words", SENDERS)
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_in_front(door, haproxy, words, address):
    """The client's own end, as it sees it, is what weir answers and logs; the balancer's is $peer_addr."""
    port = free_port()
    bind = f"{address}:{port},127.0.0.1" if address == "::1" else address
    haproxy(port, in_front(port, bind, door.plain, words))
    client = door.connect(port, address)
    for target in ("/one", "/two"):
        assert client.get(target).text == f"{address} {client.sock.getsockname()[1]} 127.0.0.1"
    log = door.folder / "access.log"
    eventually(lambda: log.exists() and f"{address} 127.0.0.1 /two" in log.read_text(), "a line in the log")


@pytest.mark.parametrize("words", SENDERS)
def test_in_front_with_tls_passed_through(door, haproxy, certificates, words):
    port = free_port()
    haproxy(port, in_front(port, "127.0.0.1", door.tls, words))
    client = door.connect_tls(certificates.client(), port=port)
    assert client.get().text == f"127.0.0.1 {client.sock.getsockname()[1]} 127.0.0.1"


def test_in_front_with_health_checks(door, haproxy):
    """Its checks come with headers of their own (LOCAL), and weir is up for it."""
    port = free_port()
    words = "send-proxy-v2 check check-send-proxy inter 100ms"
    haproxy(port, in_front(port, "127.0.0.1", door.plain, words))
    assert door.connect(port).get().text.startswith("127.0.0.1 ")
    assert "PROXY header" not in door.log()


RETURN = '''http-request return status 200 content-type text/plain \
lf-string "%[src] %[src_port] %[dst_port] %[req.hdr(x-forwarded-for)]"'''


def behind(port, words=""):
    return f"""
frontend in
    mode http
    bind 127.0.0.1:{port} accept-proxy {words}
    {RETURN}
"""


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_behind(weir, haproxy, version, address):
    """HAProxy reads weir's header: the source it sees is the client."""
    port, door = free_port(), free_port()
    haproxy(port, behind(port))
    listen = f"[{address}]:{door}" if ":" in address else f"{address}:{door}"
    one = weir(f"""
        upstream h {{ server 127.0.0.1:{port}; proxy_protocol {version}; health_check interval=100ms; }}
        site _ {{ listen {listen}; proxy h; }}
    """)
    client = one.connect(door, address)
    expected = f"{address} {client.sock.getsockname()[1]} {door} {address}"
    assert client.get().text == expected
    assert client.get().text == expected
    assert "out" not in [server["state"] for server in one.status()["upstreams"][0]["servers"]]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_behind_with_tls_and_a_client_certificate(weir, haproxy, certificates, folder, version):
    port = free_port()
    pem = folder / "origin.pem"
    pem.write_text(pathlib.Path(certificates.path("origin.crt")).read_text()
                   + pathlib.Path(certificates.path("origin.key")).read_text())
    haproxy(port, behind(port, f"ssl crt {pem} ca-file {certificates.path('ca.crt')} verify required"))
    one = weir(f"""
        module tls;
        upstream h {{
            server 127.0.0.1:{port}; proxy_protocol {version}; health_check interval=100ms;
            tls on; tls_ca {certificates.path("ca.crt")}; tls_client_certificate {certificates["alice"]};
        }}
        site _ {{ proxy h; }}
    """)
    client = one.connect()
    expected = f"127.0.0.1 {client.sock.getsockname()[1]} {one.http_port} 127.0.0.1"
    assert client.get().text == expected


def test_through_two_balancers(weir, haproxy):
    """HAProxy, weir, HAProxy: the client is the same at both ends."""
    front, middle, back = free_port(), free_port(), free_port()
    haproxy(back, behind(back))
    one = weir(f"""
        upstream h {{ server 127.0.0.1:{back}; proxy_protocol v2; }}
        site _ {{ listen 127.0.0.1:{middle} proxy_protocol=127.0.0.1; proxy h; }}
    """)
    haproxy(front, in_front(front, "127.0.0.1", middle, "send-proxy-v2"))
    client = Client(("127.0.0.1", front))
    one.clients.append(client)
    assert client.get().text == f"127.0.0.1 {client.sock.getsockname()[1]} {front} 127.0.0.1"
