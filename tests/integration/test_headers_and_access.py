# SPDX-License-Identifier: BSD-2-Clause
"""The modules headers and access, as clients and origins see them."""

import pytest

from lib.daemon import serving
from lib.origin import AnsweringOrigin, request_of


@pytest.fixture(scope="module")
def dressed():
    origin = AnsweringOrigin()
    text = f"""
        response_header set X-Top top;
        response_header remove Server;
        request_header add X-Many one;
        site a.test {{
            response_header set X-Site "$site $status";
            request_header set X-Client "$client_addr";
            request_header add X-Many two;
            request_header remove Cookie;
            proxy {origin.url};
            route /inner/ {{ response_header set X-Top inner; response_header add X-Site again; proxy {origin.url}; }}
            route /clear/ {{ response_header clear; proxy {origin.url}; }}
            route /own/ {{ respond 200 own; }}
            route /error/ {{ respond 404; }}
            route /host/ {{ request_header set Host inner.host; proxy {origin.url}; }}
            route /raw/ {{ response_header set X-Raw '$host'; response_header set X-Empty ""; proxy {origin.url}; }}
        }}
    """
    try:
        with serving(text, modules=["headers"]) as weir:
            yield weir
    finally:
        origin.stop()


def test_fields_of_requests(dressed):
    request = request_of(dressed.get("/", "X-Client: forged", "X-Client: twice", "Cookie: a=b", "X-Many: zero").body)
    assert request.get("X-Client") == "127.0.0.1"
    assert request.all("X-Many") == ["zero", "one", "two"]
    assert not request.has("Cookie")


def test_fields_of_answers(dressed):
    response = dressed.get("/")
    assert response.get("X-Top") == "top" and response.get("X-Site") == "a.test 200"
    response = dressed.get("/inner/")
    assert response.get("X-Top") == "inner" and response.all("X-Site") == ["a.test 200", "again"]


def test_clear_forgets_what_outer_scopes_said(dressed):
    response = dressed.get("/clear/")
    assert not response.has("X-Top") and not response.has("X-Site")


def test_weirs_own_answers_too(dressed):
    assert dressed.get("/own/").get("X-Top") == "top"
    assert dressed.get("/error/").get("X-Site") == "a.test 404"
    assert dressed.get("/", host="nobody.test").get("X-Top") == "top"


def test_host_can_be_set(dressed):
    assert request_of(dressed.get("/host/").body).get("Host") == "inner.host"


def test_literals_and_empty_values(dressed):
    response = dressed.get("/raw/")
    assert response.get("X-Raw") == "$host" and response.get("X-Empty") == ""


def test_values_with_line_ends_never_get_out(weir):
    """A template cannot be made to write a field of its own."""
    one = weir('site _ { response_header set X-A "$arg_a"; respond 200 a; }', modules=["headers"])
    response = one.get("/?a=x%0d%0aX-Evil:%201")
    assert not response.has("X-Evil")


ACCESS = """
    trusted_proxies 127.0.0.1;
    deny 192.0.2.66;
    site open.test { respond 200 open; }
    site inner.test {
        allow 10.0.0.0/8 2001:db8::/32;
        deny all;
        respond 200 inner;
        route /public/ { allow all; respond 200 public; }
        route /one/ { deny 10.1.1.1; respond 200 one; }
        route /fresh/ { allow clear; respond 200 fresh; }
    }
"""


@pytest.fixture(scope="module")
def guarded():
    with serving(ACCESS, modules=["access"]) as weir:
        yield weir


@pytest.mark.parametrize("host, target, client, status", [
    ("open.test", "/", "192.0.2.1", 200), ("open.test", "/", "192.0.2.66", 403),
    ("inner.test", "/", "10.2.3.4", 200), ("inner.test", "/", "2001:db8::5", 200),
    ("inner.test", "/", "192.0.2.1", 403),
    ("inner.test", "/", "::ffff:10.2.3.4", 200),
    ("inner.test", "/public/", "192.0.2.1", 200), ("inner.test", "/public/", "192.0.2.66", 200),
    ("inner.test", "/one/", "10.1.1.1", 403), ("inner.test", "/one/", "10.1.1.2", 200),
    ("inner.test", "/one/", "11.0.0.1", 403),
    ("inner.test", "/fresh/", "192.0.2.66", 200),
])
def test_who_may_ask(guarded, host, target, client, status):
    """The first line that matches decides, inner scopes first; on the client's address behind trusted proxies."""
    assert guarded.get(target, f"X-Forwarded-For: {client}", host=host).status == status


def test_nobody_talks_himself_in(weir):
    """Without trust the peer's own address counts."""
    one = weir("allow 10.0.0.0/8; deny all; site _ { respond 200 in; }", modules=["access"])
    assert one.get("/", "X-Forwarded-For: 10.0.0.1").status == 403


def test_the_origin_hears_nothing_of_the_refused(weir, answering):
    origin = answering()
    one = weir(f"deny all; site _ {{ proxy {origin.url}; }}", modules=["access"])
    client = one.connect()
    assert client.request("POST", body=b"x" * 1000).response().status == 403
    assert client.get().status == 403
    assert origin.accepted == 0


def test_the_line_that_decided_is_logged(weir):
    one = weir('deny 127.0.0.0/8; access_log access.json json; site _ { respond 200 a; }',
               modules=["access", "access-log"])
    assert one.get().status == 403
    one.terminate()
    assert one.wait() == 0
    assert "weir.conf:2" in (one.folder / "access.json").read_text()
