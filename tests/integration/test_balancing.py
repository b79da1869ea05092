# SPDX-License-Identifier: BSD-2-Clause
"""Which server gets a request: shares of real nginx servers, keys that stay, servers with little room."""

import collections
import threading
import time

import pytest

from lib.daemon import run_weir
from lib.patience import PATIENCE, eventually
from lib.program import start_named_nginx

NAMES = ["a", "b", "c", "d"]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def fleet(session_folder):
    started = {}
    try:
        for name in NAMES:
            started[name] = start_named_nginx(session_folder / f"nginx-{name}", name)
        yield {name: f"127.0.0.1:{one.port}" for name, one in started.items()}
    finally:
        for one in started.values():
            one.stop()


def count_answers(weir, total, clients=4, path=lambda i: "/", host="a.test"):
    """How often each server answered, asked over several connections at once."""
    counts, lock, wrong = collections.Counter(), threading.Lock(), []

    def run(first):
        client, own = weir.connect(), collections.Counter()
        for i in range(first, total, clients):
            answer = client.get(path(i), host=host)
            own[answer.text if answer.status == 200 else answer.status] += 1
        with lock:
            counts.update(own)

    def guarded(first):
        try:
            run(first)
        except Exception as error:  # shown by the assertion below
            wrong.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    return counts


# Of several requests at once least_conn and random look at who is busy first, at weights then.
SHARES = [("round_robin", 2), ("least_conn", 1), ("random", 1)]


@pytest.mark.parametrize("balance, clients", SHARES)
def test_shares_follow_the_weights(weir, fleet, balance, clients):
    """10,000 requests over two workers: within 5 % of 3:2:1, of each share where no chance is in it."""
    weights = {"a": 3, "b": 2, "c": 1}
    servers = " ".join(f"server {fleet[name]} weight={weight};" for name, weight in weights.items())
    one = weir(f"workers 2; upstream u {{ {servers} balance {balance}; }} site _ {{ proxy u; }}")
    total = 10_000
    counts = count_answers(one, total, clients)
    assert sum(counts.values()) == total and set(counts) == set(weights)
    for name, weight in weights.items():
        most = 0.05 * weight / 6 if balance == "round_robin" else 0.05
        assert abs(counts[name] / total - weight / 6) <= most, counts


def owners(weir, keys):
    client = weir.connect()
    return {key: client.get(f"/{key}").text for key in range(keys)}


def test_hash_moves_few_keys_when_a_server_is_added(weir, fleet):
    """Adding the fourth server moves at most 1.5/4 of the keys, and all of them to it; a reload alone moves none."""
    def text(names):
        return (f"workers 2; upstream u {{ balance hash $uri; {' '.join(f'server {fleet[n]};' for n in names)} }} "
                "site _ { proxy u; }")

    keys = 600
    one = weir(text("abc"))
    before = owners(one, keys)
    counts = collections.Counter(before.values())
    assert all(counts[name] > keys / 3 * 0.7 for name in "abc"), counts
    one.reload(text("abc"))
    assert owners(one, keys) == before
    one.reload(text("abcd"))
    after = owners(one, keys)
    moved = [key for key in before if before[key] != after[key]]
    assert keys / 4 * 0.6 < len(moved) <= keys * 1.5 / 4
    assert {after[key] for key in moved} == {"d"}


def test_ip_hash_keeps_a_client_where_it_is(weir, fleet):
    servers = " ".join(f"server {fleet[name]};" for name in "abc")
    one = weir(f"trusted_proxies 127.0.0.1; upstream u {{ balance ip_hash; {servers} }} site _ {{ proxy u; }}")

    def ask(i):
        return one.get("/", f"X-Forwarded-For: 203.0.113.{i}").text

    first = [ask(i) for i in range(60)]
    assert set(first) == {"a", "b", "c"}
    assert [ask(i) for i in range(60)] == first


def test_least_conn_counts_the_requests_of_all_workers(weir, answering):
    """Three requests stay with one server; whichever worker is asked next, the other gets the next three."""
    hold = threading.Event()

    def slow(request):
        hold.wait(PATIENCE)
        return OK

    origins = [answering(slow), answering(slow)]
    servers = " ".join(f"server 127.0.0.1:{one.port};" for one in origins)
    one = weir(f"workers 2; upstream u {{ balance least_conn; {servers} }} site _ {{ proxy u; }}")
    clients = [one.connect() for _ in range(8)]
    for i, client in enumerate(clients):
        client.request()
        eventually(lambda: sum(len(o.requests) for o in origins) == i + 1, "the request arrived")
        assert abs(len(origins[0].requests) - len(origins[1].requests)) <= 1
    hold.set()
    for client in clients:
        assert client.response().status == 200


