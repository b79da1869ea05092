# SPDX-License-Identifier: BSD-2-Clause
"""Modules that refuse: `enforce off` lets their refusals through and says so, `satisfy any` asks the next one."""

import os
import pathlib
import re
import subprocess

import pytest

from lib.daemon import serving
from lib.message import Closed
from lib.origin import AnsweringOrigin

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def gate(session_folder):
    target = session_folder / "gate.so"
    made = subprocess.run([*os.environ.get("CC", "cc").split(), "-shared", "-fPIC", "-O1", "-Wall", "-Wl,-z,defs",
                           f"-I{HERE.parents[1]}/sdk/include", "-o", target, HERE / "modules" / "gate.c"],
                          capture_output=True, text=True, timeout=120)
    assert made.returncode == 0 and not made.stderr, made.stderr
    return target


@pytest.fixture(scope="module")
def gated(gate):
    origin = AnsweringOrigin()
    text = f"""
        module {gate}; module headers;
        gate on;
        response_header set X-Would "$would_refuse";
        response_header set X-Why "<$error_module|$refuse_reason>";
        site a.test {{
            route /on {{ proxy {origin.url}; }}
            route /off {{ enforce off gate; proxy {origin.url}; }}
            route /none {{ gate off; proxy {origin.url}; }}
            route /any/allowed {{ satisfy any; allow 127.0.0.1; proxy {origin.url}; }}
            route /any/denied {{ satisfy any; deny all; proxy {origin.url}; }}
            route /any/neither {{ satisfy any; allow 192.0.2.1; proxy {origin.url}; }}
            route /any/shadow {{ satisfy any; deny all; enforce off gate; proxy {origin.url}; }}
            route /all/allowed {{ allow 127.0.0.1; proxy {origin.url}; }}
            route /all/denied {{ deny all; proxy {origin.url}; }}
            route /shadow/denied {{ enforce off access; deny all; proxy {origin.url}; }}
        }}
        site b.test {{
            enforce off access;
            deny all;
            route /inner {{ enforce on access; proxy {origin.url}; }}
            route /outer {{ proxy {origin.url}; }}
        }}
    """
    try:
        with serving(text, modules=["access"]) as weir:
            weir.origin = origin
            yield weir
    finally:
        origin.stop()


def asked(weir, path, gate):
    try:
        return weir.get(path, f"X-Gate: {gate}")
    except Closed:
        return None


@pytest.mark.parametrize("told, status", [
    ("next", 200), ("skip", 200), ("refuse", 401), ("reply", 302), ("fail", 503), ("later-refuse", 401),
    ("later-skip", 200)])
def test_enforced(gated, told, status):
    assert asked(gated, "/on", told).status == status


def test_enforced_close(gated):
    assert asked(gated, "/on", "close") is None


@pytest.mark.parametrize("told, why", [
    ("refuse", "gate: 401 the gate is shut"), ("reply", "gate: 302 no reason given"),
    ("fail", "gate: 503 the gate is stuck"), ("close", "gate: 0 no reason given"), ("later-refuse", "gate: 401 later")])
def test_off_changes_nothing_on_the_wire_and_says_so(gated, told, why):
    plain, shadowed = asked(gated, "/none", told), asked(gated, "/off", told)
    assert shadowed.status == plain.status == 200
    assert shadowed.get("X-Would") == why and plain.get("X-Would", "") == ""
    assert set(shadowed.names()) == set(plain.names()) and not shadowed.has("X-Stamp")
    assert b"X-User" not in shadowed.body
    assert f"not enforced: gate would have answered {why.split()[1]}" in gated.log()
    figures = gated.ask("GET", "/v1/metrics")[1].decode()
    assert int(figures.partition('weir_would_refuse_total{module="gate"} ')[2].split()[0]) >= 1


def test_off_for_access(gated):
    assert asked(gated, "/shadow/denied", "next").status == 200
    assert gated.get("/outer", host="b.test").status == 200
    assert gated.get("/inner", host="b.test").status == 403


@pytest.mark.parametrize("path, told, status", [
    ("/any/allowed", "refuse", 200), ("/any/allowed", "next", 200), ("/any/denied", "skip", 200),
    ("/any/denied", "later-skip", 200), ("/any/denied", "refuse", 401), ("/any/denied", "later-refuse", 401),
    ("/any/denied", "next", 403), ("/any/neither", "refuse", 401), ("/any/neither", "skip", 200),
    ("/any/neither", "next", 200),
    ("/all/allowed", "refuse", 401), ("/all/allowed", "skip", 200), ("/all/denied", "skip", 403)])
def test_satisfy(gated, path, told, status):
    response = asked(gated, path, told)
    assert response.status == status
    if status == 200 and path == "/any/denied":
        assert response.get("X-Stamp") == told and response.get("Content-Type") == "text/plain"


@pytest.mark.parametrize("told, status", [
    ("next", 403), ("refuse", 403), ("reply", 403), ("fail", 403), ("close", 403), ("later-refuse", 403), ("skip", 200),
    ("later-skip", 200)])
def test_a_refusal_outlives_what_shadow_mode_lets_through(gated, told, status):
    """satisfy any: the address was refused, the gate would refuse it too: the first refusal is the answer, whole."""
    response, refused = asked(gated, "/any/shadow", told), asked(gated, "/any/denied", "next")
    assert response.status == status
    if status == 403:
        same = [re.sub(rb"[0-9a-f]{32}", b"", one.body) for one in (response, refused)]
        assert same[0] == same[1] and b"403 Forbidden" in same[0]
        assert response.get("Content-Type") == refused.get("Content-Type") and not response.has("X-Stamp")
        assert (response.get("X-Would") != "") == (told != "next")


def test_another_route_knows_nothing_of_the_first_ones_refusal(gated):
    """satisfy any: the address was refused, then the gate leads to a route that asks for none."""
    response = asked(gated, "/any/denied", "reroute")
    assert response.status == 200 and response.get("X-Why") == "<|>"


@pytest.mark.parametrize("text, error", [
    ("module access; enforce off acces;", 'did you mean "access"?'),
    ("enforce off nobody;", 'no module "nobody" is loaded'),
    ("module gzip; enforce off gzip;", 'module "gzip" refuses nothing'),
    ("enforce maybe access;", "enforce")])
def test_mistakes(weir, text, error):
    one = weir("site a.test { respond 204; }")
    one.write(text + " site a.test { respond 200; }")
    done = one.cli("check")
    assert done.returncode == 1 and error in done.stderr
