# SPDX-License-Identifier: BSD-2-Clause
"""Servers that fail: passed over, tried again, reported; which requests are repeated elsewhere."""

import re
import signal
import threading
import time

import pytest

from lib.daemon import run_weir
from lib.patience import PATIENCE, SLOWNESS, eventually
from lib.ports import free_port
from lib.program import start_named_nginx

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nbad"


def lines_of(weir, text):
    return [line for line in weir.log().splitlines() if text in line]


def test_a_server_that_fails_is_out_for_a_while_and_comes_back(weir, answering):
    """Counted once per process: three failures over two workers; one log line per change."""
    alive, port = answering(), free_port()
    seconds = 1 * SLOWNESS  # within which three fail
    one = weir(f"workers 2; upstream u {{ server 127.0.0.1:{port} max_fails=3 fail_timeout={seconds}s;"
               f" server 127.0.0.1:{alive.port}; }}"
               " site _ { proxy u; }")
    clients = [one.connect() for _ in range(4)]
    for client in clients * 5:
        assert client.get().status == 200
    assert len(lines_of(one, f"127.0.0.1:{port}: connection refused")) >= 1
    out = lines_of(one, f"out for {seconds}s")
    assert len(out) == 1
    assert re.search(rf"upstream u 127\.0\.0\.1:{port}: .*refused, out for {seconds}s \(fails=3/3\)", out[0])
    back = answering(address=("127.0.0.1", port))
    eventually(lambda: clients[0].get().status == 200 and back.requests, "it is asked again")
    assert len(lines_of(one, "back in service")) == 1


def test_all_servers_down_is_503_at_once(weir):
    one = weir(f"upstream u {{ server 127.0.0.1:{free_port()} max_fails=1;"
               f" server 127.0.0.1:{free_port()} max_fails=1; }}"
               f"upstream off {{ server 127.0.0.1:{free_port()} down; }}"
               " site _ { proxy u; } site off.test { proxy off; }")
    assert one.get().status == 502
    begun = time.monotonic()
    answers = [one.get() for _ in range(10)]
    took = time.monotonic() - begun
    assert took < 1 * SLOWNESS
    refused = [answer for answer in answers if answer.status == 503]
    tried = 2 * (1 + int(took))  # each of the two once a second
    assert len(refused) >= 10 - tried and all(int(answer.get("Retry-After")) >= 1 for answer in refused)
    answer = one.get(host="off.test")
    assert answer.status == 503 and int(answer.get("Retry-After")) >= 1


def test_a_lone_server_is_back_within_moments(weir, answering):
    """fail_timeout is a minute, but nobody else is there: it is tried once a second."""
    port = free_port()
    one = weir(f"upstream u {{ server 127.0.0.1:{port} max_fails=1 fail_timeout=60s; }} site _ {{ proxy u; }}")
    assert one.get().status == 502
    answering(address=("127.0.0.1", port))
    eventually(lambda: one.get().status == 200, "it is tried early", 5 * SLOWNESS)


def test_state_survives_a_reload(weir):
    text = (f"upstream u {{ server 127.0.0.1:{free_port()} max_fails=1 fail_timeout=60s; }} site _ {{ proxy u; }}")
    one = weir(text)
    assert [one.get().status for _ in range(3)][0] == 502
    one.reload(text + "\n# again")
    assert 503 in [one.get().status for _ in range(3)]
    assert len(lines_of(one, "out for 60s")) == 1


# -- retries -----------------------------------------------------------------------------------------------------------

GET, POST = "GET", "POST"
RETRIED = [
    ("retry;", GET, BAD, 200),
    ("retry on=connect;", GET, BAD, 503),
    ("retry on=connect;", GET, None, 200),      # closed without a byte
    ("retry on=502,503;", GET, None, 502),
    ("retry;", POST, BAD, 503),                 # may have had an effect
    ("retry;", POST, None, 502),
    ("", GET, BAD, 503),
    ("", GET, None, 502),
    ("retry attempts=1;", GET, BAD, 503),
    ("retry;", GET, b"HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n" + BAD, 503),  # the client has seen something
]