def test_ewma_leaves_a_server_that_became_slow(weir, answering):
    delay = {"fast": 0, "slow": 0}

    def answer(name):
        def run(request):
            if delay[name]:
                time.sleep(delay[name])
            return OK
        return run

    fast, slow = answering(answer("fast")), answering(answer("slow"))
    one = weir(f"workers 1; upstream u {{ balance ewma; server 127.0.0.1:{fast.port}; server 127.0.0.1:{slow.port}; }}"
               " site _ { proxy u; }")
    client = one.connect()
    for _ in range(50):
        client.get()
    delay["slow"] = 0.3
    eventually(lambda: client.get() and slow.requests and len(fast.requests) > 20, "both were asked")
    slow_before = len(slow.requests)
    for _ in range(20):
        client.get()
    fast.forget()
    slow.forget()
    for _ in range(100):
        assert client.get().status == 200
    assert len(slow.requests) <= 5 and len(fast.requests) >= 95, (slow_before, len(slow.requests))


def test_max_conns_queues_and_then_refuses(weir, answering):
    """One place: the second request waits for it; one for which none becomes free gets 503 with Retry-After."""
    hold = threading.Semaphore(0)

    def slow(request):
        hold.acquire(timeout=PATIENCE)
        return OK

    origin = answering(slow)
    one = weir(f"workers 2; timeout connect=2s; upstream u {{ server 127.0.0.1:{origin.port} max_conns=1; }}"
               " site _ { proxy u; }")
    first, second = one.connect(), one.connect()
    first.request()
    eventually(lambda: origin.requests, "the first one is there")
    second.request()
    hold.release()
    assert first.response().status == 200
    hold.release()
    assert second.response().status == 200
    assert len(origin.requests) == 2
    first.request()
    eventually(lambda: len(origin.requests) == 3, "the place is taken")
    begun = time.monotonic()
    refused = second.get()
    assert refused.status == 503 and refused.get("Retry-After")
    assert 1.8 <= time.monotonic() - begun < PATIENCE
    hold.release()
    assert first.response().status == 200


@pytest.mark.parametrize("line, message", [
    ("balance least_conn extra;", "extra"),
    ("balance hash;", "KEY"),
    ("balance least_con;", 'did you mean "least_conn"'),
    ("retry on=everything;", "nothing to retry on"),
    ("retry budget=lots;", "no part of the requests"),
    ("retry attempts=0;", "attempts"),
    ("sticky;", "cookie"),
    ("sticky cookie=a;b;", "b"),
    ("sticky cookie=\"a b\";", "cannot be a cookie"),
])
def test_mistakes_are_refused(folder, line, message):
    text = f"state_dir {folder}/s; upstream u {{ server 127.0.0.1:1; {line} }} site _ {{ proxy u; }}"
    (folder / "weir.conf").write_text(text)
    done = run_weir("check", "-c", folder / "weir.conf")
    assert done.returncode == 1 and message in done.stderr, done.stderr


# -- sticky ------------------------------------------------------------------------------------------------------------


def test_a_cookie_keeps_a_client_with_its_server(weir, fleet):
    """Also over a reload and a restart of the server; a forged or foreign cookie counts as none."""
    servers = " ".join(f"server {fleet[name]};" for name in "abc")
    text = f"workers 1; upstream u {{ {servers} sticky cookie=srv ttl=1h; }} site _ {{ proxy u; }}"
    one = weir(text)
    client = one.connect()
    cookies = {}
    for _ in range(9):
        answer = client.get()
        said = answer.get("Set-Cookie")
        assert said.startswith("srv=") and "HttpOnly" in said and "Max-Age=3600" in said
        cookies.setdefault(answer.text, said.partition(";")[0])
    assert set(cookies) == {"a", "b", "c"}
    for again in (False, True):
        for name, cookie in cookies.items():
            for _ in range(4):
                answer = one.get("/", f"Cookie: x=y; {cookie}; z=1")
                assert answer.text == name and not answer.get("Set-Cookie")
        if not again:
            one.reload(text + "\n# again")
    forged = cookies["a"][:-1] + ("0" if cookies["a"][-1] != "0" else "1")
    assert {one.get("/", f"Cookie: {forged}").text for _ in range(6)} == {"a", "b", "c"}
    assert one.get("/", f"Cookie: {forged}").get("Set-Cookie")
    one.reload(text.replace(f"server {fleet['a']};", f"server {fleet['a']} down;"))
    moved = one.get("/", f"Cookie: {cookies['a']}")
    assert moved.status == 200 and moved.text in "bc" and moved.get("Set-Cookie")
