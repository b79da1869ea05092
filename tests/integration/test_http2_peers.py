# SPDX-License-Identifier: BSD-2-Clause
"""Other proxies as HTTP/2 clients of weir, in clear text and with TLS: HAProxy, nginx (grpc_pass), Apache
(mod_proxy_http2). What a client of theirs asks in HTTP/1.1 reaches weir as streams, and goes on to origins that speak
HTTP/1.1, or to a second weir in HTTP/2."""

import contextlib
import os
import threading

import pytest

from lib import daemon
from lib.client import Client
from lib.http2 import Http2
from lib.message import Closed
from lib.origin import AnsweringOrigin, Origin
from lib.patience import PATIENCE, eventually
from lib.ports import free_port
from lib.program import Program, curl, need, start_apache, start_haproxy
from lib.websocket import EchoServer, WebSocket

BYTES = bytes(range(251)) * 20000
LOG = "$protocol $scheme $method $uri $status $connection_requests"


def site(request):
    if request.target == "/bytes":
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BYTES) + BYTES
    if request.target == "/chunked":
        return (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                b"6\r\nchunks\r\n0\r\nX-Sum: 6\r\n\r\n")
    if request.target == "/nothing":
        return b"HTTP/1.1 204 No Content\r\nX-Here: 1\r\n\r\n"
    if request.target == "/unchanged":
        return b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'
    if request.target == "/head":
        return b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n" + (b"" if request.method == "HEAD" else b"x" * 12345)
    text = f"{request.method} {len(request.body)} {sum(request.body)} {request.get('Cookie') or '-'}".encode()
    trailers = " ".join(f"{name.lower()}={value}" for name, value in request.trailers or [])
    return b"HTTP/1.1 200 OK\r\nX-Trailers: %s\r\nContent-Length: %d\r\n\r\n" % (trailers.encode(), len(text)) + text


# -- the peers ---------------------------------------------------------------------------------------------------------


def haproxy(folder, port, port2, house, tls):
    target = f"127.0.0.1:{house.port(tls)} proto h2"
    if tls:
        target = (f"127.0.0.1:{house.port(tls)} ssl verify required ca-file {house.authority} sni str(a.test) "
                  "verifyhost a.test alpn h2")
    return start_haproxy(folder, port, f"""
frontend front
    mode http
    bind 127.0.0.1:{port}
    bind 127.0.0.1:{port2} proto h2
    default_backend weir
backend weir
    mode http
    http-reuse always
    server weir {target} ws h2
""")


