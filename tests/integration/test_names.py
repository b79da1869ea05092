# SPDX-License-Identifier: BSD-2-Clause
"""Names of servers, as a DNS server of the test's own (dnsmasq, loopback) tells them."""

import collections
import socket
import subprocess
import time

import pytest

from lib import http2_origin
from lib.daemon import run_weir
from lib.http2 import connect
from lib.patience import PATIENCE, SLOWNESS, eventually
from lib.ports import free_port
from lib.program import need

QUERY = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05ready\x04test\x00\x00\x01\x00\x01"


class Dns:
    """Answers with what say() said last, each with a TTL of 1 s; unknown names do not exist."""

    def __init__(self, folder):
        self.program, self.folder, self.port = need("dnsmasq"), folder, free_port()
        self.process = None

    def say(self, *records):
        self.stop()
        self.process = subprocess.Popen(
            [self.program, "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--local=/test/", "--local-ttl=1",
             f"--port={self.port}", "--listen-address=127.0.0.1", "--bind-interfaces", "--user=", "--group=",
             f"--pid-file={self.folder}/dnsmasq.pid", "--host-record=ready.test,127.0.0.1",
             *(f"--{record}" for record in records)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._answers, "dnsmasq answers")

    def _answers(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.1)
            try:
                asking.sendto(QUERY, ("127.0.0.1", self.port))
                return asking.recv(512)
            except OSError:
                return None

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)
        self.process = None


@pytest.fixture
def dns(folder):
    one = Dns(folder)
    yield one
    one.stop()


def named(name):
    return lambda request: f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n\r\n{name}".encode()


@pytest.fixture
def pair(answering):
    """Two origins on one port of two addresses."""
    first = answering(named("one"))
    return first.port, first, answering(named("two"), address=("127.0.0.2", first.port))


def test_traffic_follows_a_name(weir, dns, pair):
    """Within its TTL (1 s) and one more second, over kept connections too; nothing fails on the way."""
    port = pair[0]
    dns.say("host-record=origin.test,127.0.0.1")
    one = weir(f"workers 1; resolver 127.0.0.1:{dns.port}; upstream u {{ server origin.test:{port}; }}"
               " site _ { proxy u; }")
    client = one.connect()
    assert client.get().text == "one"
    dns.say("host-record=origin.test,127.0.0.2")
    changed = time.monotonic()
    answers = []
    while time.monotonic() - changed < 4 * SLOWNESS and "two" not in answers:
        answers.append(client.get().text)
    assert answers[-1] == "two" and set(answers) == {"one", "two"}
    assert [client.get().text for _ in range(5)] == ["two"] * 5


def test_all_addresses_are_used_and_dead_ones_passed_over(weir, dns, pair):
    port, first, _ = pair
    dns.say(*(f"host-record=origin.test,127.0.0.{i}" for i in (1, 2, 3)))
    one = weir(f"workers 1; resolver 127.0.0.1:{dns.port}; upstream u {{ server origin.test:{port}; keepalive 0; }}"
               " site _ { proxy u; }")
    answers = [one.get() for _ in range(30)]
    assert {answer.status for answer in answers} == {200}
    assert {answer.text for answer in answers} == {"one", "two"}


def test_srv_records_say_where(weir, dns, answering):
    """Host and port of the lowest priority."""
    near, far = answering(named("near")), answering(named("far"))
    dns.say(f"srv-host=_http._tcp.svc.test,near.test,{near.port},10,1", "host-record=near.test,127.0.0.1",
            f"srv-host=_http._tcp.svc.test,far.test,{far.port},20,1", "host-record=far.test,127.0.0.1")
    one = weir(f"resolver 127.0.0.1:{dns.port}; upstream u {{ server _http._tcp.svc.test; }} site _ {{ proxy u; }}")
    assert [one.get().text for _ in range(6)] == ["near"] * 6
    assert not far.requests


def service(dns, *targets):
    """SRV records: (name, port, priority, weight), all on 127.0.0.1."""
    dns.say(*(f"srv-host=_http._tcp.svc.test,{name}.test,{port},{priority},{weight}"
              for name, port, priority, weight in targets),
            *(f"host-record={name}.test,127.0.0.1" for name, *_ in targets))


