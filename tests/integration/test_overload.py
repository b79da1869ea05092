# SPDX-License-Identifier: BSD-2-Clause
"""Peers that want too much: memory, descriptors and time stay for the others."""

import contextlib
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import time

import pytest

from lib.client import Client
from lib.daemon import WEIR_BIN, Load, Weir, run_weir
from lib.message import Closed
from lib.patience import PATIENCE, eventually

SITE = "site _ { respond 200 ok; }"
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
SLOW_CONNECTIONS = 1000
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give privileges away")


def overload(one):
    return one.status()["overload"]


# -- connections -------------------------------------------------------------------------------------------------------


def test_busy_connections_make_others_wait_in_the_queue(weir, origin):
    """max_connections: accepting pauses; who waits is served when somebody has gone."""
    one = weir(f"workers 1; max_connections 4; site _ {{ proxy {origin.url}; }}")
    clients = [one.connect() for _ in range(4)]
    requests = []
    for client in clients:
        client.request()
        requests.append(origin.take())
        requests[-1].request()
    waiting = [one.connect(), one.connect()]  # the kernel takes them
    for client in waiting:
        client.request()
    eventually(lambda: overload(one)["accept_pauses"] >= 1, "accepting pauses")
    assert one.status()["connections"] == 4
    assert waiting[0].is_silent()
    for client, request in zip(clients[:2], requests):
        request.send(LAST)
        assert client.response().status == 200
        client.close()
    for _ in waiting:
        connection = origin.take()
        connection.request()
        connection.send(LAST)
    for client in waiting:
        assert client.response().status == 200
    assert one.status()["connections"] == 4
    assert one.log().count("accepting pauses") == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_a_flood_of_idle_connections_keeps_nobody_out(weir, workers):
    """The longest idle one gives way to a new one."""
    one = weir(f"workers {workers}; max_connections 50; timeout header=60s; {SITE}")
    flood = [one.connect() for _ in range(200)]
    for _ in range(20):
        assert one.get().status == 200
    assert one.status()["connections"] <= 50
    assert overload(one)["idle_closed"] >= 150
    assert overload(one)["accept_pauses"] >= 1
    assert flood[0].is_closed()


def test_a_keep_alive_connection_in_use_outlives_a_flood(weir):
    """Idle is who was not heard of for longest, not who came first."""
    one = weir(f"workers 1; max_connections 20; {SITE}")
    regular = one.connect()
    for _ in range(60):
        one.connect()
        assert regular.get().status == 200
    eventually(lambda: regular.get().status == 200 and one.status()["accepted"] == 61,
               "they were all let in, one after another, and it is served still")
    assert overload(one)["idle_closed"] >= 41


def test_a_client_has_its_share_of_connections(weir):
    """per_client: closed before a byte was read, counted, and one line for all of it."""
    one = weir(f"max_connections auto per_client=3; {SITE}")
    own = [Client(("127.0.0.1", one.http_port)) for _ in range(3)]
    assert all(client.get().text == "ok" for client in own)
    for _ in range(20):
        assert Client(("127.0.0.1", one.http_port)).is_closed()
    other = socket.create_connection(("127.0.0.1", one.http_port), PATIENCE, ("127.0.0.2", 0))
    with other:
        other.sendall(GET)
        assert other.recv(100).startswith(b"HTTP/1.1 200 ")
    assert overload(one)["connections_refused"] == 20 and overload(one)["per_client"] == 3
    assert one.log().count("per_client") == 1 and "client 127.0.0.1" in one.log()
    own[0].close()
    eventually(lambda: one.status()["connections"] == 2, "one has gone")
    assert one.get().text == "ok"
    for client in own:
        client.close()


def test_limits_change_with_a_reload(weir, origin):
    text = f"workers 1; max_connections %s; site _ {{ proxy {origin.url}; }}"
    one = weir(text % "2")
    clients = [one.connect() for _ in range(3)]
    for client in clients:
        client.request()
    eventually(lambda: overload(one)["accept_pauses"] == 1, "accepting pauses")
    one.reload(text % "3")
    for _ in clients:
        connection = origin.take()
        connection.request()
        connection.send(LAST)
    assert [client.response().status for client in clients] == [200] * 3
    assert overload(one)["max_connections"] == 3


def test_automatic_limits(weir):
    """Half of the descriptors; half of the memory."""
    one = weir(SITE)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = 1024 * 1024 if limit in (resource.RLIM_INFINITY,) or limit > 1024 * 1024 else limit
    assert overload(one)["max_connections"] == (limit - 64) // 2
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < overload(one)["max_memory"] <= memory // 2
    assert overload(one)["per_client"] == 0