def nginx(folder, port, port2, house, tls):
    program, user = need("nginx"), "user root;" if os.geteuid() == 0 else ""
    how = (f"grpc_ssl_verify on; grpc_ssl_name a.test; grpc_ssl_server_name on; "
           f"grpc_ssl_trusted_certificate {house.authority}; grpc_pass grpcs://weir;" if tls else
           "grpc_pass grpc://weir;")
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(f"""
daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off; client_max_body_size 0; keepalive_requests 100000;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream weir {{ server 127.0.0.1:{house.port(tls)}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{port}; listen 127.0.0.1:{port2} http2;
        location / {{ grpc_set_header Host $http_host; grpc_read_timeout 30s; {how} }}
    }}
}}
""")
    return Program([program, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"], port, folder)


def apache(folder, port, port2, house, tls):
    how = (f"SSLProxyEngine on\nSSLProxyCACertificateFile {house.authority}\n"
           f"ProxyPass / h2://127.0.0.1:{house.port(tls)}/" if tls else
           f"ProxyPass / h2c://127.0.0.1:{house.port(tls)}/")
    return start_apache(folder, port, f"Listen 127.0.0.1:{port2}\nProtocols h2c http/1.1\nProxyPreserveHost on\n"
                                      f"{how}\n")


PEERS = {"haproxy": haproxy, "nginx": nginx, "apache": apache}


class House:
    def __init__(self, folder, certificates, second):
        """second: a weir between this one and the origins, asked in HTTP/2."""
        self.origin, self.played, self.echo = AnsweringOrigin(site), Origin(), EchoServer()
        self.log, self.authority = folder / f"peers{second:d}.log", certificates.path("ca.crt")
        routes = f"""
            proxy {self.origin.url};
            route /played/ {{ proxy {self.played.url}; }}
            route /small/ {{ max_body 1000; proxy {self.origin.url}; }}
            route /socket {{ proxy {self.echo.url}; }}
        """
        self.stack = contextlib.ExitStack()
        upstream = ""
        if second:
            one = self.stack.enter_context(daemon.serving(f"site a.test {{ {routes} }}"))
            upstream = f"upstream second {{ server 127.0.0.1:{one.http_port}; protocol h2; }}"
            routes = "proxy second;"
        text = f"""
            trusted_proxies 127.0.0.1;
            access_log {self.log} "{LOG}";
            {upstream}
            site a.test {{ tls_certificate {certificates['a']}; https_redirect off; {routes} }}
        """
        self.serving = daemon.serving(text, modules=["tls", "access-log"])

    def port(self, tls):
        return self.weir.https_port if tls else self.weir.http_port

    def lines(self, target):
        def found():
            self.weir.cli("reload")  # writes what is buffered
            lines = [line.split() for line in self.log.read_text().splitlines()]
            return [dict(zip(LOG.replace("$", "").split(), line)) for line in lines if line[3] == target]
        return eventually(found, f"{target} in the log")

    def __enter__(self):
        self.weir = self.stack.enter_context(self.serving)
        return self

    def __exit__(self, *end):
        self.stack.__exit__(*end)
        self.echo.stop()
        self.origin.stop()
        self.played.stop()


# (peer, TLS between it and weir, HTTP/2 behind weir)
CASES = [(name, tls, False) for name in PEERS for tls in (False, True)]
CASES += [("haproxy", True, True), ("nginx", False, True), ("apache", True, True)]


@pytest.fixture(scope="module", params=CASES,
                ids=lambda one: f"{one[0]}-{'tls' if one[1] else 'clear'}{'-h2' if one[2] else ''}")
def case(request):
    return request.param


@pytest.fixture(scope="module")
def house(case, session_folder, certificates):
    with House(session_folder, certificates, second=case[2]) as one:
        yield one


class Peer:
    """A proxy in front of weir; its clients speak HTTP/1.1, or HTTP/2 by prior knowledge."""

    def __init__(self, name, tls, folder, house):
        self.name, self.tls, self.house = name, tls, house
        self.port, self.port2 = free_port(), free_port()
        self.program = PEERS[name](folder, self.port, self.port2, house, tls)

    def client(self):
        return Client(("127.0.0.1", self.port))

    def client2(self):
        return Http2(Client(("127.0.0.1", self.port2)))

    def get(self, target, *fields):
        client = self.client()
        try:
            return client.get(target, "Connection: close", *fields)
        finally:
            client.close()


@pytest.fixture(scope="module")
def peer(case, house, session_folder):
    name, tls, second = case
    one = Peer(name, tls, session_folder / f"peer-{name}-{tls}-{second}", house)
    yield one
    one.program.stop()


# -- requests ----------------------------------------------------------------------------------------------------------


def test_get(peer, house):
    target = f"/of-{peer.name}-{peer.tls}"
    response = peer.get(target, "Cookie: a=1; b=2; c=3")
    assert (response.status, response.body) == (200, b"GET 0 0 a=1; b=2; c=3")
    line = house.lines(target)[-1]
    assert (line["protocol"], line["scheme"]) == ("HTTP/2.0", "https" if peer.tls else "http")


def test_five_megabytes(peer):
    response = peer.get("/bytes")
    assert response.status == 200 and response.body == BYTES


@pytest.mark.parametrize("size", [0, 1, 20000, 3000000])
def test_an_upload(peer, size):
    client = peer.client()
    assert client.request("POST", "/up", body=b"\7" * size).response().body == f"POST {size} {7 * size} -".encode()
    client.close()


def test_an_upload_of_unknown_length(peer):
    client = peer.client()
    client.send(b"PUT /up HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(50):
        client.send(b"800\r\n" + b"\1" * 2048 + b"\r\n")
    client.send(b"0\r\n\r\n")
    assert client.response().body == b"PUT 102400 102400 -"
    client.close()


@pytest.mark.parametrize("target, status", [("/nothing", 204), ("/unchanged", 304)])
def test_answers_without_content(peer, target, status):
    response = peer.get(target)
    assert response.status == status and response.body == b""


def test_head(peer):
    """nginx takes the end of the stream behind a head for a length of 0."""
    client = peer.client()
    response = client.request("HEAD", "/head").response(to="HEAD")
    assert response.status == 200 and response.get("Content-Length") == ("0" if peer.name == "nginx" else "12345")
    client.close()


def test_an_early_refusal(peer):
    """413 while the peer still sends: RST_STREAM with NO_ERROR is no failure of the answer."""
    client = peer.client()
    client.send(b"POST /small/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2000000\r\n\r\n")
    try:
        client.send(b"x" * 2000000)
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert client.response().status in ((413,) if peer.name != "apache" else (413, 400))
    client.close()
    assert peer.get("/after").status == 200


def test_requests_share_connections(peer, house):
    """Eight clients with fifty requests each, all answered rightly; connections are used again."""
    failures = []

    def ask(number):
        client = peer.client()
        try:
            for step in range(50):
                body = bytes([number]) * (step * 10)
                got = client.request("POST", f"/many-{peer.name}-{peer.tls}", body=body).response().body
                if got != f"POST {len(body)} {sum(body)} -".encode():
                    failures.append(got)
        except Exception as failure:  # judged below
            failures.append(failure)
        finally:
            client.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE * 4)
    assert failures == []
    lines = eventually(lambda: (lambda found: len(found) >= 400 and found)(
        house.lines(f"/many-{peer.name}-{peer.tls}")), "all lines")
    assert sum(line["connection_requests"] == "1" for line in lines) <= 16


def test_pieces_come_as_they_are_made(peer, house):
    if peer.name == "apache":
        pytest.skip("mod_proxy_http2 holds small pieces back")
    client = peer.client()
    client.request("GET", "/played/slow")
    connection = house.played.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    head = client.head()
    for word in (b"one", b"two", b"three"):
        connection.send(b"%x\r\n%s\r\n" % (len(word), word))
        assert client.chunk() == word
    connection.send(b"0\r\n\r\n")
    assert client.chunk() == b"" and head.status == 200
    client.close()
    house.played.close_all()


def test_a_client_that_goes(peer, house):
    """The peer resets its stream; the origin's request ends."""
    client = peer.client()
    client.request("GET", "/played/gone")
    connection = house.played.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 200000)
    assert client.head().status == 200
    client.reset()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while True:
            connection.send(b"x" * 65536)
    connection.close()
    house.played.close_all()
    assert peer.get("/after").status == 200


def test_an_answer_that_is_cut(peer, house):
    """A stream that is reset is no whole answer for the peer's client either."""
    client = peer.client()
    client.request("GET", "/played/cut")
    connection = house.played.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + b"x" * 300000)
    assert client.head().status == 200
    connection.close()
    with pytest.raises(Closed):
        client.exactly(500000)
    client.close()
    assert peer.get("/after").status == 200


