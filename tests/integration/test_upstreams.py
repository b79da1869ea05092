# SPDX-License-Identifier: BSD-2-Clause
"""Ways to an origin: addresses, path replacement, pools and what happens when an origin fails."""

import socket
import time

import pytest

from lib.daemon import serving
from lib.origin import AnsweringOrigin, Origin, request_of
from lib.patience import PATIENCE, SLOWNESS, eventually
from lib.ports import free_port

GET = b"GET /again HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /once HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

# What a path of the URL does to the request's: route, URL's path, asked, seen by the origin.
PATHS = [
    ("/", "", "/a/b?c", "/a/b?c"),
    ("/plain/", "", "/plain/x", "/plain/x"),
    ("/api/", "/", "/api/x/y?q=1", "/x/y?q=1"),
    ("/api/", "/", "/api/", "/"),
    ("/v1/", "/v2/", "/v1/x", "/v2/x"),
    ("/v1/", "/v2/", "/v1//x", "/v2/x"),
    ("/deep/", "/a/b/", "/deep/c/d?e=/deep/", "/a/b/c/d?e=/deep/"),
    ("/bare", "/other", "/bare/x", "/other/x"),
    ("/bare", "/other", "/bare", "/other"),
    ("= /exact", "/one", "/exact?q", "/one?q"),
    ("/escaped/", "/e/", "/escaped/a%2Fb%20c", "/e/a%2Fb%20c"),
    ("/dots/", "/d/", "/dots/x/../y", "/d/y"),
]


@pytest.fixture(scope="module")
def replacing():
    origin = AnsweringOrigin()
    routes = {(route, path) for route, path, _, _ in PATHS}
    text = "".join(f"route {route} {{ proxy {origin.url}{path}; }}\n" for route, path in sorted(routes))
    try:
        with serving(f"site _ {{ {text} }}") as weir:
            yield weir
    finally:
        origin.stop()


@pytest.mark.parametrize("route, path, asked, seen", PATHS)
def test_a_path_in_the_url_replaces_the_prefix_of_the_route(replacing, route, path, asked, seen):
    assert request_of(replacing.get(asked).body).target == seen


def test_unix_socket(weir, answering, folder):
    answering(address=str(folder / "origin.sock"))
    one = weir(f"site _ {{ proxy unix:{folder}/origin.sock; }}\n"
               f"upstream u {{ server unix:{folder}/origin.sock; }} site u.test {{ proxy u; }}")
    assert one.get("/a").status == 200
    assert request_of(one.get("/b", host="u.test").body).get("Host") == "u.test"


def test_ipv6_and_names(weir, answering):
    six, four = answering(address=("::1", 0)), answering()
    one = weir(f"site six.test {{ proxy http://[::1]:{six.port}; }}\n"
               f"site name.test {{ proxy http://localhost:{four.port}; }}")
    assert one.get(host="six.test").status == 200
    assert one.get(host="name.test").status == 200


def test_a_name_that_does_not_resolve_is_no_start_up_failure(weir):
    """Only its own site answers 503."""
    one = weir("site dead.test { proxy http://no-such-host.invalid; } site live.test { respond 200 ok; }")
    assert one.get(host="live.test").status == 200
    assert one.get(host="dead.test").status in (502, 503)


def test_round_robin(weir, answering):
    """Each server its turn, by weight; a backup only when no other is left; one that is down never."""
    origins = [answering() for _ in range(4)]
    a, b, backup, down = (f"127.0.0.1:{origin.port}" for origin in origins)
    one = weir(f"workers 1; upstream u {{ balance round_robin; server {a} weight=2; server {b}; server {backup} backup;"
               f" server {down} down; }} site _ {{ proxy u; }}")
    client = one.connect()
    for _ in range(9):
        assert client.get().status == 200
    assert [len(origin.requests) for origin in origins] == [6, 3, 0, 0]