@pytest.mark.parametrize("line, method, answer, status", RETRIED)
def test_what_is_tried_elsewhere(weir, answering, line, method, answer, status):
    first, second = answering(lambda request: answer), answering(lambda request: OK)
    one = weir(f"workers 1; upstream u {{ server 127.0.0.1:{first.port}; "
               f"server 127.0.0.1:{second.port} backup; {line} }} site _ {{ proxy u; }}")
    client = one.connect()
    client.request(method, body=b"" if method == POST else None)
    got = client.response(to=method)
    while got.status == 103:
        got = client.response(to=method)
    assert got.status == status
    assert len(second.requests) == (1 if status == 200 else 0)


def test_no_answer_in_time_is_tried_elsewhere(weir, origin, answering):
    second = answering(lambda request: OK)
    one = weir(f"workers 1; timeout response=300ms; upstream u {{ server 127.0.0.1:{origin.port}; "
               f"server 127.0.0.1:{second.port} backup; retry on=timeout; }} site _ {{ proxy u; }}")
    assert one.get().status == 200 and len(second.requests) == 1


def test_the_budget_bounds_retries(weir, answering):
    """Of 100 failing requests 10 are repeated (always allowed), then 5 % at most."""
    first, second = answering(lambda request: BAD), answering(lambda request: OK)
    one = weir(f"workers 1; upstream u {{ server 127.0.0.1:{first.port} max_fails=0;"
               f" server 127.0.0.1:{second.port} backup; retry budget=5%; }} site _ {{ proxy u; }}")
    client = one.connect()
    statuses = [client.get().status for _ in range(100)]
    assert statuses[:10] == [200] * 10
    assert 10 <= statuses.count(200) <= 20


def test_kill_9_under_load_fails_no_get(weir, session_folder):
    """200 requests/s over three nginx with retries on; one is killed, and the active check brings it back."""
    fleet = [start_named_nginx(session_folder / f"nginx-kill-{name}", name) for name in "abc"]
    try:
        servers = " ".join(f"server 127.0.0.1:{one.port} fail_timeout=1h;" for one in fleet)
        one = weir(f"workers 2; upstream u {{ {servers} retry attempts=3; health_check interval=200ms; }}"
                   " site _ { proxy u; }")
        statuses, stop = [], threading.Event()

        def load():
            client = one.connect()
            while not stop.wait(0.02):
                answer = client.get()
                statuses.append((answer.status, answer.text))

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(statuses) > 200, "the load runs")
        fleet[0].process.send_signal(signal.SIGKILL)
        fleet[0].process.wait(PATIENCE)
        mark = len(statuses)
        eventually(lambda: len(statuses) > mark + 300, "the load goes on")
        assert not any(text == "a" for _, text in statuses[mark + 50:])
        fleet[0] = start_named_nginx(session_folder / "nginx-kill-a", "a", fleet[0].port)
        mark = len(statuses)
        eventually(lambda: any(text == "a" for _, text in statuses[mark:]), "it serves again")
        stop.set()
        for thread in threads:
            thread.join()
        assert {status for status, _ in statuses} == {200}
    finally:
        for program in fleet:
            program.stop()


# -- active checks -----------------------------------------------------------------------------------------------------


def state_of(weir, number=0):
    return weir.status()["upstreams"][0]["servers"][number]


CHECK = "health_check uri=/healthz interval=100ms timeout=1s fall=2 rise=2 expect=200-299,404;"


