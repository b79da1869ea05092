# SPDX-License-Identifier: BSD-2-Clause
"""Limits of rate and of concurrency, in the real daemon with several workers."""

import json
import os
import select
import signal
import threading
import time

import pytest

from lib.daemon import MODULES, ControlConnection
from lib.patience import IS_TSAN, PATIENCE, SLOWNESS, eventually

REFUSED = 429


def hammer(weir, target, seconds, threads):
    """Asks from many connections at once: (status, when it was asked, when it was answered) of each request."""
    told, failed = [[] for _ in range(threads)], []
    go = threading.Event()

    def ask(index):
        client = weir.connect()
        go.wait()
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                asked = time.monotonic()
                status = client.get(target).status
                told[index].append((status, asked, time.monotonic()))
        except Exception as failure:  # pylint: disable=broad-except
            failed.append(failure)

    crowd = [threading.Thread(target=ask, args=(index,)) for index in range(threads)]
    for one in crowd:
        one.start()
    go.set()
    for one in crowd:
        one.join()
    assert not failed, failed[0]
    return [one for each in told for one in each]


def test_32_clients_on_4_workers_get_exactly_the_rate(weir):
    """Admitted is rate * time + burst, within 1%. The limit judged each request at some time between asking and answer:
    up to the last refusal no token lay unused, and never were there more than time had brought."""
    one = weir('workers 4; site _ { rate_limit 200r/s burst=100 key=all; respond 200 "ok"; }', modules=["ratelimit"])
    told = hammer(one, "/", 4, 32)
    assert {status for status, _, _ in told} == {200, REFUSED}
    _, last_asked, last_answered = max((one for one in told if one[0] == REFUSED), key=lambda request: request[1])
    admitted = [asked for status, asked, _ in told if status == 200]
    least = 101 + 200 * (last_asked - min(answered for _, _, answered in told))
    most = 101 + 200 * (max(answered for _, _, answered in told) - min(asked for _, asked, _ in told))
    print(f"\nadmitted {len(admitted)} of {len(told)}, {least:.0f} to {most:.0f} expected")
    assert sum(asked <= last_answered for asked in admitted) >= least * 0.99 - 1
    assert len(admitted) <= most * 1.01 + 1
    assert len(told) - len(admitted) > len(admitted) / 10