@pytest.mark.parametrize("text, place", [
    ("max_connections 0;", "1:17"), ("max_connections many;", "1:17"), ("max_connections 10 per_client=-1;", "1:20"),
    ("max_memory 1m;", "1:12"), ("max_memory lots;", "1:12"), ("min_rate 10;x", "1:14"), ("max_memory;", "1:1"),
])
def test_mistakes_are_placed(folder, text, place):
    (folder / "weir.conf").write_text(text + "\n")
    done = run_weir("check", "-c", folder / "weir.conf")
    assert done.returncode == 1 and f"weir.conf:{place}" in done.stderr + done.stdout, done.stderr + done.stdout


# -- memory ------------------------------------------------------------------------------------------------------------


def test_slow_readers_of_large_answers_are_bounded(weir, answering):
    """max_memory: what they hold is bounded, health checks are served, and all is well when they are gone."""
    large = answering(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000)
    one = weir(f"workers 1; max_memory 8m; why_ring 9; site _ {{ route / {{ proxy {large.url}; }} "
               "route = /up { health; } route = /here { respond 200 here; } }")
    slow = []

    def asks_until_shed():
        client = one.connect(receive_buffer=2048)
        slow.append(client)
        client.request(target="/large")
        head = client.head()
        return head if head.status == 503 else None

    shed = eventually(asks_until_shed, "a request is shed", PATIENCE * 4)
    assert shed.get("Retry-After") == "1" and shed.get("Connection") == "close"
    refused = eventually(lambda: one.ask("GET", "/v1/why?refused")[1]["requests"], "the refusal in the ring")[0]
    assert (refused["refused_by"], refused["reason"], refused["status"]) == ("weir", "too much memory in use", 503)
    assert one.get("/up").status == 200
    assert overload(one)["requests_shed"] >= 1
    assert overload(one)["memory"] <= 10 * 1024 * 1024
    assert one.log().count("answered 503") == 1
    for client in slow:
        client.reset()
    eventually(lambda: one.get("/here").status == 200, "service is back")


