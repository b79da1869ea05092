# SPDX-License-Identifier: BSD-2-Clause
"""The breaker of each server: what opens it, the one trial that closes it, what clients see meanwhile."""

import threading
import time

import pytest

from lib.patience import PATIENCE, SLOWNESS, eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def status_answer(status):
    return b"HTTP/1.1 %d No\r\nContent-Length: 3\r\n\r\nbad" % status


def state_of(weir, number=0):
    server = weir.status()["upstreams"][0]["servers"][number]
    return server["state"], server["reason"]


@pytest.mark.parametrize("line, status, counts", [
    ("retry;", 503, True),
    ("retry;", 502, True),
    ("retry on=504;", 504, True),
    ("retry on=connect;", 503, False),
    ("retry;", 500, False),
    ("", 503, False),
])
def test_which_statuses_open_it(weir, answering, line, status, counts):
    sick, well = answering(lambda request: status_answer(status)), answering(lambda request: OK)
    one = weir(f"workers 1; upstream u {{ server 127.0.0.1:{sick.port} max_fails=2 fail_timeout=60s; "
               f"server 127.0.0.1:{well.port}; {line} }} site _ {{ proxy u; }}")
    statuses = {one.get().status for _ in range(12)}
    assert statuses == ({200} if counts else {200, status})
    assert state_of(one) == (("out", f"status {status}") if counts else ("up", None))
    assert len(sick.requests) == (2 if counts else 6)
    assert (f"status {status}, out for 60s (fails=2/2)" in one.log()) == counts


def test_posts_count_too_though_they_are_passed_on(weir, answering):
    sick, well = answering(lambda request: status_answer(503)), answering(lambda request: OK)
    one = weir(f"workers 1; upstream u {{ server 127.0.0.1:{sick.port} max_fails=2 fail_timeout=60s; "
               f"server 127.0.0.1:{well.port}; retry; }} site _ {{ proxy u; }}")
    client, statuses = one.connect(), []
    for _ in range(12):
        client.request("POST", body=b"x")
        statuses.append(client.response().status)
    assert statuses.count(503) == 2 and statuses.count(200) == 10


def test_a_lone_server_answers_for_itself(weir, answering):
    """Its 503 is better than ours."""
    sick = answering(lambda request: status_answer(503))
    one = weir(f"upstream u {{ server 127.0.0.1:{sick.port} max_fails=1; retry; }} site _ {{ proxy u; }}")
    answers = [one.get() for _ in range(10)]
    assert {(answer.status, answer.text) for answer in answers} == {(503, "bad")} and len(sick.requests) == 10
    assert state_of(one) == ("up", None)


def test_one_trial_at_a_time(weir, answering):
    """Half open: one request waits for the server, all others go elsewhere; then its answer brings it back."""
    hold, sick_again = threading.Event(), threading.Event()

    def answer(request):
        if not sick_again.is_set():
            return status_answer(503)
        hold.wait(PATIENCE)
        return OK

    sick, well = answering(answer), answering(lambda request: OK)
    one = weir(f"workers 2; upstream u {{ server 127.0.0.1:{sick.port} max_fails=1 fail_timeout=200ms; "
               f"server 127.0.0.1:{well.port}; retry; }} site _ {{ proxy u; }}")
    assert {one.get().status for _ in range(4)} == {200}
    assert state_of(one)[0] in ("out", "trial")
    eventually(lambda: state_of(one) == ("trial", "status 503"), "it may be tried")
    sick.forget()
    sick_again.set()
    clients = [one.connect() for _ in range(8)]
    for client in clients:
        client.request()
    eventually(lambda: len(well.requests) >= 7 and sick.requests, "all but one went elsewhere")
    assert {one.get().status for _ in range(10)} == {200}
    assert len(sick.requests) == 1
    hold.set()
    assert [client.response().status for client in clients] == [200] * 8
    eventually(lambda: state_of(one) == ("up", None), "it is back")


def test_all_out_is_503_at_once_with_a_time(weir, answering):
    hanging = answering(lambda request: time.sleep(3) or OK)
    one = weir(f"timeout response=200ms; upstream u {{ server 127.0.0.1:{hanging.port} max_fails=1 fail_timeout=60s; }}"
               " site _ { proxy u; }")
    assert one.get().status == 504
    begun = time.monotonic()
    answers = [one.get() for _ in range(20)]
    took = time.monotonic() - begun
    refused = [answer for answer in answers if answer.status == 503]
    assert len(refused) >= 18 - int(took)  # it is tried once a second
    assert all(0 < int(answer.get("Retry-After")) <= 61 for answer in refused)
    assert took < 2 * SLOWNESS
    assert state_of(one) == ("out", "no response in time")


@pytest.mark.parametrize("head, why", [
    (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000, "more than 64 KB"),
    (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 600 + b"\r\n", "too many header fields"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "Content-Length"),
    (b"HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 0\r\n\r\n", "colon"),
], ids=["long", "many", "lengths", "space"])
def test_malformed_heads_are_not_passed_on(weir, answering, head, why):
    """502, the reason in the log, and a failure of the server."""
    odd = answering(lambda request: head)
    one = weir(f"upstream u {{ server 127.0.0.1:{odd.port}; }} site _ {{ proxy u; }}")
    answer = one.get()
    assert answer.status == 502 and answer.get("X") is None and answer.get("X-A") is None
    lines = [line for line in one.log().splitlines() if f"127.0.0.1:{odd.port}: " in line]
    assert lines and why in lines[0], lines
    assert one.status()["upstreams"][0]["servers"][0]["failures"] == 1