def test_a_flood_of_keys_neither_grows_memory_nor_frees_the_busy_one(weir):
    """Keys that come once, a million with WEIR_LARGE_GB said, else so many that they do not fit; between them one that
    is asked for again and again. It stays limited, and memory stays under the cap."""
    flood = 1_000_000 if "WEIR_LARGE_GB" in os.environ else 300_000
    one = weir("workers 2; site _ { rate_limit 1r/h burst=9 key=$http_x_key; respond 200; }", modules=["ratelimit"],
               env={"ASAN_OPTIONS": "quarantine_size_mb=1:detect_leaks=1"})
    busy, batch = [], 200
    clients = [one.connect() for _ in range(2)]
    before = one.memory()

    def pour(client, start):
        for first in range(start, flood, 2 * batch):
            keys = [b"flood-%d" % (first + i) for i in range(batch)] + [b"busy"]
            client.send(b"".join(b"GET / HTTP/1.1\r\nHost: a\r\nX-Key: %s\r\n\r\n" % key for key in keys))
            for _ in range(batch):
                assert client.response().status == 200
            busy.append(client.response().status)

    crowd = [threading.Thread(target=pour, args=(client, index * batch)) for index, client in enumerate(clients)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    grown = one.memory() - before
    print(f"\n{flood} keys: {grown / (1 << 20):.1f} MiB more; the busy key was admitted {busy.count(200)} times of "
          f"{len(busy)}")
    assert busy.count(200) == 10 and busy.count(REFUSED) == len(busy) - 10
    if not IS_TSAN:  # whose shadow of memory grows with what has been touched
        assert grown < (32 << 20) * (2 if SLOWNESS > 1 else 1) + (8 << 20)


def test_a_refusal_says_when_to_come_again(weir):
    one = weir('site _ { rate_limit 2r/m; respond 200 "ok"; access_log LOG "$status $error_module: $refuse_reason"; }'
               .replace("LOG", "stdout"), modules=["ratelimit", "access-log"])
    assert one.get("/").status == 200
    response = one.get("/", "Accept: application/json")
    assert response.status == 429 and response.get("Content-Type") == "application/json"
    assert response.get("RateLimit-Policy") == '"limit";q=1;w=30'
    assert response.get("RateLimit") == f'"limit";r=0;t={response.get("Retry-After")}'
    assert 25 <= int(response.get("Retry-After")) <= 30
    stdout = one.folder / "stdout"
    eventually(lambda: "429 ratelimit: over rate_limit of " in stdout.read_text(), "the refusal's line in the log")


def test_fields_stand_on_proxied_answers(weir, answering):
    origin = answering()
    one = weir(f"site _ {{ rate_limit 10r/s burst=9 zone=api; rate_limit_fields always; proxy {origin.url}; }}",
               modules=["ratelimit"])
    response = one.get("/")
    assert response.get("RateLimit") == '"api";r=9;t=1' and response.get("RateLimit-Policy") == '"api";q=10;w=1'
    assert not response.has("Retry-After")


def test_a_delayed_burst_comes_at_the_rate(weir):
    one = weir('workers 4; site _ { rate_limit 20r/s burst=10 delay; respond 200 "ok"; }', modules=["ratelimit"])
    clients = [one.connect() for _ in range(20)]
    began = time.monotonic()
    for client in clients:
        client.request("GET", "/")
    asked = time.monotonic()
    statuses = [client.response().status for client in clients]
    more = (asked - began) * 20  # at 20 a second, while they were asked
    assert set(statuses) <= {200, 429} and 11 <= statuses.count(200) <= 12 + more
    assert time.monotonic() - began >= 0.45  # ten of them at 20 a second


def test_a_client_that_leaves_while_it_waits(weir):
    one = weir('workers 1; site _ { rate_limit 1r/h burst=5 delay; respond 200 "ok";'
               'route /free { rate_limit clear; } }', modules=["ratelimit"])
    assert one.get("/").status == 200
    waiting = [one.connect().request("GET", "/") for _ in range(3)]
    eventually(lambda: one.status()["connections"] == 3, "three wait")
    for client in waiting:
        client.reset()
    eventually(lambda: one.status()["connections"] == 0, "nobody waits")
    assert one.get("/free").status == 200


def test_requests_under_way(weir, origin):
    one = weir(f"workers 4; site _ {{ conn_limit 3; proxy {origin.url}; }}", modules=["ratelimit"])
    clients = [one.connect().request("GET", "/") for _ in range(3)]
    connections = []
    for _ in clients:
        connections.append(origin.take())
        connections[-1].request()
    assert one.get("/").status == 429
    connections[0].reply()
    answered = select.select([client.sock for client in clients], [], [], PATIENCE)[0]
    assert [client.response().status for client in clients if client.sock in answered] == [200]
    late = one.connect()

    def admitted():
        """The count falls when the answer has gone out."""
        late.request("GET", "/")
        if select.select([late.sock], [], [], 0.1)[0]:
            assert late.response().status == 429
            return False
        return True

    eventually(admitted, "there is room again")
    clients[1].reset()
    clients[2].reset()


def test_counts_outlive_a_reload(weir):
    text = 'site _ { rate_limit 1r/h burst=2 zone=kept; respond 200 "ok"; }'
    one = weir(text, modules=["ratelimit"])
    assert [one.get("/").status for _ in range(2)] == [200, 200]
    one.reload("# moved\n" + text)
    assert [one.get("/").status for _ in range(2)] == [200, 429]


def test_zones_are_shared_between_sites(weir):
    one = weir('site a.test { rate_limit 1r/h burst=1 zone=z; respond 200; }'
               'site b.test { rate_limit 1r/h burst=1 zone=z; respond 200; }'
               'site c.test { rate_limit 1r/h burst=1; respond 200; }', modules=["ratelimit"])
    assert [one.get("/", host=f"{name}.test").status for name in "abc"] == [200, 200, 200]
    assert [one.get("/", host=f"{name}.test").status for name in "abc"] == [429, 429, 200]


@pytest.mark.skipif(not MODULES, reason="WEIR_MODULES is not said")
def test_clients_behind_a_trusted_proxy_are_told_apart(weir):
    one = weir('trusted_proxies 127.0.0.1; site _ { rate_limit 1r/h; respond 200; }', modules=["ratelimit"])

    def ask(client):
        return one.get("/", f"X-Forwarded-For: {client}").status

    assert [ask("192.0.2.1"), ask("192.0.2.1"), ask("192.0.2.2")] == [200, 429, 200]
    assert [ask("2001:db8::1"), ask("2001:db8::2"), ask("2001:db8:0:1::1")] == [200, 429, 200]


def test_shadow_mode(weir):
    """What would be refused is refused nowhere: nor does it lead to a ban elsewhere."""
    one = weir('site a.test { enforce off ratelimit; rate_limit 1r/h burst=1 delay; ban after=2; respond 200 "ok"; }'
               'site b.test { respond 200 "ok"; }', modules=["ratelimit"])
    for _ in range(6):
        response = one.get("/")
        assert response.status == 200 and not response.has("RateLimit")
    assert one.get("/", host="b.test").status == 200
    assert "not enforced: ratelimit would have answered 429" in one.log()


def banned(weir):
    """What `weir ban list` shows: networks."""
    done = weir.cli("ban", "list")
    assert done.returncode == 0, done.stderr
    return {line.split()[0] for line in done.stdout.splitlines()}


def test_bans_by_hand(weir):
    one = weir('site _ { respond 200 "ok"; }', modules=["ratelimit"])
    assert banned(one) == set() and one.get("/").status == 200
    assert one.cli("ban", "add", "127.0.0.0/8", "1h").returncode == 0
    assert one.cli("ban", "add", "2001:db8::/32").returncode == 0
    assert banned(one) == {"127.0.0.0/8", "2001:db8::/32"} and one.get("/").status == 403
    one.reload('site _ { respond 201 "ok"; }')
    assert one.get("/").status == 403
    one.reload('site _ { respond 200 "ok"; }')
    assert one.cli("ban", "remove", "127.0.0.0/8").returncode == 0
    assert one.get("/").status == 200
    for words, why in [(["remove", "127.0.0.0/8"], "not banned"), (["add", "x"], "no address"), (["add"], "usage"),
                       (["add", "127.0.0.1", "soon"], "no time")]:
        done = one.cli("ban", *words)
        assert done.returncode == 1 and why in done.stderr and not done.stdout
    done = one.cli("nonsense", "list")
    assert done.returncode == 1 and "nonsense" in done.stderr


def test_refusals_lead_to_a_ban_that_outlives_the_process(weir):
    text = ('trusted_proxies 127.0.0.1;'
            'site _ { rate_limit 1r/h zone=z; ban after=5 within=1m for=1h; respond 200 "ok"; }')
    one = weir(text, modules=["ratelimit"])

    def ask(client):
        return one.get("/", f"X-Forwarded-For: {client}").status

    assert [ask("192.0.2.1") for _ in range(8)] == [200] + [429] * 5 + [403] * 2
    assert [ask("2001:db8::%d" % i) for i in range(8)] == [200] + [429] * 5 + [403] * 2
    assert ask("192.0.2.2") == 200
    assert banned(one) == {"192.0.2.1/32", "2001:db8::/64"}
    one.terminate()
    one.wait()
    one.start()
    assert banned(one) == {"192.0.2.1/32", "2001:db8::/64"}
    assert ask("192.0.2.1") == 403 and ask("2001:db8::9") == 403 and ask("192.0.2.3") == 200


def test_a_ban_is_on_the_disk_soon(weir):
    """A server that is killed has lost no more than the last second."""
    one = weir('site _ { respond 200 "ok"; }', modules=["ratelimit"])
    assert one.cli("ban", "add", "198.51.100.0/24", "1d").returncode == 0
    path = one.folder / "state" / "ratelimit" / "bans"
    eventually(lambda: path.exists() and path.read_text().startswith("198.51.100.0/24 "), "the ban is in the file")
    server = one.server()
    os.kill(server, signal.SIGKILL)
    eventually(lambda: one.servers() and one.server() != server, "another server")
    eventually(lambda: one.cli("ban", "list").returncode == 0, "it answers")
    assert banned(one) == {"198.51.100.0/24"}


def test_a_command_over_the_control_socket(weir):
    one = weir('site _ { respond 200 "ok"; }', modules=["ratelimit"])

    def ask(path):
        connection = ControlConnection(one.control)
        connection.request("POST", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    assert ask("/v1/commands/ban?word=add&word=192.0.2.1%2F32&word=5m") == (200, {"ok": True, "text": ""})
    status, said = ask("/v1/commands/ban?word=list")
    assert status == 200 and said["text"].startswith("192.0.2.1/32 ")
    assert ask("/v1/commands/ban?word=add&word=x") == (422, {"ok": False, "error": 'no address or network: "x"\n'})
    assert ask("/v1/commands/none")[0] == 404 and ask("/v1/commands/ban?list")[0] == 400
    assert ask("/v1/commands/ban?" + "&".join(["word=a"] * 17))[0] == 400
