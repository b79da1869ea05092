# SPDX-License-Identifier: BSD-2-Clause
"""Upstreams changed at run time, over the control API and the command line."""

import collections
import os
import signal
import threading

import pytest

from lib.daemon import Load
from lib.patience import PATIENCE, eventually
from lib.ports import free_port


def named(name):
    return lambda request: f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n\r\n{name}".encode()


@pytest.fixture
def fleet(answering):
    """Four origins that answer with their names, and their addresses."""
    started = {name: answering(named(name)) for name in "abcd"}
    return {name: f"127.0.0.1:{one.port}" for name, one in started.items()}


def text_of(fleet, names, more=""):
    servers = " ".join(f"server {fleet[name]};" for name in names)
    return f"workers 2; upstream u {{ {more} {servers} }} site _ {{ proxy u; }}"


def answers(weir, count=24):
    """Who answers, over connections to both workers."""
    clients = [weir.connect() for _ in range(4)]
    found = collections.Counter(clients[i % 4].get().text for i in range(count))
    for client in clients:
        client.close()
        weir.clients.remove(client)
    return found


def change(weir, *words, fails=None):
    done = weir.cli("upstream", "u", *words)
    if fails is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1 and fails in done.stderr, done.stderr
    return done


def upstream_of(weir):
    status, answer = weir.ask("GET", "/v1/upstreams/u")
    assert status == 200
    return answer


def server_of(weir, address):
    return next(one for one in upstream_of(weir)["servers"] if one["name"] == address)


def test_add_and_remove(weir, fleet):
    one = weir(text_of(fleet, "ab"))
    assert set(answers(one)) == {"a", "b"}
    change(one, "add", fleet["c"], "weight=2")
    assert answers(one, 40).keys() == set("abc")
    assert upstream_of(one)["changes"] == [f"add {fleet['c']} weight=2"]
    assert server_of(one, fleet["c"])["weight"] == 2
    change(one, "remove", fleet["a"])
    assert set(answers(one)) == {"b", "c"}
    change(one, "remove", fleet["c"])
    change(one, "add", fleet["a"])
    assert set(answers(one)) == {"a", "b"}
    assert "by the control socket" in one.log()


def test_weight_down_and_up(weir, fleet):
    one = weir(text_of(fleet, "ab"))
    change(one, "weight", fleet["a"], "9")
    counts = answers(one, 40)
    assert counts["a"] > 3 * counts["b"] > 0, counts
    change(one, "down", fleet["a"])
    assert set(answers(one)) == {"b"}
    assert server_of(one, fleet["a"])["state"] == "down"
    assert server_of(one, fleet["a"])["reason"] == "set at run time"
    assert upstream_of(one)["changes"] == [f"weight {fleet['a']} 9", f"down {fleet['a']}"]
    change(one, "up", fleet["a"])
    change(one, "weight", fleet["a"], "1")
    assert set(answers(one)) == {"a", "b"}
    assert upstream_of(one)["changes"] == []


def test_up_overrules_the_file_and_forgives_failures(weir, fleet, answering):
    port = free_port()
    one = weir(f"upstream u {{ server {fleet['a']} down; server 127.0.0.1:{port} max_fails=1 fail_timeout=60s; }}"
               " site _ { proxy u; }")
    assert one.get().status == 502
    change(one, "up", fleet["a"])
    assert set(answers(one)) == {"a"}
    assert upstream_of(one)["changes"] == [f"up {fleet['a']}"]
    assert server_of(one, f"127.0.0.1:{port}")["state"] == "out"
    answering(named("late"), address=("127.0.0.1", port))
    change(one, "up", f"127.0.0.1:{port}")
    assert set(answers(one)) == {"a", "late"}


def test_a_drained_server_keeps_its_own(weir, fleet):
    """Who has its cookie still comes to it, nobody else."""
    one = weir(text_of(fleet, "ab", "sticky cookie=at;"))
    cookies = {}
    for _ in range(8):
        answer = one.get()
        cookies[answer.text] = answer.get("Set-Cookie").split(";")[0]
    change(one, "drain", fleet["a"])
    assert server_of(one, fleet["a"])["state"] == "draining"
    assert set(answers(one)) == {"b"}
    assert {one.get("/", f"Cookie: {cookies['a']}").text for _ in range(6)} == {"a"}
    change(one, "remove", fleet["a"])
    assert {one.get("/", f"Cookie: {cookies['a']}").text for _ in range(6)} == {"b"}


@pytest.mark.parametrize("verb", ["remove", "drain", "down"])
def test_requests_under_way_finish(weir, answering, verb):
    hold = threading.Event()

    def slow(request):
        hold.wait(PATIENCE)
        return named("slow")(request)

    first, second = answering(slow), answering(named("quick"))
    one = weir(f"workers 1; upstream u {{ server 127.0.0.1:{first.port}; server 127.0.0.1:{second.port} backup; }}"
               " site _ { proxy u; }")
    client = one.connect()
    client.request()
    eventually(lambda: first.requests, "the request arrived")
    change(one, verb, f"127.0.0.1:{first.port}")
    assert one.get().text == "quick"
    hold.set()
    assert client.response().text == "slow"


