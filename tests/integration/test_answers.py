# SPDX-License-Identifier: BSD-2-Clause
"""Answers that weir makes itself: respond, redirect, error pages, maintenance, health."""

import json
import re

import pytest

from lib.daemon import serving
from lib.patience import eventually
from lib.ports import free_port

CONFIG = """
error_page 404 pages/404.html;
error_page 502 503 pages/down.json;
trusted_proxies 127.0.0.1;
site a.test {
    route = /plain { respond 200 "hello\\n"; }
    route = /template { respond 200 "$method $host $path $arg_x $http_x_y ${uri} $cookie_c"; }
    route = /literal { respond 200 '$method'; }
    route = /empty { respond 204; }
    route = /teapot { respond 418; }
    route = /gone { respond 410 "gone for good"; }
    route /old/ { redirect 301 /new$uri; }
    route = /away { redirect 302 "https://$host/x?from=$path"; }
    route = /see { redirect 303 /other; }
    route = /keep { redirect 307 /same; }
    route = /ever { redirect 308 /same; }
    route = /dead { proxy http://127.0.0.1:%d; }
    route /own/ { error_page 404 pages/own.txt; respond 404; }
}
site works.test { maintenance on bypass=10.0.0.0/8; respond 200 "works"; }
site idle.test { maintenance off; respond 200 "works"; }
site health.test { health; }
"""
PAGES = {"pages/404.html": "<h1>not here</h1>", "pages/down.json": '{"down": true}', "pages/own.txt": "own words"}


@pytest.fixture(scope="module")
def answers():
    with serving(CONFIG % free_port(), files=PAGES) as weir:
        yield weir


def test_respond(answers):
    response = answers.get("/plain")
    assert (response.status, response.reason, response.text) == (200, "OK", "hello\n")
    assert response.get("Content-Type").startswith("text/plain")
    assert response.has("Date")


def test_respond_to_head(answers):
    """RFC 9110 9.3.2."""
    client = answers.connect()
    response = client.request("HEAD", "/plain").response(to="HEAD")
    assert response.get("Content-Length") == "6"
    assert client.get("/plain").text == "hello\n"


def test_respond_reads_the_request_body_away(answers):
    """The connection is usable behind a body that nobody wanted; one too large to read away ends it, as told."""
    client = answers.connect()
    for body in (b"x" * 10, b"x" * 10000):
        assert client.request("POST", "/plain", body=body).response().status == 200
    client.send(b"POST /plain HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000\r\n\r\n")
    response = client.response()
    assert response.status == 200 and response.get("Connection") == "close"


def test_templates(answers):
    response = answers.get("/template?x=1&y=2", "X-Y: z", "Cookie: b=0; c=v; d=1")
    assert response.text == "GET a.test /template 1 z /template?x=1&y=2 v"
    assert answers.get("/literal").text == "$method"


def test_respond_without_text(answers):
    assert answers.get("/empty").status == 204
    teapot = answers.get("/teapot")
    assert teapot.status == 418 and b"418" in teapot.body
    gone = answers.get("/gone")
    assert (gone.status, gone.text) == (410, "gone for good")


@pytest.mark.parametrize("target, status, location", [
    ("/old/a/b?c", 301, "/new/old/a/b?c"), ("/away?q", 302, "https://a.test/x?from=/away"), ("/see", 303, "/other"),
    ("/keep", 307, "/same"), ("/ever", 308, "/same"),
])
def test_redirects(answers, target, status, location):
    """RFC 9110 15.4."""
    response = answers.get(target)
    assert (response.status, response.get("Location")) == (status, location)


def test_error_pages(answers):
    """Only for errors that weir itself makes; the nearest scope's page; the type of the file's ending."""
    page = answers.get("/nowhere")
    assert (page.status, page.text) == (404, PAGES["pages/404.html"])
    assert page.get("Content-Type").startswith("text/html")
    page = answers.get("/dead")
    assert (page.status, page.text) == (502, PAGES["pages/down.json"])
    assert page.get("Content-Type").startswith("application/json")
    page = answers.get("/own/x")
    assert (page.status, page.text) == (404, "own words")
    assert answers.get("/", host="nobody.test").text == PAGES["pages/404.html"]


def test_error_pages_leave_the_origins_errors_alone(weir, answering):
    own = answering(lambda _: b"HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\nthe apps")
    one = weir(f"error_page 404 page.html; site _ {{ proxy {own.url}; }}", files={"page.html": "weirs"})
    assert one.get().text == "the apps"


def test_errors_speak_json_to_those_who_ask_for_it(answers):
    """RFC 9110 12.5.1."""
    response = answers.get("/teapot", "Accept: application/json")
    assert response.get("Content-Type").startswith("application/json")
    assert json.loads(response.body)["status"] == 418
    response = answers.get("/teapot", "Accept: text/html,application/json;q=0.5")
    assert response.get("Content-Type").startswith("text/html")


def test_an_error_names_the_request(answers):
    """So that it is found in the log."""
    assert re.search(rb"[0-9a-f]{32}", answers.get("/teapot").body)


def test_errors_do_not_repeat_what_the_client_sent(answers):
    response = answers.get("/teapot/<script>alert(1)</script>", "Accept: text/html")
    assert b"script" not in response.body


def test_maintenance(answers):
    """503 with Retry-After, but not for those who work on it."""
    response = answers.get(host="works.test")
    assert response.status == 503 and int(response.get("Retry-After")) > 0
    assert response.text == PAGES["pages/down.json"]
    assert answers.get("/", "X-Forwarded-For: 10.1.2.3", host="works.test").text == "works"
    assert answers.get(host="idle.test").text == "works"


def test_health_and_drain(weir):
    """200, and 503 while this server drains; everything else is still served."""
    one = weir("workers 1; site health.test { health; } site a.test { respond 200 a; }")
    kept = one.connect()
    assert kept.get(host="health.test").status == 200
    assert one.ask("POST", "/v1/drain")[0] == 200
    eventually(lambda: one.get(host="health.test").status == 503, "503 from health")
    response = kept.get(host="a.test")
    assert response.text == "a" and response.get("Connection") == "close"
    assert kept.is_closed()
    assert one.status()["draining"] is True
    assert one.ask("POST", "/v1/undrain")[0] == 200
    eventually(lambda: one.get(host="health.test").status == 200, "200 from health")
    assert not one.connect().get(host="a.test").has("Connection")
