# SPDX-License-Identifier: BSD-2-Clause
"""Every input has a limit and a deadline."""

import time

import pytest

from lib.daemon import serving
from lib.message import Closed
from lib.origin import AnsweringOrigin
from lib.patience import SLOWNESS, eventually

CHUNKED = b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def limited():
    origin = AnsweringOrigin()
    text = f"""
        max_header_size 2k; max_headers 10; max_body 1k;
        timeout header=1s body=1s idle=1s send=1s;
        site a.test {{
            proxy {origin.url};
            route /large/ {{ max_body 4k; proxy {origin.url}; }}
            route /any/ {{ max_body 0; proxy {origin.url}; }}
            route /slow/ {{ timeout body=30s; proxy {origin.url}; }}
            route /steady/ {{ timeout body=2s; proxy {origin.url}; }}
        }}
    """
    try:
        with serving(text) as weir:
            weir.origin = origin
            yield weir
    finally:
        origin.stop()


@pytest.mark.parametrize("target, size, status", [
    ("/", 1024, 200), ("/", 1025, 413), ("/large/", 1025, 200), ("/large/", 4096, 200), ("/large/", 4097, 413),
    ("/any/", 1_000_000, 200),
])
def test_max_body_with_a_length(limited, target, size, status):
    """413 before a byte of the body was read (RFC 9110 15.5.14)."""
    limited.origin.forget()
    client = limited.connect()
    client.request("POST", target, body=b"x" * size)
    response = client.response()
    assert response.status == status
    assert len(limited.origin.requests) == (1 if status == 200 else 0)


@pytest.mark.parametrize("size, status", [(1024, 200), (1025, 413)])
def test_max_body_chunked(limited, size, status):
    """The same limit where the length is not told beforehand; the origin gets no whole request."""
    limited.origin.forget()
    client = limited.connect()
    rest = size - 512
    client.send(CHUNKED, b"200\r\n" + b"x" * 512 + b"\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (rest, b"x" * rest))
    assert client.response().status == status
    assert len(limited.origin.requests) == (1 if status == 200 else 0)


def test_413_comes_instead_of_100_continue(limited):
    """RFC 9110 10.1.1: the client is spared the upload."""
    client = limited.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n")
    assert client.response().status == 413


@pytest.mark.parametrize("fields, status", [
    (["X-A: " + "a" * 1000], 200), (["X-A: " + "a" * 2100], 431), (["A: b"] * 8, 200), (["A: b"] * 10, 431),
])
def test_limits_of_heads(limited, fields, status):
    """RFC 6585 5. Host counts as a field."""
    assert limited.connect().get("/", *fields).status == status


def test_limit_of_the_target(limited):
    """RFC 9110 15.5.15."""
    assert limited.connect().get("/" + "a" * 2100).status == 414


def test_a_slow_head_is_408(limited):
    """The total for a head: a byte now and then does not prolong it."""
    client = limited.connect()
    began = time.monotonic()
    try:
        for byte in b"GET / HTTP/1.1\r\nHost: a.test\r\nX-A: " + b"a" * 100:
            client.send(bytes([byte]))
            if not client.is_silent(0.05):
                break
    except OSError:
        pass
    response = client.response()
    assert response.status == 408 and response.get("Connection") == "close"
    assert time.monotonic() - began < 4 * SLOWNESS
    assert client.is_closed()


def test_a_stalled_body_is_408(limited):
    client = limited.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc")
    response = client.response()
    assert response.status == 408 and response.get("Connection") == "close"
    assert client.is_closed()


def test_a_slow_but_steady_body_is_served(limited):
    """An idle time, not a total."""
    client = limited.connect()
    client.send(b"POST /steady/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 8\r\n\r\n")
    for _ in range(8):
        assert client.is_silent(0.4)
        client.send(b"x")
    assert client.response().status == 200


def test_timeouts_of_a_route(limited):
    client = limited.connect()
    client.send(b"POST /slow/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\n")
    assert client.is_silent(2)
    client.send(b"abc")
    assert client.response().status == 200


def test_an_idle_connection_ends_in_silence(limited):
    """RFC 9112 9.8: no answer to a request that was never sent."""
    client = limited.connect()
    assert client.get().status == 200
    assert client.is_closed()


def test_a_connection_without_any_request_ends(limited):
    assert limited.connect().is_closed()


def test_a_client_that_takes_nothing_is_cut_off(weir, answering):
    """`send`: an idle time as well; what is left unsent is given up."""
    size = 20_000_000
    large = answering(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    one = weir(f"timeout send=300ms; site _ {{ proxy {large.url}; }}")
    client = one.connect(receive_buffer=4096)
    client.request()
    assert client.head().length == size
    eventually(lambda: one.status()["connections"] == 0, "the connection is given up")
    with pytest.raises(Closed):
        client.exactly(size)