def test_the_next_server_is_asked_when_one_is_dead(weir, answering):
    alive, backup = answering(), answering()
    one = weir(f"workers 1; upstream u {{ server 127.0.0.1:{free_port()}; server 127.0.0.1:{alive.port};"
               f" server 127.0.0.1:{backup.port} backup; }} site _ {{ proxy u; }}")
    client = one.connect()
    assert [client.get().status for _ in range(4)] == [200] * 4
    alive.stop()
    eventually(lambda: client.get().status == 200 and backup.requests, "the backup serves")


# -- pools -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["close", "reset"])
def test_get_on_a_stale_connection_is_repeated_on_a_fresh_one(stage, how):
    """RFC 9112 9.3.1: a kept connection that ends just as it is used is nobody's failure."""
    client = stage.client()
    stage.exchange(client, GET, OK)
    client.send(GET)
    connection = stage.origin.take()
    first = connection.request()
    connection.reset() if how == "reset" else connection.close()
    fresh = stage.origin.take()
    assert fresh is not connection and fresh.request().raw == first.raw
    fresh.send(OK)
    assert client.response().text == "ok"


def test_post_on_a_stale_connection_is_not_repeated(stage):
    """RFC 9110 9.2.2: what may have had an effect is not done twice."""
    client = stage.client()
    stage.exchange(client, GET, OK)
    client.send(POST)
    connection = stage.origin.take()
    assert connection.request().body == b"abc"
    connection.close()
    assert client.response().status == 502
    assert stage.origin.is_quiet()


def test_a_failure_on_a_fresh_connection_is_not_repeated(stage):
    client = stage.client()
    client.send(GET)
    connection = stage.origin.take()
    connection.request()
    connection.close()
    assert client.response().status == 502
    assert stage.origin.is_quiet()


def test_get_is_not_repeated_once_an_answer_began(stage):
    client = stage.client()
    stage.exchange(client, GET, OK)
    client.send(GET)
    connection = stage.origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200")
    connection.close()
    assert client.response().status == 502
    assert stage.origin.is_quiet()


def test_a_connection_that_the_origin_ended_while_idle_is_not_used(stage):
    client = stage.client()
    stage.exchange(client, GET, OK)
    stage.origin.close_all()
    request, response = stage.exchange(client, POST, OK)
    assert request.body == b"abc" and response.status == 200