def test_nothing_fails_while_servers_come_and_go(weir, fleet):
    """Hundreds of changes under load, kept connections and all."""
    one = weir(text_of(fleet, "ab", "retry;"))
    clients = threading.local()

    def ask():
        if not hasattr(clients, "one"):
            clients.one = one.connect()
        answer = clients.one.get()
        assert answer.status == 200, answer.status

    with Load(ask) as load:
        for i in range(40):
            for verb in ("add", "weight", "drain", "remove"):
                query = f"server={fleet['c']}" + ("&weight=3" if verb == "weight" else "")
                assert one.ask("POST", f"/v1/upstreams/u/{verb}?{query}")[0] == 200
        eventually(lambda: load.answers > 200, "the load ran")
    assert not load.failures, load.failures[:3]
    assert upstream_of(one)["changes"] == []


def test_who_waits_for_room_follows(weir, answering):
    """A request queued for a full server goes to the one that is added."""
    hold = threading.Event()

    def slow(request):
        hold.wait(PATIENCE)
        return named("slow")(request)

    first, second = answering(slow), answering(named("added"))
    one = weir(f"workers 1; timeout connect=20s; upstream u {{ server 127.0.0.1:{first.port} max_conns=1; }}"
               " site _ { proxy u; }")
    clients = [one.connect(), one.connect()]
    clients[0].request()
    eventually(lambda: first.requests, "the first arrived")
    clients[1].request()
    eventually(lambda: server_of(one, f"127.0.0.1:{first.port}")["state"] == "full", "it is full")
    change(one, "add", f"127.0.0.1:{second.port}")
    assert clients[1].response().text == "added"
    hold.set()
    assert clients[0].response().text == "slow"


def test_hash_moves_few_keys(weir, fleet):
    """Adding the fourth of four moves at most 1.5/4 of the keys, all to it; draining it brings them back."""
    one = weir(text_of(fleet, "abc", "balance hash $uri;"))
    keys = 400

    def owners():
        client = one.connect()
        return [client.get(f"/{key}").text for key in range(keys)]

    before = owners()
    change(one, "add", fleet["d"])
    after = owners()
    moved = [key for key in range(keys) if before[key] != after[key]]
    assert keys / 4 * 0.5 < len(moved) <= keys * 1.5 / 4
    assert {after[key] for key in moved} == {"d"}
    change(one, "drain", fleet["d"])
    assert owners() == before


# -- how long it holds -------------------------------------------------------------------------------------------------


def test_changes_outlive_reloads_until_the_block_changes(weir, fleet):
    text = text_of(fleet, "ab")
    one = weir(text)
    change(one, "add", fleet["c"])
    change(one, "down", fleet["a"])
    one.reload("# a comment\n" + text.replace("site _", "site x.test { respond 200 x; } site _"))
    assert set(answers(one)) == {"b", "c"}
    shown = one.cli("status").stdout
    assert f"u: add {fleet['c']}" in shown and f"u: down {fleet['a']}" in shown
    one.reload(text_of(fleet, "ad"))
    assert set(answers(one)) == {"a", "d"}
    dropped = [line for line in one.log().splitlines() if "dropped" in line]
    assert len(dropped) == 1 and f"add {fleet['c']};down {fleet['a']}" in dropped[0]
    assert upstream_of(one)["changes"] == []
    one.reload(text)
    assert set(answers(one)) == {"a", "b"}, "what was dropped stays dropped"


def test_changes_outlive_a_crash_and_an_upgrade(weir, fleet):
    one = weir(text_of(fleet, "ab"))
    change(one, "add", fleet["c"])
    change(one, "drain", fleet["a"])
    server = one.server()
    os.kill(server, signal.SIGKILL)
    eventually(lambda: one.servers() and one.server() != server, "another server runs")
    assert set(answers(one)) == {"b", "c"}, "it serves as the former one did"
    assert one.cli("upgrade").returncode == 0
    assert set(answers(one)) == {"b", "c"}
    assert upstream_of(one)["changes"] == [f"add {fleet['c']}", f"drain {fleet['a']}"]
    server = one.status()["pid"]
    os.kill(server, signal.SIGKILL)
    eventually(lambda: server not in one.servers(), "it is gone")
    assert set(answers(one)) == {"b", "c"}, "the supervisor of the upgrade knows it too"