def test_heads_that_do_not_end_keep_nobody_out(weir):
    """Slow headers: what they hold is bounded, however many they are; the longest waiting ones give way."""
    one = weir("workers 1; max_memory 8m; timeout header=60s; "
               "site _ { route / { respond 200 ok; } route = /up { health; } }")
    flood = [one.connect() for _ in range(1500)]
    for client in flood:
        client.send(b"G")
    for client in flood:
        with contextlib.suppress(OSError):
            client.send(b"ET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 14000)

    def is_served(target):
        with contextlib.suppress(OSError, Closed):
            return one.get(target).status == 200

    eventually(lambda: is_served("/up"), "health checks are served")
    eventually(lambda: is_served("/"), "others are served")
    assert overload(one)["memory"] <= 9 * 1024 * 1024
    assert overload(one)["idle_closed"] > 500


# -- descriptors -------------------------------------------------------------------------------------------------------


def test_out_of_descriptors_accepting_pauses_and_service_goes_on(weir):
    """One line in the log; connections that are there are served, and new ones as soon as there are descriptors."""
    one = weir(f"workers 1; max_connections 100000; {SITE}")
    server = one.server()
    regular = one.connect()
    assert regular.get().status == 200
    soft = len(os.listdir(f"/proc/{server}/fd")) + 20
    resource.prlimit(server, resource.RLIMIT_NOFILE, (soft, soft))
    flood = [one.connect() for _ in range(60)]
    for client in flood[:10]:
        assert client.get().status == 200
    eventually(lambda: "accept failed" in one.log(), "a line in the log")
    for _ in range(50):
        assert regular.get().status == 200
    for client in flood[:40]:
        client.close()
    assert flood[-1].get().status == 200
    assert one.get().status == 200
    assert one.log().count("accept failed") == 1


# -- slowness ----------------------------------------------------------------------------------------------------------


def test_a_pipelining_flood_is_fair(weir):
    """Others are served in between, and every request of the flood is answered in its turn."""
    one = weir(f"workers 1; {SITE}")
    count = 5000
    flood, other = one.connect(), one.connect()
    with Load(lambda: other.get(), threads=1) as load:
        eventually(lambda: load.answers > 5, "the other is served")
        flood.sock.setblocking(False)
        sent = flood.sock.send(GET * count)
        flood.sock.settimeout(PATIENCE)
        before = load.answers
        for _ in range(sent // len(GET)):
            assert flood.response().status == 200
        eventually(lambda: load.answers > before + 5, "the other is served still")
    assert not load.failures


def test_min_rate_ends_what_creeps(weir, origin):
    """A byte now and then keeps a body within its idle time, but not above the rate."""
    one = weir(f"timeout body=500ms; min_rate 1k; site _ {{ proxy {origin.url}; }}")
    client = one.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\n")
    try:
        while client.is_silent(0.1):
            client.send(b"x")
    except (OSError, Closed):
        pass
    assert client.response().status == 408


MODES = {
    "slow headers": ["-H", "-i", "1", "-x", "24"],
    "slow bodies": ["-B", "-i", "1", "-x", "24", "-s", "8192"],
    "range attack": ["-R", "-a", "1", "-b", "1000"],
    "slow readers": ["-X", "-w", "1", "-y", "64", "-n", "1", "-z", "32", "-k", "1"],
}


@pytest.mark.skipif(not shutil.which("slowhttptest"), reason="slowhttptest is not installed")
@pytest.mark.parametrize("mode", MODES)
def test_slowhttptest(weir, answering, folder, mode):
    """A thousand slow peers: a normal client is served, every time."""
    page = answering(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)
    one = weir(f"workers 1; timeout header=5s body=5s send=5s idle=5s; site _ {{ proxy {page.url}; }}")

    def latencies(seconds):
        taken, end = [], time.monotonic() + seconds
        client = one.connect()
        while time.monotonic() < end:
            began = time.monotonic()
            assert client.get().status == 200
            taken.append(time.monotonic() - began)
        client.close()
        return taken

    idle = latencies(2)
    attack = subprocess.Popen(["slowhttptest", *MODES[mode], "-c", str(SLOW_CONNECTIONS), "-r", "500", "-l", "8",
                               "-p", "3", "-u", f"http://127.0.0.1:{one.http_port}/"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    try:
        eventually(lambda: one.status()["connections"] > 100 or attack.poll() is not None, "peers come")
        beside = latencies(4)
    finally:
        attack.terminate()
        attack.wait(PATIENCE)
    alone_ms, beside_ms = statistics.median(idle) * 1000, statistics.median(beside) * 1000
    print(f"{mode}: median {alone_ms:.2f} ms alone, {beside_ms:.2f} ms beside, {len(beside)} requests, "
          f"{one.status()['accepted']} connections")
    assert len(beside) > 10
    assert one.get().status == 200
    eventually(lambda: one.status()["connections"] <= 1, "they are all gone", PATIENCE * 2)


# -- privileges --------------------------------------------------------------------------------------------------------


def identity(pid):
    with open(f"/proc/{pid}/status") as status:
        return dict(re.findall(r"^(\w+):\s*(.*)$", status.read(), re.MULTILINE))


@needs_root
@pytest.mark.parametrize("user, kept", [("user nobody;", set()), ("", {0, 1, 2, 3, 4})])
def test_capabilities_are_given_up(weir, user, kept):
    """None is left behind the drop, not even to be had again; who stays root opens files as root does, and no more."""
    one = weir(f"{user} {SITE}")
    server = identity(one.server())
    mask = sum(1 << number for number in kept)
    assert int(server["CapEff"], 16) == int(server["CapPrm"], 16)
    assert int(server["CapEff"], 16) & ~mask == 0
    assert int(server["CapBnd"], 16) & ~mask == 0
    assert int(server["CapInh"], 16) == int(server["CapAmb"], 16) == 0
    assert server["NoNewPrivs"] == "1"
    if kept:
        assert int(server["CapEff"], 16) == mask & int(identity(os.getpid())["CapEff"], 16)
    assert one.get().status == 200


def test_no_new_privileges_without_root(weir):
    """Whoever starts it."""
    if os.geteuid() != 0:
        one = weir(SITE)
    else:
        setpriv = shutil.which("setpriv")
        if not setpriv:
            pytest.skip("setpriv is not installed")
        one = Weir(SITE)
        for path in (one.folder, one.config):
            os.chown(path, 65534, 65534)
        try:
            one.start([setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--", WEIR_BIN, "run", "-c",
                       str(one.config)])
            server = identity(one.server())
            assert server["NoNewPrivs"] == "1" and int(server["CapPrm"], 16) == 0
            assert one.get().status == 200
            one.stop()
        finally:
            one.abandon()
        return
    assert identity(one.server())["NoNewPrivs"] == "1"