# -- what not every peer passes on -------------------------------------------------------------------------------------


def test_trailers_of_an_answer(peer):
    if peer.name == "apache":
        pytest.skip("mod_proxy_http2 passes no trailers on")
    client = peer.client2()
    answer = client.get("/chunked", ("te", "trailers"))
    assert (answer.status, answer.body) == (200, b"chunks") and answer.trailers["x-sum"] == "6"
    client.stream.close()


def test_trailers_of_a_request(peer):
    if peer.name != "haproxy":
        pytest.skip("nginx and Apache pass no trailers of requests on")
    client = peer.client2()
    stream = client.request(("te", "trailers"), method="POST", end=False, path="/up")
    client.data(stream, b"\1\1")
    client.headers([("x-sum", "2")], stream=stream)
    answer = client.response(stream)
    assert answer.body == b"POST 2 2 -" and answer["x-trailers"] == "x-sum=2"
    client.stream.close()


def test_a_call_in_both_directions(peer, house):
    """As gRPC does: a piece up, a piece down, the status in the trailers."""
    if peer.name == "apache":
        pytest.skip("mod_proxy_http2 passes no trailers on")
    client = peer.client2()
    stream = client.request(("te", "trailers"), ("content-type", "application/grpc"), method="POST", end=False,
                            path="/played/call")
    connection = house.played.take()
    assert connection.head().get("TE") == "trailers"
    for number in range(3):
        client.data(stream, b"up %d" % number)
        assert connection.chunk() == b"up %d" % number
        if number == 0:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n")
            assert dict(client.next_of(stream, 1).payload)[":status"] == "200"
        connection.send(b"6\r\ndown %d\r\n" % number)
        assert client.next_of(stream, 0).payload == b"down %d" % number
    client.data(stream, b"", end=True)
    assert connection.chunk() == b""
    connection.trailers()
    connection.send(b"0\r\nGrpc-Status: 0\r\n\r\n")
    assert dict(client.next_of(stream, 1).payload)["grpc-status"] == "0"
    client.stream.close()
    house.played.close_all()