def test_changes_during_an_upgrade_are_not_lost(weir, fleet):
    """What was answered with 200, one change after the other, holds in the new server, whoever answered."""
    one = weir(text_of(fleet, "ab"))
    former, weights, over = one.server(), [], threading.Event()

    def go_on():
        weight = 1
        while not over.wait(0.02):
            weight = weight % 1000 + 1
            try:
                status, _ = one.ask("POST", f"/v1/upstreams/u/weight?server={fleet['a']}&weight={weight}")
            except OSError:  # the former server closed its door under our hands
                continue
            if status == 200:
                weights.append(weight)

    changing = threading.Thread(target=go_on)
    changing.start()
    try:
        eventually(lambda: weights, "changes to be under way")
        assert one.cli("upgrade").returncode == 0
        assert one.status()["pid"] != former
    finally:
        over.set()
        changing.join()
    eventually(lambda: server_of(one, fleet["a"])["weight"] == weights[-1], "the last change holds")


def test_checks_follow(weir, fleet, answering):
    """A server that is added is checked, one that is removed is not."""
    health = answering(lambda request: named("x")(request).replace(b"200 OK", b"500 No"))
    one = weir(text_of(fleet, "a", "health_check interval=50ms fall=2 rise=1;"))
    change(one, "add", f"127.0.0.1:{health.port}")
    eventually(lambda: server_of(one, f"127.0.0.1:{health.port}")["state"] == "down", "it is found sick")
    assert server_of(one, f"127.0.0.1:{health.port}")["reason"] == "status 500"
    change(one, "remove", f"127.0.0.1:{health.port}")
    assert set(answers(one)) == {"a"}
    change(one, "add", f"127.0.0.1:{health.port}", "down")
    asked = len(health.requests)
    change(one, "up", f"127.0.0.1:{health.port}")
    eventually(lambda: len(health.requests) > asked, "it is checked again")


# -- what is said ------------------------------------------------------------------------------------------------------


def test_mistakes(weir, fleet):
    one = weir(text_of(fleet, "ab") + f" site url.test {{ proxy http://{fleet['c']}; }}"
               f" upstream backend {{ server {fleet['c']}; }}")
    a = fleet["a"]
    port = int(a.split(":")[1])
    change(one, "remove", "10.9.8.7:1", fails=f"no server \"10.9.8.7:1\", but {a}, {fleet['b']}")
    change(one, "remove", f"127.0.0.2:{port}", fails=f'did you mean "{a}"?')
    change(one, "add", a, fails="already")
    change(one, "add", "not/an address", fails="an address without blanks")
    change(one, "add", "10.0.0.1:99999", fails="no address")
    change(one, "add", fleet["c"], "weigth=2", fails='did you mean "weight"?')
    change(one, "add", fleet["c"], "weight=0", fails="too small")
    change(one, "add", fleet["c"], "x;down", fails="none")
    change(one, "weight", a, "1001", fails="1 to 1000")
    change(one, "weight", a, fails="1 to 1000")
    change(one, "drain", a, "now", fails="nothing but a server")
    change(one, "explode", a, fails='"explode" is nothing to do')
    done = one.cli("upstream", "bakend")
    assert done.returncode == 1 and 'unknown upstream "bakend": did you mean "backend"?' in done.stderr
    assert one.cli("upstream", "u", "add").returncode == 2
    assert upstream_of(one)["changes"] == []
    url = "http:%2F%2F" + fleet["c"].replace(":", "%3A")
    status, answer = one.ask("POST", f"/v1/upstreams/{url}/down?server={fleet['c']}")
    assert status == 409 and "URL" in answer["error"], answer
    assert one.ask("GET", "/v1/upstreams/u/down?server=x")[0] == 405
    assert one.ask("POST", "/v1/upstreams/u")[0] == 405
    names = [each["name"] for each in one.ask("GET", "/v1/upstreams")[1]["upstreams"]]
    assert names == ["u", "backend", f"http://{fleet['c']}"]


def test_the_last_server_is_warned_of(weir, fleet):
    one = weir(text_of(fleet, "a"))
    assert "no server in service" in change(one, "down", fleet["a"]).stderr
    answer = one.get()
    assert answer.status == 503 and int(answer.get("Retry-After")) >= 1
    status, answer = one.ask("POST", f"/v1/upstreams/u/remove?server={fleet['a']}")
    assert status == 200 and "no server in service" in answer["warning"]
    assert one.get().status == 503
    status, answer = one.ask("POST", f"/v1/upstreams/u/add?server={fleet['b']}&backup&max_conns=3")
    assert status == 200 and answer["warning"] is None and answer["servers"][0]["backup"]
    assert one.get().text == "b"


def test_shown_on_the_command_line(weir, fleet):
    one = weir(text_of(fleet, "ab"))
    change(one, "drain", fleet["b"])
    shown = one.cli("upstream", "u").stdout.splitlines()
    assert len(shown) == 3 and shown[0].startswith(fleet["a"]) and " up " in shown[0]
    assert "draining" in shown[1] and shown[2] == f"changed at run time: drain {fleet['b']}"
