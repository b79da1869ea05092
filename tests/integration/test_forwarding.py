# SPDX-License-Identifier: BSD-2-Clause
"""What the origin is told about the client, and whom weir believes (RFC 7239 and the habits around X-Forwarded-*)."""

import re

import pytest

from lib.daemon import serving
from lib.origin import AnsweringOrigin, request_of

SPOOFED = ["X-Forwarded-For: 6.6.6.6", "X_Forwarded_For: 6.6.6.6", "x-forwarded_for: 6.6.6.6",
           "X-Forwarded-Host: evil", "X_Forwarded-Host: evil", "X-Forwarded-Proto: https", "X_FORWARDED_PROTO: https",
           "X-Forwarded-Port: 443", "X-Forwarded-Prefix: /evil", "X-Forwarded-Anything: evil",
           "Forwarded: for=6.6.6.6;proto=https", "X-Real-IP: 6.6.6.6", "X_Real_IP: 6.6.6.6"]
SITES = """
site _ {{ proxy {url}; }}
site who.test {{ respond 200 "$client_addr $peer_addr $scheme"; }}
"""


@pytest.fixture(scope="module")
def echo():
    origin = AnsweringOrigin()
    yield origin
    origin.stop()


@pytest.fixture(scope="module")
def untrusting(echo):
    with serving(SITES.format(url=echo.url)) as weir:
        yield weir


@pytest.fixture(scope="module")
def trusting(echo):
    with serving("trusted_proxies 127.0.0.1 10.0.0.0/8 2001:db8::/32;\n" + SITES.format(url=echo.url)) as weir:
        yield weir


def seen(weir, *fields, **how):
    return request_of(weir.get("/", *fields, **how).body)


def test_the_origin_is_told_who_asks(untrusting):
    request = seen(untrusting, host="A.test:81")
    assert request.get("X-Forwarded-For") == "127.0.0.1"
    assert request.get("X-Forwarded-Proto") == "http"
    assert request.get("X-Forwarded-Host") == "A.test:81"
    assert request.get("X-Forwarded-Port") == str(untrusting.http_port)
    assert request.get("Host") == "A.test:81"


@pytest.mark.parametrize("field", SPOOFED)
def test_nobody_is_believed_by_default(untrusting, field):
    """Not even loopback: what the client says of itself is dropped, however it is spelt."""
    request = seen(untrusting, field)
    value = field.partition(": ")[2]
    assert value not in [found for _, found in request.fields]
    assert request.get("X-Forwarded-For") == "127.0.0.1"
    assert not any("_" in name for name in request.names())
    assert untrusting.get("/", field, host="who.test").text == "127.0.0.1 127.0.0.1 http"


def test_a_trusted_proxy_is_believed_and_appended_to(trusting):
    request = seen(trusting, "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.test",
                   "X-Forwarded-Port: 443")
    assert request.get("X-Forwarded-For") == "192.0.2.7, 127.0.0.1"
    assert request.get("X-Forwarded-Proto") == "https"
    assert request.get("X-Forwarded-Host") == "shop.test"
    assert request.get("X-Forwarded-Port") == "443"


@pytest.mark.parametrize("fields, client", [
    (["X-Forwarded-For: 192.0.2.7"], "192.0.2.7"),
    (["X-Forwarded-For: 6.6.6.6, 192.0.2.7"], "192.0.2.7"),
    (["X-Forwarded-For: 192.0.2.7, 10.1.1.1"], "192.0.2.7"),
    (["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 192.0.2.7, 10.1.1.1"], "192.0.2.7"),
    (["X-Forwarded-For: 192.0.2.7:4711"], "192.0.2.7"),
    (["X-Forwarded-For: 2001:db9::1"], "2001:db9::1"),
    (["X-Forwarded-For: [2001:db9::1]:4711, 2001:db8::1"], "2001:db9::1"),
    (["X-Forwarded-For: ::ffff:192.0.2.7"], "192.0.2.7"),
    (["X-Forwarded-For: 192.0.2.7, unknown"], "127.0.0.1"),
    (["X-Forwarded-For: "], "127.0.0.1"),
    (["Forwarded: for=192.0.2.7;proto=https"], "192.0.2.7"),
    (["Forwarded: for=6.6.6.6, for=\"[2001:db9::1]:80\""], "2001:db9::1"),
    (["Forwarded: for=_hidden"], "127.0.0.1"),
])
def test_the_client_is_the_last_one_nobody_trusted_vouches_for(trusting, fields, client):
    """RFC 7239 7.4: from the right, as long as the witness is trusted."""
    assert trusting.get("/", *fields, host="who.test").text.split()[0] == client


def test_the_nearest_peer_stays_known(trusting):
    assert trusting.get("/", "X-Forwarded-For: 192.0.2.7", host="who.test").text.split()[1] == "127.0.0.1"


def test_a_v4_client_of_a_v6_socket_is_trusted_as_v4(weir, answering):
    """A v4-mapped address counts as IPv4."""
    one = weir(f"trusted_proxies 127.0.0.0/8;\nsite _ {{ proxy {answering().url}; }}")
    request = seen(one, "X-Forwarded-For: 192.0.2.7")
    assert request.get("X-Forwarded-For") == "192.0.2.7, 127.0.0.1"


def test_each_request_has_an_id_of_its_own(untrusting):
    client = untrusting.connect()
    ids = [request_of(client.get("/", "X-Request-Id: mine").body).get("X-Request-Id") for _ in range(20)]
    assert len(set(ids)) == 20
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


def test_a_trusted_proxy_may_name_the_request(trusting):
    assert seen(trusting, "X-Request-Id: abc-123").get("X-Request-Id") == "abc-123"
    assert re.fullmatch("[0-9a-f]{32}", seen(trusting, "X-Request-Id: \"no good\" <id>").get("X-Request-Id"))


def test_the_client_over_tls(weir, answering, certificates):
    one = weir(f"site a.test {{ tls_certificate {certificates['a']}; proxy {answering().url}; }}", modules=["tls"])
    request = request_of(one.connect_tls(certificates.client()).get().body)
    assert request.get("X-Forwarded-Proto") == "https"
    assert request.get("X-Forwarded-Port") == str(one.https_port)
