# SPDX-License-Identifier: BSD-2-Clause
"""Who the client is, when a trusted proxy says so; and the word in the log when one was forgotten."""

import pathlib
import re

import pytest

from lib.daemon import run_weir
from lib.patience import eventually

TOP = pathlib.Path(__file__).resolve().parents[2]
CHAIN = "trusted_proxies 127.0.0.1 10.0.0.0/8 2001:db8:1::/48;"


@pytest.fixture
def who(weir):
    one = weir(f'{CHAIN} module access; site _ {{ deny 6.6.6.6; respond 200 "$client_addr $client_port"; }}')
    return lambda *fields: one.get("/", *fields)


@pytest.mark.parametrize("fields, expected", [
    ([], "127.0.0.1"),
    (["X-Forwarded-For: 192.0.2.1"], "192.0.2.1"),
    (["X-Forwarded-For: 192.0.2.1:4711"], "192.0.2.1 4711"),
    (["X-Forwarded-For: [2001:db8::7]:4711"], "2001:db8::7 4711"),
    (["X-Forwarded-For: ::ffff:192.0.2.1"], "192.0.2.1"),
    (["X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.1"], "192.0.2.1"),
    (["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 10.1.1.1, 2001:db8:1::1"],
     "192.0.2.1"),
    (["X-Forwarded-For: 10.0.0.2, 10.0.0.1"], "10.0.0.2"),
    (["X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.1"], "10.0.0.1"),
    (["X-Forwarded-For: 6.6.6.6, "], "127.0.0.1"),
    (["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For:"], "127.0.0.1"),
    (["X-Forwarded-For: 192.0.2.1", "Forwarded: for=6.6.6.6"], "192.0.2.1"),
    (["Forwarded: for=192.0.2.1;proto=https"], "192.0.2.1"),
    (['Forwarded: for=6.6.6.6, for="[2001:db8::7]:4711";by=x, for=10.0.0.1'], "2001:db8::7 4711"),
    (['Forwarded: for="6.6.6.6, for=192.0.2.1'], "192.0.2.1"),
    (['Forwarded: for=6.6.6.6, for="_hidden", for=10.0.0.1'], "10.0.0.1"),
])
def test_the_last_word_of_someone_trusted_counts(who, fields, expected):
    response = who(*fields)
    assert response.status == 200
    assert re.sub(r"^127\.0\.0\.1 .*", "127.0.0.1", response.text).rstrip() == expected


@pytest.mark.parametrize("fields", [["X-Forwarded-For: 6.6.6.6"], ["Forwarded: for=6.6.6.6"]])
def test_rules_are_asked_about_that_client(who, fields):
    assert who(*fields).status == 403


def test_a_proxy_that_nobody_named_is_noticed_once(weir):
    one = weir('workers 1; site _ { respond 200 "x"; }')
    client = one.connect()
    for _ in range(2100):
        assert client.get("/", "X-Forwarded-For: 192.0.2.1").status == 200
    said = 'if that is your proxy, "trusted_proxies 127.0.0.1;" names it'
    eventually(lambda: said in one.log(), "a warning")
    assert one.log().count("nearly all requests") == 1


def test_the_shipped_list_can_be_included(weir):
    path = TOP / "conf.d" / "trusted" / "cloudflare.conf"
    one = weir(f"include {path}; trusted_proxies 127.0.0.1; site _ {{ respond 200 $client_addr; }}")
    assert one.get("/", "X-Forwarded-For: 192.0.2.1, 104.16.0.1").text == "192.0.2.1"
    assert run_weir("check", "-c", one.config).returncode == 0
