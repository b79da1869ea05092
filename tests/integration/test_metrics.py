# SPDX-License-Identifier: BSD-2-Clause
"""Figures for Prometheus: in its format, exact, by name over reloads, of all workers."""

import pytest

from lib.metrics import Metrics, metrics_of
from lib.patience import PATIENCE, eventually
from lib.ports import free_port

METRICS = "route = /metrics { metrics; }"


def settled(weir, condition, what):
    """A request ends a moment after its client has the answer."""
    def look():
        metrics = metrics_of(weir)
        return metrics if condition(metrics) else None

    return eventually(look, what)


def ended(metrics, site):
    return metrics.sum("weir_requests_total", f"site={site}")


def answers(status=200):
    def answer(request):
        head = f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n"
        return head.encode() + (b"" if request.method == "HEAD" else b"ok")

    return answer


# -- the format --------------------------------------------------------------------------------------------------------


def test_promtool_accepts_the_figures_after_mixed_traffic(weir, answering):
    """Every module, answers of all kinds, dead servers, a name that is none, health checks, broken requests."""
    good, bad = answering(answers()), answering(lambda request: b"SSH-2.0-x\r\n\r\n")
    one = weir(f"""
        upstream back {{ server 127.0.0.1:{good.port}; server 127.0.0.1:{free_port()} max_fails=1; retry;
                        health_check interval=100ms; }}
        upstream lost {{ server nowhere.invalid:80; }}
        upstream none {{ server 127.0.0.1:{free_port()} down; }}
        site a.test {{ proxy back; {METRICS} route /gone {{ redirect 308 /; }} }}
        site b.test "c.test" {{ proxy http://127.0.0.1:{bad.port}; route /lost {{ proxy lost; }}
                                route /none {{ proxy none; }} }}
        site *.d.test {{ respond 204; gzip on; response_header set X-A b; }}
        """, modules=["access", "gzip", "headers"])
    for _ in range(20):
        assert one.get("/").status == 200
    for target, host, status in [("/gone", "a.test", 308), ("/", "b.test", 502), ("/lost", "c.test", 503),
                                 ("/none", "b.test", 503), ("/", "x.d.test", 204), ("/", "nobody.test", 404)]:
        assert one.get(target, host=host).status == status
    client = one.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n")
    assert client.response().status == 400
    settled(one, lambda m: m.sum("weir_upstream_checks_total", "upstream=back", "result=bad") > 0, "a check failed")
    settled(one, lambda m: m["weir_requests_total", "site=-", "code=4xx"] == 2, "the refused ones have ended")
    settled(one, lambda m: ended(m, "*.d.test") == 1, "the one without content has ended")
    answer = one.get("/metrics")
    assert answer.status == 200
    assert answer.get("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.get("Cache-Control") == "no-store"
    metrics = Metrics(answer.body).check()
    metrics_of(one).check()
    assert metrics["weir_requests_total", "site=*.d.test", "code=2xx"] == 1
    assert metrics["weir_requests_total", "site=-", "code=4xx"] == 2
    assert metrics["weir_upstream_refused_total", "upstream=none", "reason=none"] == 1
    assert metrics["weir_upstream_failures_total", "upstream=lost", "server=nowhere.invalid:80", "kind=resolve"] == 1
    server = f"server=127.0.0.1:{bad.port}"
    assert metrics["weir_upstream_failures_total", f"upstream={bad.url}", server, "kind=malformed"] == 1
    assert metrics.sum("weir_upstream_server_state", "upstream=none", "state=down") == 1


def test_head_and_access_rules_are_those_of_any_route(weir):
    one = weir("site a.test { metrics; deny all; route /open { allow all; } }", modules=["access"])
    assert one.get("/").status == 403
    assert one.get("/open").body.startswith(b"# HELP weir_")
    client = one.connect()
    answer = client.request("HEAD", "/open").response(to="HEAD")
    assert answer.status == 200 and int(answer.get("Content-Length")) > 1000 and answer.body == b""
    assert client.get("/open").status == 200


def test_labels_are_escaped(weir, folder):
    """A unix socket's path may hold what would end a label."""
    path = folder / 'a"b\\c'
    quoted = str(path).replace("\\", "\\\\").replace('"', '\\"')
    one = weir(f'upstream odd {{ server "unix:{quoted}"; }} site a.test {{ proxy odd; }}')
    assert one.get("/").status == 502
    metrics = settled(one, lambda m: ended(m, "a.test") == 1, "the request has ended").check()
    assert metrics["weir_upstream_failures_total", "upstream=odd", f"server=unix:{path}", "kind=connect"] == 1


# -- exactness ---------------------------------------------------------------------------------------------------------


def test_counts_are_exact_over_two_workers(weir, answering):
    """N requests are N, whoever served them; a histogram's count and buckets agree with them."""
    origin = answering(answers())
    one = weir(f"workers 2; upstream back {{ server 127.0.0.1:{origin.port}; }}"
               "site a.test { respond 200 hello; route /up { proxy back; } route /no { respond 404; } }")
    for _ in range(10):
        client = one.connect()
        for target, status in [("/", 200), ("/up", 200), ("/no", 404), ("/", 200)]:
            assert client.get(target).status == status
        client.close()
    metrics = settled(one, lambda m: ended(m, "a.test") == 40, "all have ended").check()
    assert metrics["weir_requests_total", "site=a.test", "code=2xx"] == 30
    assert metrics["weir_requests_total", "site=a.test", "code=4xx"] == 10
    assert metrics["weir_requests_started_total"] == 40
    assert metrics["weir_request_duration_seconds_count", "site=a.test"] == 40
    assert len(metrics.all("weir_connections_accepted_total")) == 2
    assert metrics.sum("weir_connections_accepted_total") == 10
    labels = ["upstream=back", f"server=127.0.0.1:{origin.port}"]
    assert metrics["weir_upstream_requests_total", *labels] == 10
    assert metrics["weir_upstream_responses_total", *labels, "code=2xx"] == 10
    assert metrics["weir_upstream_response_seconds_count", *labels] == 10
    assert 0 < metrics["weir_upstream_response_seconds_sum", *labels] < 10 * PATIENCE
    made = metrics["weir_upstream_connections_total", *labels]
    assert made == origin.accepted == metrics["weir_upstream_connect_seconds_count", *labels]
    assert metrics["weir_upstream_connections_reused_total", *labels] == 10 - made
    assert metrics["weir_upstream_idle_connections", *labels] == made
    assert metrics["weir_module_calls_total", "module=respond", "stage=SERVE"] == 30
    assert metrics["weir_module_calls_total", "module=proxy", "stage=SERVE"] == 10


def test_bytes_are_those_on_the_wire(weir):
    one = weir("site a.test { respond 200 hello; }")
    request = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    client = one.connect()
    client.send(request)
    answer = b"".join(iter(lambda: client.sock.recv(65536), b""))
    metrics = settled(one, lambda m: ended(m, "a.test") == 1, "the request has ended")
    assert metrics["weir_received_bytes_total", "site=a.test"] == len(request)
    assert metrics["weir_sent_bytes_total", "site=a.test"] == len(answer)


def test_gauges_follow_what_is_under_way(weir, origin):
    one = weir(f"workers 2; upstream back {{ server 127.0.0.1:{origin.port} max_conns=1; }}"
               "site a.test { proxy back; }")
    first, second = one.connect(), one.connect()
    first.request()
    connection = origin.take()
    connection.request()
    second.request()
    labels = ["upstream=back", f"server=127.0.0.1:{origin.port}"]
    metrics = settled(one, lambda m: m["weir_upstream_queued", "upstream=back"] == 1, "one waits").check()
    assert metrics["weir_upstream_active", *labels] == 1
    assert metrics["weir_upstream_server_state", *labels, "state=full"] == 1
    assert metrics.sum("weir_connections") == 2
    connection.reply(body=b"ok")
    assert first.response().status == 200
    connection = origin.take()
    connection.request()
    connection.reply(body=b"ok")
    assert second.response().status == 200
    metrics = settled(one, lambda m: m["weir_upstream_active", *labels] == 0 and
                      m["weir_upstream_idle_connections", *labels] >= 1, "nothing is under way")
    assert metrics["weir_upstream_queued", "upstream=back"] == 0
    assert metrics["weir_upstream_server_state", *labels, "state=up"] == 1
    origin.close_all()
    settled(one, lambda m: m["weir_upstream_idle_connections", *labels] == 0, "idle connections are gone")


@pytest.mark.parametrize("sent, kind", [
    (b"", "closed"),
    (b"HTTP/1.1 200 O", "closed"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "closed"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "malformed"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed"),
])
def test_failures_are_told_apart(weir, origin, sent, kind):
    """An origin that ends too soon, and one that speaks no HTTP."""
    one = weir(f"upstream back {{ server 127.0.0.1:{origin.port}; }} site a.test {{ proxy back; }}")
    one.connect().request("POST", "/", body=b"x")
    connection = origin.take()
    connection.request()
    connection.send(sent)
    connection.close()
    labels = ["upstream=back", f"server=127.0.0.1:{origin.port}"]
    metrics = settled(one, lambda m: m.sum("weir_upstream_failures_total", *labels) == 1, "it has failed")
    assert metrics["weir_upstream_failures_total", *labels, f"kind={kind}"] == 1


def test_a_retry_counts_where_it_went(weir, answering):
    origin = answering(answers())
    dead = free_port()
    one = weir(f"workers 1; upstream back {{ server 127.0.0.1:{dead}; server 127.0.0.1:{origin.port}; }}"
               "site a.test { proxy back; }")
    for _ in range(2):
        assert one.get("/").status == 200
    metrics = settled(one, lambda m: ended(m, "a.test") == 2, "both have ended")
    failed = metrics["weir_upstream_failures_total", "upstream=back", f"server=127.0.0.1:{dead}", "kind=connect"]
    assert failed >= 1
    assert metrics["weir_upstream_retries_total", "upstream=back", f"server=127.0.0.1:{origin.port}"] == failed


# -- over reloads ------------------------------------------------------------------------------------------------------


def test_counters_survive_reloads_and_what_vanished_is_gone(weir, answering):
    origin = answering(answers())
    text = (f"workers 2; upstream back {{ server 127.0.0.1:{origin.port}; SECOND }} site a.test {{ proxy back; }}"
            "site SITE { respond 200 x; }")
    first = text.replace("SECOND", "server 127.0.0.1:9 backup;").replace("SITE", "b.test")
    one = weir(first)
    for host in ["a.test", "a.test", "b.test"]:
        assert one.get("/", host=host).status == 200
    before = settled(one, lambda m: ended(m, "a.test") == 2 and ended(m, "b.test") == 1, "all have ended")
    assert before.sum("weir_upstream_server_state", "server=127.0.0.1:9") == 1
    one.reload(text.replace("SECOND", "").replace("SITE", "c.test"))
    assert one.get("/").status == 200
    after = settled(one, lambda m: ended(m, "a.test") == 3, "the third has ended").check()
    assert after["weir_upstream_requests_total", "upstream=back", f"server=127.0.0.1:{origin.port}"] == 3
    assert not after.all("weir_requests_total", "site=b.test")
    assert not after.all("weir_upstream_server_state", "server=127.0.0.1:9")
    assert ended(after, "c.test") == 0
    assert after["weir_reloads_total", "result=done"] == 1
    settled(one, lambda m: m["weir_snapshots"] == 1, "the old configuration is gone")
    one.write("nonsense;")
    assert one.cli("reload").returncode == 1
    refused = metrics_of(one).check()
    assert refused["weir_reloads_total", "result=refused"] == 1
    assert refused["weir_reload_last_successful"] == 0
    one.reload(first)
    again = metrics_of(one)
    assert again["weir_reload_last_successful"] == 1
    assert ended(again, "a.test") == 3
    assert ended(again, "b.test") == 0  # nobody remembered it


def test_sites_of_one_name_on_two_addresses_count_together(weir):
    other = free_port()
    one = weir(f"site a.test {{ respond 200 x; }} site a.test {{ listen 127.0.0.1:{other}; respond 200 y; }}")
    assert one.get("/").status == 200
    assert one.get("/", port=other).body == b"y"
    settled(one, lambda m: ended(m, "a.test") == 2, "both have ended").check()


def test_the_number_of_series_is_bounded(weir):
    one = weir("\n".join(f"site s{i}.test {{ respond 200 x; }}" for i in range(1100)))
    for i in [0, 999, 1000, 1099]:
        assert one.get("/", host=f"s{i}.test").status == 200
    metrics = settled(one, lambda m: ended(m, "(others)") == 2, "all have ended").check()
    assert len({key for key in metrics.samples if key[0] == "weir_requests_total"}) == 6 * 1002
    assert ended(metrics, "s0.test") == ended(metrics, "s999.test") == 1
    assert not metrics.all("weir_requests_total", "site=s1000.test")


# -- what modules cost -------------------------------------------------------------------------------------------------


def test_every_call_of_a_hook_counts_and_some_are_timed(weir):
    """In 400 requests at least four are timed."""
    one = weir("workers 1; site a.test { respond 200 x; response_header set X-A b; allow all; deny 192.0.2.1; }",
               modules=["access", "headers"])
    client = one.connect()
    for _ in range(400):
        assert client.get("/").status == 200
    metrics = settled(one, lambda m: ended(m, "a.test") == 400, "all have ended").check()
    for module, stage in [("respond", "SERVE"), ("headers", "RSP_HEAD"), ("access", "AUTH")]:
        labels = [f"module={module}", f"stage={stage}"]
        assert metrics["weir_module_calls_total", *labels] == 400
        assert 0 < metrics["weir_module_seconds_total", *labels] < PATIENCE
    assert metrics["weir_module_calls_total", "module=redirect", "stage=SERVE"] == 0
    assert metrics["weir_access_denied_total"] == 0
    assert metrics["weir_worker_turn_seconds_count"] >= 400
    assert metrics.sum("weir_worker_busy_seconds_total") > 0


def test_status_shows_sites_costs_and_overload(weir):
    one = weir("site a.test { respond 200 x; route /bad { respond 503; } } site b.test { respond 200 y; }")
    for target, status in [("/", 200), ("/", 200), ("/bad", 503)]:
        assert one.get(target).status == status
    settled(one, lambda m: ended(m, "a.test") == 3, "all have ended")
    told = one.status()
    assert {"name": "a.test", "requests": 3, "errors": 1} in told["sites"]
    assert {"name": "b.test", "requests": 0, "errors": 0} in told["sites"]
    respond = next(module for module in told["modules"] if module["name"] == "respond")
    assert respond["calls"] == 3 and respond["time_us"] >= 0
    text = one.cli("status").stdout
    assert "  site            a.test: 3 requests, 1 answered 5xx\n" in text
    assert "b.test:" not in text
    assert "  cost            respond: 3 calls, about " in text
    assert "  overload        " in text and "; 0 requests shed, 0 connections refused" in text
