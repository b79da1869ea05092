# SPDX-License-Identifier: BSD-2-Clause
"""Every refusal of every guard, over HTTP/1.1 and HTTP/2: a page as the client prefers it with the request's id, the
operator's page where there is one, and the module with its reason in the log and in weir why."""

import base64
import itertools
import json
import os
import pathlib
import re
from urllib.parse import quote

import pytest

from lib import http2
from lib.daemon import run_weir, serving
from lib.generated import FILES, token
from lib.lapi import Lapi
from lib.origin import AnsweringOrigin, Origin
from lib.patience import eventually

FIXTURES = pathlib.Path(os.environ["WEIR_TOP"]) / "modules/geoip/fixtures"
GERMANY, BANNED, LISTED = "192.0.2.1", "203.0.113.9", "203.0.113.77"

# route: (directives, fields, status, module, reason)
GUARDS = {
    "access": ("deny all;", [], 403, "access", "denied by rule"),
    "rate": ("rate_limit 1r/h burst=0 key=$http_x_key;", ["X-Key: spent"], 429, "ratelimit", "over rate_limit of"),
    "status": ("rate_limit 1r/h burst=0 key=$http_x_key status=503;", ["X-Key: spent"], 503, "ratelimit",
               "over rate_limit of"),
    "conn": ("conn_limit 1 key=all;", [], 429, "ratelimit", "over conn_limit of"),
    "ban": ("", [f"X-Forwarded-For: {BANNED}"], 403, "ratelimit", "banned"),
    "list": ("", [f"X-Forwarded-For: {LISTED}"], 403, "ratelimit", "banned by ban_list: CAPI test/scan"),
    "geoip": ("geoip_deny DE;", [f"X-Forwarded-For: {GERMANY}"], 403, "geoip", "country rule"),
    "basic": ("auth basic users;", [], 401, "auth", "no name and password"),
    "malformed": ("auth basic users;", ["Authorization: Basic !"], 401, "auth", "password"),
    "wrong": ("auth basic users;", ["Authorization: Basic " + base64.b64encode(b"ann:wrong").decode()], 401, "auth",
              "wrong"),
    "jwt": ("auth jwt key=key;", [], 401, "auth", "no token"),
    "expired": ("auth jwt key=key;", [f"Authorization: Bearer {token(exp=1)}"], 401, "auth", "expired"),
    "cert": ("auth cert;", [], 403, "auth", "no client certificate"),
    "dead": ("auth forward http://127.0.0.1:1;", [], 503, "auth", "the authentication server does not answer"),
    "maintenance": ("maintenance on;", [], 503, "maintenance", "maintenance"),
}
# Their pages are the gate's, whatever error_page says.
GATED = {"no": 401, "login": 302}
LOG = "$request_id|$status|$error_module|$refuse_reason|$would_refuse"


def gatekeeper(request):
    uri = request.get("X-Forwarded-Uri")
    if uri.endswith("login"):
        return b"HTTP/1.1 302 Go\r\nLocation: https://idp.test/?rd=secret\r\nContent-Length: 0\r\n\r\n"
    return b"HTTP/1.1 401 No\r\nContent-Type: text/x-gate\r\nContent-Length: 3\r\n\r\nno\n"


@pytest.fixture(scope="module")
def guarded():
    holding, gate, lapi = Origin(), AnsweringOrigin(gatekeeper), Lapi()
    lapi.add(LISTED, origin="CAPI", scenario="test/scan")
    routes = "".join(f"route /{name}/ {{ {text} {f'proxy {holding.url};' if name == 'conn' else 'respond 200 in;'} }}"
                     for name, (text, *_) in GUARDS.items())
    routes += f"route /gate/ {{ auth forward {gate.url}; respond 200 in; }}"
    text = f"""ban_list {lapi.url} key=list.key;
        why_ring 200; trusted_proxies 127.0.0.1; geoip_database {FIXTURES}/country.mmdb;
        module headers; response_header set X-Id $request_id;
        access_log log "{LOG}" buffer=0;
        site a.test {{ {routes} }}
        site paged.test {{ error_page 401 403 429 503 page.html; {routes} }}
        site shadow.test {{ enforce off access ratelimit geoip auth maintenance; {routes} }}
    """
    files = {**FILES, "list.key": "sesame", "page.html": "<p>the operator's page"}
    try:
        with serving(text, files, modules=["access", "access-log", "auth", "ratelimit", "geoip"]) as weir:
            assert weir.cli("ban", "add", BANNED).returncode == 0
            eventually(lambda: ": fetched, 1 bans" in weir.log(), "the list")
            for host in ("a.test", "paged.test", "shadow.test"): # spends the limits
                for route in ("rate", "status"):
                    weir.get(f"/{route}/", "X-Key: spent", host=host)
            holders = []
            for host in ("a.test", "paged.test"): # each holds the only place there is
                holders.append(weir.connect().request("GET", "/conn/", host=host))
                holding.take()
            yield weir
            for holder in holders:
                holder.reset()
    finally:
        holding.stop()
        gate.stop()
        lapi.stop()