def test_a_websocket(peer, house):
    """HAProxy makes an extended CONNECT (RFC 8441) of an upgrade; weir makes an upgrade of it again."""
    if peer.name != "haproxy":
        pytest.skip("nginx and Apache do not speak RFC 8441 to origins")
    socket = WebSocket("ws://a.test/socket", host="127.0.0.1", port=peer.port, subprotocols=["echo"])
    for message in ("hello", "x" * 200000, b"\0\1\2" * 1000):
        assert socket.echo(message) == message
    assert socket.close() == 1000
    line = house.lines("/socket")[-1]
    assert (line["protocol"], line["status"]) == ("HTTP/2.0", "200")


def test_a_restart(peer, certificates, weir, session_folder):
    """GOAWAY: what the peer is asked then goes to the next server; nothing that was begun is lost."""
    ports = f"http_port {free_port()}; https_port {free_port()};"
    text = (f"{ports} trusted_proxies 127.0.0.1; site a.test {{ tls_certificate {certificates['a']}; "
            "https_redirect off; respond 200 %s; }")
    house = House.__new__(House)
    house.authority = certificates.path("ca.crt")
    house.weir = weir(text % "first", modules=["tls"])
    house.weir.http_port, house.weir.https_port = [int(word.strip(";")) for word in ports.split()[1::2]]
    one = Peer(peer.name, peer.tls, session_folder / f"restart-{peer.name}-{peer.tls}-{peer.port}", house)
    try:
        client = one.client()
        assert client.get("/").body == b"first"
        house.weir.terminate()
        assert house.weir.wait() == 0
        weir(text % "second", modules=["tls"])
        client.close()
        eventually(lambda: one.get("/").status == 200 and one.get("/").body == b"second", "the peer finds the server")
    finally:
        one.program.stop()


# -- programs ----------------------------------------------------------------------------------------------------------


def test_curl_in_parallel_with_tls(session_folder, certificates, folder):
    (folder / "up").write_bytes(b"\3" * 1000000)
    with House(session_folder, certificates, second=False) as house:
        port = house.weir.https_port
        urls = [word for number in range(20) for word in ("-o", folder / f"out{number}", f"https://a.test:{port}/up")]
        curl("--parallel", "--parallel-max", "20", "--cacert", certificates.path("ca.crt"), "--resolve",
             f"a.test:{port}:127.0.0.1", "--http2", "-X", "POST", "--data-binary", f"@{folder / 'up'}", *urls)
    for number in range(20):
        assert (folder / f"out{number}").read_bytes() == b"POST 1000000 3000000 -"