def test_a_check_takes_out_and_brings_back(weir, answering):
    """By status; told once each, seen in `weir status`, carried over a reload; nothing fails for clients."""
    health = {"status": 200}

    def answer(request):
        status = health["status"] if request.target == "/healthz" else 200
        return b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok" % status

    sick, well = answering(answer), answering(lambda request: OK)
    text = (f"workers 2; upstream u {{ server 127.0.0.1:{sick.port}; server 127.0.0.1:{well.port}; {CHECK} }}"
            " site _ { proxy u; }")
    one = weir(text)
    eventually(lambda: any(request.target == "/healthz" for request in sick.requests), "it is checked")
    assert state_of(one)["state"] == "up"
    health["status"] = 500
    eventually(lambda: state_of(one)["state"] == "down", "it is taken out")
    assert state_of(one)["reason"] == "status 500" and state_of(one, 1)["state"] == "up"
    assert len(lines_of(one, f"127.0.0.1:{sick.port}: check: status 500, out")) == 1
    assert "down (status 500)" in one.cli("status").stdout
    one.reload(text + "\n# again")
    assert state_of(one)["state"] == "down"
    sick.forget()
    assert [one.get().status for _ in range(10)] == [200] * 10
    assert all(request.target == "/healthz" for request in sick.requests)
    health["status"] = 404
    eventually(lambda: state_of(one)["state"] == "up", "it is brought back")
    assert len(lines_of(one, "check: status 404, back in service")) == 1


def test_a_check_brings_back_what_failed(weir, answering):
    """Out for a minute by its failures; checks find it well within moments. A check that goes from the file forgets."""
    port = free_port()
    text = f"upstream u {{ server 127.0.0.1:{port} max_fails=1 fail_timeout=60s; %s }} site _ {{ proxy u; }}"
    one = weir(text % CHECK)
    eventually(lambda: state_of(one)["state"] == "down", "it is found dead")
    assert one.get().status == 503
    answering(address=("127.0.0.1", port))
    eventually(lambda: one.get().status == 200, "it is found alive")
    one.reload(text % "health_check uri=/ interval=100ms expect=500;")
    eventually(lambda: state_of(one)["state"] == "down", "nothing is good enough")
    one.reload(text % "")
    assert state_of(one)["state"] == "up"


def test_a_check_of_a_silent_server_ends(weir, origin):
    one = weir(f"upstream u {{ server 127.0.0.1:{origin.port};"
               " health_check interval=50ms timeout=100ms fall=1; } site _ { proxy u; }")
    eventually(lambda: state_of(one)["reason"] == "no answer in time", "it is given up")


def test_checks_over_unix_sockets_and_tls(weir, answering, folder, certificates):
    answering(lambda request: OK, address=str(folder / "o.sock"))
    secure = answering(lambda request: OK, tls=certificates.server("origin"))
    one = weir("module tls; "
               f"upstream u {{ server unix:{folder}/o.sock; health_check interval=50ms; }}"
               f"upstream t {{ server 127.0.0.1:{secure.port}; tls on; tls_ca {certificates.path('ca.crt')};"
               " health_check interval=50ms; }"
               f"upstream x {{ server 127.0.0.1:{secure.port}; tls on; health_check interval=50ms fall=1; }}"
               " site _ { proxy u; }")

    def states():
        return {u["name"]: u["servers"][0]["state"] for u in one.status()["upstreams"]}

    eventually(lambda: states()["x"] == "down", "a certificate that is not trusted is no health")
    eventually(lambda: secure.requests, "TLS is checked")
    assert states() == {"u": "up", "t": "up", "x": "down"}
    assert lines_of(one, "check: TLS: ")


@pytest.mark.parametrize("line, message", [
    ("health_check uri=healthz;", "no path"),
    ("health_check expect=ok;", "no status"),
    ("health_check expect=500-200;", "no status"),
    ("health_check fall=0;", "fall"),
])
def test_mistakes_of_checks_are_refused(folder, line, message):
    (folder / "weir.conf").write_text(f"state_dir {folder}/s; upstream u {{ server 127.0.0.1:1; {line} }}")
    done = run_weir("check", "-c", folder / "weir.conf")
    assert done.returncode == 1 and message in done.stderr, done.stderr