def test_a_connection_with_bytes_nobody_asked_for_is_not_used(stage):
    """RFC 9112 9.5: they could be taken for the answer to the next request."""
    client = stage.client()
    stage.exchange(client, GET, OK + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")
    _, response = stage.exchange(client, GET, OK)
    assert response.text == "ok"


def test_keepalive_bounds_the_idle_connections(weir, origin):
    """`keepalive 1`: of two connections that become idle one is kept."""
    one = weir(f"workers 1; upstream u {{ server 127.0.0.1:{origin.port}; keepalive 1; }} site _ {{ proxy u; }}")
    clients = [one.connect(), one.connect()]
    connections = []
    for client in clients:
        client.send(GET)
        connections.append(origin.take())
        connections[-1].request()
    for client, connection in zip(clients, connections):
        connection.send(OK)
        assert client.response().text == "ok"
    clients[0].send(GET)
    kept = origin.take()
    assert kept in connections
    connections.remove(kept)
    assert connections[0].sock.fileno() < 0 or connections[0].is_closed()


def test_idle_connections_end_after_their_time(weir, origin):
    one = weir(f"workers 1; upstream u {{ server 127.0.0.1:{origin.port}; keepalive 4 timeout=300ms; }}"
               " site _ { proxy u; }")
    client = one.connect()
    client.send(GET)
    connection = origin.take()
    connection.request()
    connection.send(OK)
    assert client.response().text == "ok"
    assert connection.is_closed()


# -- failures ----------------------------------------------------------------------------------------------------------


def test_an_origin_that_is_down_is_502(weir):
    one = weir(f"site _ {{ proxy http://127.0.0.1:{free_port()}; }}")
    client = one.connect()
    for _ in range(2):
        response = client.get()
        assert response.status == 502 and response.has("Content-Type")
    assert "refused" in one.log()


def test_an_origin_that_does_not_answer_in_time_is_504(weir, origin):
    one = weir(f"timeout response=300ms; site _ {{ proxy {origin.url}; }}")
    client = one.connect()
    began = time.monotonic()
    client.send(GET)
    connection = origin.take()
    connection.request()
    assert client.response().status == 504
    assert 0.25 < time.monotonic() - began < 2 * SLOWNESS
    assert connection.is_closed()


def test_response_timeout_is_an_idle_time(weir, origin):
    """An answer that comes slowly but steadily is no failure."""
    one = weir(f"timeout response=1500ms; site _ {{ proxy {origin.url}; }}")
    client = one.connect()
    client.send(GET)
    connection = origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
    client.head()
    for _ in range(6):
        assert client.is_silent(0.3)
        connection.send(b"x")
        assert client.exactly(1) == b"x"


def test_an_answer_that_stalls_is_broken_off(weir, origin):
    one = weir(f"timeout response=300ms; site _ {{ proxy {origin.url}; }}")
    client = one.connect()
    client.send(GET)
    connection = origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nabc")
    assert client.head().length == 8 and client.exactly(3) == b"abc"
    assert client.is_closed()


def test_connecting_takes_no_longer_than_it_may(weir):
    """504: a listener whose queue is full leaves connections half open."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = []
    for _ in range(4):
        waiting.append(socket.socket())
        waiting[-1].setblocking(False)
        waiting[-1].connect_ex(full.getsockname())
    one = weir(f"timeout connect=300ms; site _ {{ proxy http://127.0.0.1:{full.getsockname()[1]}; }}")
    began = time.monotonic()
    assert one.get().status == 504
    assert time.monotonic() - began < PATIENCE
    for sock in [full, *waiting]:
        sock.close()


MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status below 100": b"HTTP/1.1 099 OK\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare CR in a value": b"HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 0\r\n\r\n",
    "NUL": b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 0\r\n\r\n",
    "space before the colon": b"HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 0\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "no name": b"HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n",
    "differing lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "length that is no number": b"HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n",
    "length beyond 64 bits": b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding that is not chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "head without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100000,
    "too many fields": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 2000 + b"\r\n",
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_answers_are_502(stage, name):
    """RFC 9112 6.3, 5: what could be read in two ways is not passed on."""
    client = stage.client()
    client.send(GET)
    connection = stage.origin.take()
    connection.request()
    connection.send(MALFORMED[name])
    connection.half_close()
    response = client.response()
    assert response.status == 502
    stage.origin.close_all()
    assert stage.exchange(client, GET, OK)[1].text == "ok"


@pytest.mark.parametrize("chunks", [b"xyz\r\n", b"5\nhello\r\n", b"5\r\nhelloo\r\n", b"-1\r\n",
                                    b"11111111111111111\r\n", b" 5\r\nhello\r\n", b"5 \r\nhello\r\n",
                                    b"0x5\r\nhello\r\n", b"\r\n",
                                    b"0\r\nbad trailer\r\n\r\n", b"5;a=\"\r\n\"\r\nhello\r\n"])
def test_malformed_chunks_break_the_answer_off(stage, chunks):
    """RFC 9112 7.1, 8: never completed with a last chunk."""
    client = stage.client()
    client.send(GET)
    connection = stage.origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    response = client.head()
    assert response.framing == "chunked" and client.chunk() == b"abc"
    connection.send(chunks)
    rest = client.to_end()
    assert not rest.endswith(b"0\r\n\r\n")


def test_other_requests_do_not_suffer_from_a_hanging_origin(weir, answering):
    hanging, healthy = Origin(), answering()
    one = weir(f"workers 1; site bad.test {{ proxy {hanging.url}; }} site good.test {{ proxy {healthy.url}; }}")
    stuck = [one.connect().request(host="bad.test") for _ in range(20)]
    for _ in stuck:
        hanging.accept()
    assert one.get(host="good.test").status == 200
    hanging.stop()
