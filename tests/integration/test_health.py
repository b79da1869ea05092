# SPDX-License-Identifier: BSD-2-Clause
"""Servers that fail: passed over, tried again, reported; which requests are repeated elsewhere."""

import re
import signal
import threading
import time

import pytest

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
    one = weir(f"workers 2; upstream u {{ server 127.0.0.1:{port} max_fails=3 fail_timeout=1s;"
               f" server 127.0.0.1:{alive.port}; }}"
               " site _ { proxy u; }")
    clients = [one.connect() for _ in range(4)]
    for client in clients * 5:
        assert client.get().status == 200
    assert len(lines_of(one, f"127.0.0.1:{port}: connection refused")) >= 1
    out = lines_of(one, "out for 1s")
    assert len(out) == 1 and re.search(rf"upstream u 127\.0\.0\.1:{port}: .*refused, out for 1s \(fails=3/3\)", out[0])
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
    assert time.monotonic() - begun < 1 * SLOWNESS
    refused = [answer for answer in answers if answer.status == 503]
    assert len(refused) >= 8 and all(int(answer.get("Retry-After")) >= 1 for answer in refused)
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
    one = weir(f"workers 1; upstream u {{ server 127.0.0.1:{first.port}; server 127.0.0.1:{second.port} backup;"
               " retry budget=5%; } site _ { proxy u; }")
    client = one.connect()
    statuses = [client.get().status for _ in range(100)]
    assert statuses[:10] == [200] * 10
    assert 10 <= statuses.count(200) <= 20


def test_kill_9_under_load_fails_no_get(weir, session_folder):
    """200 requests/s over three nginx with retries on; one is killed and comes back."""
    fleet = [start_named_nginx(session_folder / f"nginx-kill-{name}", name) for name in "abc"]
    try:
        servers = " ".join(f"server 127.0.0.1:{one.port} fail_timeout=1s;" for one in fleet)
        one = weir(f"workers 2; upstream u {{ {servers} retry attempts=3; }} site _ {{ proxy u; }}")
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