def test_srv_weights_share_the_requests(weir, dns, answering):
    """RFC 2782: 3:1, over kept connections too; a weight of 0 gets next to nothing."""
    heavy, light, none = (answering(named(name)) for name in ("heavy", "light", "none"))
    service(dns, ("heavy", heavy.port, 10, 30), ("light", light.port, 10, 10), ("none", none.port, 10, 0))
    one = weir(f"workers 1; resolver 127.0.0.1:{dns.port}; upstream u {{ server _http._tcp.svc.test; }}"
               " site _ { proxy u; }")
    client = one.connect()
    counts = collections.Counter(client.get().text for _ in range(600))
    assert 0.65 < counts["heavy"] / 600 < 0.85 and counts["none"] < 10, counts
    assert heavy.accepted + light.accepted < 20


def test_srv_priorities_stand_in(weir, dns, answering):
    """Nothing fails when the first is away; it is used again when it is back."""
    port = free_port()
    far = answering(named("far"))
    service(dns, ("near", port, 10, 1), ("far", far.port, 20, 1))
    one = weir(f"workers 1; resolver 127.0.0.1:{dns.port}; upstream u {{ server _http._tcp.svc.test fail_timeout=1s; }}"
               " site _ { proxy u; }")
    client = one.connect()
    assert [client.get().text for _ in range(10)] == ["far"] * 10
    answering(named("near"), address=("127.0.0.1", port))
    eventually(lambda: client.get().text == "near", "the first is back")
    assert [client.get().text for _ in range(10)] == ["near"] * 10


def test_a_dead_name_is_a_dead_server(weir, dns, pair):
    """Its site answers 503, others serve; when the name comes into being it serves."""
    port = pair[0]
    dns.say()
    one = weir(f"resolver 127.0.0.1:{dns.port}; upstream u {{ server late.test:{port}; }}"
               f"upstream half {{ server late.test:{port}; server 127.0.0.2:{port}; }}"
               " site _ { proxy u; } site half.test { proxy half; } site live.test { respond 200 ok; }")
    assert one.get(host="live.test").status == 200
    assert one.get().status == 503
    assert [one.get(host="half.test").text for _ in range(4)] == ["two"] * 4
    dns.say("host-record=late.test,127.0.0.1")
    eventually(lambda: one.get().status == 200, "the name is found")


@pytest.mark.parametrize("text, message", [("resolver ns.test;", "no address"), ("resolver;", "resolver"),
                                           ("resolver unix:/x;", "resolver")])
def test_mistakes_are_refused(folder, text, message):
    (folder / "weir.conf").write_text(f"state_dir {folder}/s; {text} site _ {{ respond 200 ok; }}")
    done = run_weir("check", "-c", folder / "weir.conf")
    assert done.returncode == 1 and message in done.stderr, done.stderr


@pytest.fixture
def http2_pair():
    """Two origins of HTTP/2 on one port of two addresses."""
    first = http2_origin.AnsweringHttp2Origin(lambda asked: (200, [], b"one"))
    second = http2_origin.AnsweringHttp2Origin(lambda asked: (200, [], b"two"), address=("127.0.0.2", first.port))
    yield first, second
    first.stop()
    second.stop()


def test_http_2_traffic_follows_a_name(weir, dns, http2_pair):
    """A shared connection to an address that the name no longer has takes no more requests."""
    port = http2_pair[0].port
    dns.say("host-record=origin.test,127.0.0.1")
    one = weir(f"workers 1; resolver 127.0.0.1:{dns.port}; upstream u {{ server origin.test:{port}; protocol h2; }}"
               " site _ { proxy u; }")
    client = connect(one)
    assert client.get("/").body == b"one"
    dns.say("host-record=origin.test,127.0.0.2")
    eventually(lambda: client.get("/").body == b"two", "the new address is asked")
    assert [client.get("/").body for _ in range(10)] == [b"two"] * 10


def test_http_2_requests_wait_for_an_address_that_answers(weir, dns, http2_pair):
    """All that waited for the connection to one address go on to the other."""
    port = http2_pair[0].port
    dns.say("host-record=origin.test,127.0.0.3", "host-record=origin.test,127.0.0.1")
    one = weir(f"workers 1; resolver 127.0.0.1:{dns.port}; upstream u {{ server origin.test:{port}; protocol h2; }}"
               " site _ { proxy u; }")
    client = connect(one)
    streams = [client.request() for _ in range(30)]
    assert [client.response(stream).body for stream in streams] == [b"one"] * 30