def from_somewhere(fields, count=itertools.count(1)):
    """Clients that guess passwords wait for each further answer: each request has a client of its own."""
    return fields if any("Forwarded" in field for field in fields) else \
        [*fields, f"X-Forwarded-For: 198.18.{next(count) // 250}.{next(count) % 250 + 1}"]


class Over1:
    def __init__(self, weir):
        self.weir = weir

    def get(self, path, fields, host):
        response = self.weir.get(path, *from_somewhere(fields), host=host)
        return response.status, response.get("Content-Type"), response.body, response.get("X-Id")


class Over2:
    def __init__(self, weir):
        self.client = http2.connect(weir)

    def get(self, path, fields, host):
        pairs = [tuple(field.split(": ", 1)) for field in from_somewhere(fields)]
        answer = self.client.get(path, *[(name.lower(), value) for name, value in pairs], authority=host)
        return answer.status, answer.fields.get("content-type"), answer.body, answer["x-id"]


@pytest.fixture(params=[Over1, Over2], ids=["http1", "http2"])
def over(request, guarded):
    return request.param(guarded)


def logged(weir, id):
    """status, module, reason, would-refuse of the request's line."""
    def find():
        lines = (weir.folder / "log").read_text().splitlines()
        return next((line.split("|")[1:] for line in lines if line.startswith(f"{id}|")), None)

    return eventually(find, f"the line of request {id}")


def told(weir, id):
    def ask():
        code, answer = weir.ask("GET", f"/v1/why?id={quote(id, safe='')}")
        return answer if code == 200 else None

    return eventually(ask, f"request {id} in the ring")


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
@pytest.mark.parametrize("name", GUARDS)
def test_a_refusal_is_readable_and_named(guarded, over, name, accept):
    _, fields, status, module, reason = GUARDS[name]
    got, media_type, body, id = over.get(f"/{name}/", [*fields, f"Accept: {accept}"], "a.test")
    assert got == status
    assert media_type == (accept if "json" in accept else "text/html; charset=utf-8")
    if "json" in accept:
        page = json.loads(body)
        assert (page["status"], page["request_id"]) == (status, id)
    else:
        assert body.startswith(b"<!doctype html>") and f"{status} " in body.decode() and id in body.decode()
    assert logged(guarded, id)[:2] == [str(status), module]
    assert reason in logged(guarded, id)[2]
    why = told(guarded, id)
    assert (why["status"], why["refused_by"], why["reason"]) == (status, module, logged(guarded, id)[2])
    assert [step["verdict"] for step in why["steps"]][-1] == f"refuses {status}"


@pytest.mark.parametrize("name", GUARDS)
def test_the_operators_page_is_sent(guarded, over, name):
    _, fields, status, module, reason = GUARDS[name]
    got, media_type, body, id = over.get(f"/{name}/", [*fields, "Accept: application/json"], "paged.test")
    assert (got, media_type, body) == (status, "text/html; charset=utf-8", b"<p>the operator's page")
    assert logged(guarded, id)[:2] == [str(status), module] and reason in logged(guarded, id)[2]
    assert told(guarded, id)["steps"][-1]["stage"] == "page"


@pytest.mark.parametrize("name", GATED)
@pytest.mark.parametrize("host", ["a.test", "paged.test"])
def test_the_gates_answer_is_the_clients_and_named(guarded, over, name, host):
    status, reason = GATED[name], f"the authentication server answered {GATED[name]}"
    got, media_type, body, id = over.get(f"/gate/{name}", ["Accept: text/html"], host)
    assert got == status
    assert (media_type, body) == (("text/x-gate", b"no\n") if name == "no" else (media_type, b""))
    assert logged(guarded, id)[:3] == [str(status), "auth", reason]
    step = told(guarded, id)["steps"][-1]
    assert step["verdict"] == f"{'refuses' if status == 401 else 'redirects'} {status}"
    assert step["reason"].partition(", waited")[0] == reason


@pytest.mark.parametrize("name", [name for name in GUARDS if name != "conn"])
def test_in_shadow_mode_it_is_named_as_what_would_be(guarded, over, name):
    """The limits were spent by nobody: shadow mode counts as ever."""
    _, fields, status, module, reason = GUARDS[name]
    got, _, body, id = over.get(f"/{name}/", fields, "shadow.test")
    assert (got, body) == (200, b"in")
    line = logged(guarded, id)
    assert line[:3] == ["200", "", ""] and re.match(rf"{module}: {status} .*{reason}", line[3])
    assert told(guarded, id)["would_refuse"] == line[3]


def test_all_guards_are_here(guarded):
    """Whoever writes another one adds it to the table: what `enforce` may name decides."""
    found = []
    for name in [module["name"] for module in guarded.ask("GET", "/v1/modules")[1]["modules"]]:
        path = guarded.folder / "enforce.conf"
        path.write_text(guarded.config.read_text() + f"\nenforce on {name};\n")
        if run_weir("check", "-c", path).returncode == 0:
            found.append(name)
    assert set(found) == {module for *_, module, _ in GUARDS.values()}
