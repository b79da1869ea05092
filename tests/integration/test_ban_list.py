# SPDX-License-Identifier: BSD-2-Clause
"""ban_list: bans that a list server decides, against a server of the same shape as CrowdSec's local API."""

import json
import os
import random
import re
import signal
import subprocess
import time

import pytest

from lib.daemon import Load, run_weir
from lib.lapi import Lapi
from lib.metrics import Metrics
from lib.patience import IS_SANITIZED, IS_TSAN, eventually
from lib.ports import free_port
from lib.program import need

SITE = 'trusted_proxies 127.0.0.1; site _ { respond 200 "ok"; }'


@pytest.fixture
def lapi():
    """lapi(...) starts a list server."""
    started = []

    def start(*args, **how):
        started.append(Lapi(*args, **how))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def listed(weir, lapi):
    """listed(options, text) starts a list server, and a daemon that asks it every second."""
    def start(options="", text=SITE, interval="1s", server=None, **how):
        server = server or lapi()
        one = weir(f"ban_list {server.url} key=api.key interval={interval} {options}; {text}",
                   {"api.key": "sesame\n"}, modules=["ratelimit"], **how)
        one.lapi = server
        return one

    return start


def ask(weir, client):
    """The status that this client gets."""
    return weir.get("/", *([f"X-Forwarded-For: {client}"] if client else [])).status


def gets(weir, client, status):
    eventually(lambda: ask(weir, client) == status, f"{client} to get {status}")


def note(weir):
    found = [one for one in weir.status()["notes"] if one["subject"] == "ban_list"]
    return found[0]["text"] if found else ""


def test_addresses_and_ranges_of_both_families(listed):
    """curl is the client, as whom X-Forwarded-For of a trusted proxy names."""
    need("curl")
    one = listed()
    for value in ["192.0.2.7", "198.51.100.0/24", "2001:db8::1", "2001:db8:1::/48"]:
        one.lapi.add(value)
    one.lapi.add("203.0.113.1", kind="captcha")
    one.lapi.add("DE", scope="Country")
    gets(one, "192.0.2.7", 403)
    for client, status in [("192.0.2.7", 403), ("192.0.2.8", 200), ("198.51.100.255", 403), ("198.51.101.0", 200),
                           ("2001:db8::1", 403), ("2001:db8::2", 200), ("2001:db8:1:ffff::9", 403),
                           ("203.0.113.1", 200), ("::ffff:192.0.2.7", 403)]:
        done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                               f"http://127.0.0.1:{one.http_port}/", "-H", f"X-Forwarded-For: {client}"],
                              capture_output=True, text=True, timeout=30)
        assert done.stdout == str(status), client
    assert "4 bans, heard of " in note(one)
    assert "ban_list: 4 bans, heard of " in one.cli("status").stdout


def test_a_proxy_header_names_the_client(listed):
    """The PROXY protocol's client is looked up like any other."""
    port = free_port()
    one = listed(text=f'site _ {{ listen {port} proxy_protocol=127.0.0.1; respond 200 "ok"; }}')
    one.lapi.add("192.0.2.7")

    def ask_as(client):
        connection = one.connect(port)
        connection.send(f"PROXY TCP4 {client} 127.0.0.1 1000 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return connection.response().status

    eventually(lambda: ask_as("192.0.2.7") == 403, "the ban to hold")
    assert ask_as("192.0.2.8") == 200


def test_what_is_asked(listed, lapi):
    """The whole list once, then changes; the key in its field, and nowhere else."""
    server = lapi(prefix="/behind")
    one = listed(server=server, text=SITE + f"\n# {server.url}")
    one.write(f"ban_list {server.url}/behind/ key=api.key interval=1s; {SITE}")
    one.reload()
    server.add("192.0.2.7")
    gets(one, "192.0.2.7", 403)
    eventually(lambda: [startup for startup, _ in server.asked][-2:] == ["false", "false"], "changes to be asked for")
    assert {key for _, key in server.asked} == {"sesame"}
    for text in [one.log(), one.stderr(), json.dumps(one.status()), one.cli("dump").stdout]:
        assert "sesame" not in text


def test_only_one_worker_asks(listed):
    one = listed(text="workers 4; " + SITE)
    eventually(lambda: len(one.lapi.asked) >= 2, "two requests")
    began, before = time.monotonic(), len(one.lapi.asked)
    eventually(lambda: len(one.lapi.asked) >= before + 4, "four more")
    assert time.monotonic() - began > 2.5  # four workers that asked each for himself would need one second


def test_deletion_and_expiry(listed):
    one = listed()
    one.lapi.add("192.0.2.7")
    one.lapi.add("192.0.2.8")
    gets(one, "192.0.2.7", 403)
    one.lapi.add("192.0.2.9", seconds=6)
    gets(one, "192.0.2.9", 403)
    one.lapi.delete("192.0.2.7")
    gets(one, "192.0.2.7", 200)
    assert ask(one, "192.0.2.8") == 403
    gets(one, "192.0.2.9", 200)
    one.lapi.add("192.0.2.7")
    gets(one, "192.0.2.7", 403)


def test_an_outage_is_told_once_and_changes_nothing_but_the_age(listed):
    one = listed()
    one.lapi.add("192.0.2.7")
    gets(one, "192.0.2.7", 403)
    one.lapi.add("192.0.2.9", seconds=6)
    gets(one, "192.0.2.9", 403)
    one.lapi.stop()
    eventually(lambda: "not fetched" in one.log(), "the failure to be told")
    gets(one, "192.0.2.9", 200)  # ends without the server's word
    assert ask(one, "192.0.2.7") == 403 and ask(one, "192.0.2.8") == 200
    eventually(lambda: "now failing: " in note(one), "the failure to stand in the status")
    assert int(re.search(r"heard of (\d+) s ago", eventually(lambda: note(one), "a note"))[1]) >= 1
    wholes = one.lapi.wholes()
    one.lapi.delete("192.0.2.7")
    one.lapi.add("192.0.2.10")
    one.lapi.last_pull = time.time()  # what happened meanwhile is in no difference any more
    one.lapi.start()
    gets(one, "192.0.2.10", 403)
    gets(one, "192.0.2.7", 200)
    assert one.lapi.wholes() == wholes + 1
    assert one.log().count("not fetched") == 1
    assert one.log().count(": fetched, ") == 2
    eventually(lambda: "failing" not in note(one), "the failure to be over in the status")


@pytest.mark.parametrize("instead, why", [
    ((200, b"<html>login</html>"), "not of the shape of a decision stream"),
    ((200, b'{"new": [{"value": "192.0.2.7"'), "not of the shape of a decision stream"),
    ((200, b'{"message": "ok"}'), "neither"),
    ((200, b""), "not of the shape"),
    ((200, b'{"new": [' + b"[" * 100000), "not of the shape"),
    ((403, b'{"message":"access forbidden"}'), "the key is refused (403)"),
    ((500, b"oops"), "answered 500"),
    ((302, b""), "answered 302"),
    ((200, b" " * (3 << 20)), "too large"),
])
def test_garbage_changes_nothing(listed, instead, why):
    one = listed("most=1000")
    one.lapi.add("192.0.2.7")
    gets(one, "192.0.2.7", 403)
    one.lapi.instead = instead
    eventually(lambda: "not fetched: " in one.log() and why in one.log(), why)
    assert ask(one, "192.0.2.7") == 403 and ask(one, "192.0.2.8") == 200
    one.lapi.add("192.0.2.8")
    one.lapi.last_pull = time.time()
    one.lapi.instead = None
    gets(one, "192.0.2.8", 403)
    assert one.log().count("not fetched: ") == 1


def test_decisions_that_make_no_sense_are_left_out_one_by_one(listed):
    one = listed()
    for value in ["999.1.1.1", "0.0.0.0/0", "::/0", "192.0.2.1 or so"]:
        one.lapi.add(value)
    one.lapi.add("192.0.2.7")
    gets(one, "192.0.2.7", 403)
    assert ask(one, "192.0.2.8") == 200 and ask(one, "2001:db8::1") == 200
    eventually(lambda: '4 of 5 decisions not understood, the first one "999.1.1.1": no address or network' in one.log(),
               "the line in the log")


def test_more_than_there_may_be(listed, lapi):
    server = lapi()
    for i in range(1, 21):
        server.add(f"192.0.2.{i}")
    one = listed("most=15", server=server)
    gets(one, "192.0.2.7", 403)
    assert [ask(one, f"192.0.2.{i}") for i in range(1, 21)].count(403) == 15
    assert "5 decisions left out: there are more than most=15" in one.log()
    assert "5 left out" in eventually(lambda: note(one), "a note")


def test_whom_it_never_bans(listed):
    """Loopback, trusted proxies themselves, and who is excepted; not who comes from behind them."""
    one = listed("except=192.0.2.128/25,2001:db8:5::/48", text=SITE.replace("127.0.0.1", "127.0.0.1 10.0.0.1"))
    for value in ["127.0.0.0/8", "10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"]:
        one.lapi.add(value)
    gets(one, "192.0.2.7", 403)
    assert ask(one, None) == 200
    assert ask(one, "127.0.0.9") == 200  # loopback, although not a trusted proxy
    assert ask(one, "10.0.0.1") == 200 and ask(one, "10.0.0.2") == 403 and ask(one, "192.0.2.7, 10.0.0.1") == 403
    assert ask(one, "192.0.2.200") == 200 and ask(one, "2001:db8:5::1") == 200 and ask(one, "2001:db8:6::1") == 403


def test_the_command_tells_where_a_ban_comes_from(listed):
    one = listed()
    one.lapi.add("192.0.2.7", origin="CAPI", scenario="test/probing")
    gets(one, "192.0.2.7", 403)
    assert one.cli("ban", "add", "192.0.2.7", "1h").returncode == 0
    assert one.cli("ban", "add", "192.0.2.8", "1h").returncode == 0
    listing = one.cli("ban", "list").stdout.splitlines()
    assert sorted((line.split()[0], " ".join(line.split()[3:])) for line in listing) == [
        ("192.0.2.7/32", "ban_list: CAPI test/probing"), ("192.0.2.7/32", "command"), ("192.0.2.8/32", "command")]
    assert all(3000 < int(line.split()[1]) <= 3600 for line in listing)
    done = one.cli("ban", "remove", "192.0.2.7")
    assert done.returncode == 0 and "removed here, but 192.0.2.7/32 is banned by ban_list" in done.stdout
    done = one.cli("ban", "remove", "192.0.2.7")
    assert done.returncode == 1 and "remove it at that server" in done.stderr
    assert ask(one, "192.0.2.7") == 403
    done = one.cli("ban", "remove", "192.0.2.9")
    assert done.returncode == 1 and "not banned" in done.stderr


def test_shadow_mode_and_explain(listed):
    one = listed(text='trusted_proxies 127.0.0.1; site a.test { enforce off ratelimit; respond 200 "ok"; }'
                 'site _ { respond 200 "ok"; }')
    one.lapi.add("192.0.2.7", origin="CAPI", scenario="test/probing")
    eventually(lambda: one.get("/", "X-Forwarded-For: 192.0.2.7", host="b.test").status == 403, "the ban")
    assert ask(one, "192.0.2.7") == 200
    assert "not enforced: ratelimit would have answered 403: banned by ban_list: CAPI test/probing" in one.log()
    told = run_weir("explain", "GET", f"http://b.test:{one.http_port}/", "client=192.0.2.7", "-s", one.control).stdout
    assert "banned by ban_list: CAPI test/probing" in told and "403" in told
    told = run_weir("explain", "GET", f"http://b.test:{one.http_port}/", "client=192.0.2.8", "-s", one.control).stdout
    assert "banned" not in told


def restart(one):
    one.terminate()
    one.wait()
    one.start()


def test_the_list_outlives_a_restart_without_its_server(listed):
    one = listed()
    one.lapi.add("192.0.2.7", origin="CAPI", scenario="test/probing")
    one.lapi.add("2001:db8::/32", seconds=2)
    gets(one, "192.0.2.7", 403)
    one.lapi.stop()
    one.reload(one.config.read_text().split("\n", 1)[1] + "\n# anew")
    assert ask(one, "192.0.2.7") == 403
    restart(one)
    assert ask(one, "192.0.2.7") == 403
    assert "CAPI test/probing" in one.cli("ban", "list").stdout
    gets(one, "2001:db8::1", 200)
    eventually(lambda: "not fetched: " in one.log().rpartition("serving")[2], "the outage to be told")
    wholes = one.lapi.wholes()
    one.lapi.start()
    eventually(lambda: one.lapi.wholes() > wholes, "the whole list to be asked for")


def test_a_server_that_is_killed_knows_the_list_again(listed):
    one = listed()
    one.lapi.add("192.0.2.7")
    gets(one, "192.0.2.7", 403)
    path = one.folder / "state" / "ratelimit" / "ban-list"
    eventually(lambda: path.exists() and "192.0.2.7/32 " in path.read_text(), "the file to be written")
    one.lapi.stop()
    server = one.server()
    os.kill(server, signal.SIGKILL)
    eventually(lambda: one.servers() and one.server() != server, "another server")
    eventually(lambda: one.cli("ban", "list").returncode == 0, "it answers")
    assert ask(one, "192.0.2.7") == 403


def test_an_upgrade_keeps_the_list(listed):
    """The server that takes over knows what the one before it had written down."""
    one = listed()
    one.lapi.add("192.0.2.7")
    gets(one, "192.0.2.7", 403)
    path = one.folder / "state" / "ratelimit" / "ban-list"
    eventually(lambda: path.exists() and "192.0.2.7/32 " in path.read_text(), "the file to be written")
    one.lapi.stop()
    server = one.server()
    done = one.cli("upgrade")
    assert done.returncode == 0, done.stderr
    eventually(lambda: one.servers() and server not in one.servers(), "the old server to be gone")
    assert ask(one, "192.0.2.7") == 403 and ask(one, "192.0.2.8") == 200


def test_another_server_another_list_and_none(listed, lapi):
    """A reload that names another server starts over there; one that names none ends its bans."""
    one, other = listed(), lapi()
    one.lapi.add("192.0.2.7")
    other.add("192.0.2.8")
    gets(one, "192.0.2.7", 403)
    one.reload(f"ban_list {other.url} key=api.key interval=1s; {SITE}")
    gets(one, "192.0.2.8", 403)
    assert ask(one, "192.0.2.7") == 200
    assert other.asked[0][0] == "true"
    assert one.cli("ban", "add", "192.0.2.9").returncode == 0
    one.reload(SITE)
    assert ask(one, "192.0.2.8") == 200 and ask(one, "192.0.2.9") == 403
    eventually(lambda: not note(one), "the note to go")
    eventually(lambda: not (one.folder / "state" / "ratelimit" / "ban-list").exists(), "the file to go")


def test_another_key_is_another_client(listed):
    one = listed()
    one.lapi.add("192.0.2.7")
    gets(one, "192.0.2.7", 403)
    one.lapi.key = "open"
    eventually(lambda: "the key is refused (403)" in one.log(), "the refusal")
    (one.folder / "api.key").write_text("open")
    one.lapi.add("192.0.2.8")
    one.reload()
    gets(one, "192.0.2.8", 403)


@pytest.mark.parametrize("line, files, why", [
    ("ban_list http://127.0.0.1:1;", {}, "key"),
    ("ban_list http://127.0.0.1:1 key=none;", {}, "none"),
    ("ban_list http://127.0.0.1:1 key=k;", {"k": ""}, "a key was expected"),
    ("ban_list http://127.0.0.1:1 key=k;", {"k": "two words\n"}, "a key of one word was expected"),
    ("ban_list http://127.0.0.1:1 key=k;", {"k": "two\nlines\n"}, "a key of one word was expected"),
    ("ban_list http://127.0.0.1:1/?a=b key=k;", {"k": "x"}, "a URL without a query"),
    ("ban_list nobody key=k;", {"k": "x"}, "nobody"),
    ("ban_list http://127.0.0.1:1 key=k interval=0s;", {"k": "x"}, "interval"),
    ("ban_list http://127.0.0.1:1 key=k most=0;", {"k": "x"}, "most"),
    ("site a.test { ban_list http://127.0.0.1:1 key=k; }", {"k": "x"}, "ban_list"),
])
def test_mistakes(folder, line, files, why):
    for name, content in files.items():
        (folder / name).write_text(content)
    (folder / "weir.conf").write_text(f"modules_dir {os.environ['WEIR_MODULES']}; state_dir {folder}/state;\n"
                                      f"module ratelimit;\n{line}\n")
    done = run_weir("check", "-c", folder / "weir.conf")
    assert done.returncode == 1 and why in done.stderr and "weir.conf:3:" in done.stderr, done.stderr


def test_a_hundred_updates_under_load(listed):
    """Nobody else's request fails, nothing grows. An update takes a second: a hundred only with WEIR_LARGE_GB said."""
    updates = 100 if "WEIR_LARGE_GB" in os.environ else 16
    one = listed(text="workers 4; " + SITE,
                 env={"ASAN_OPTIONS": "quarantine_size_mb=1:detect_leaks=1"})
    chance = random.Random(5)
    for _ in range(2000):
        one.lapi.add(f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}")
    one.lapi.add("192.0.2.7")
    gets(one, "192.0.2.7", 403)

    def others():
        assert ask(one, "198.51.100.9") == 200 and ask(one, "192.0.2.7") == 403

    with Load(others) as load:
        for turn in range(updates):
            if turn == updates // 4:
                before = one.memory(), one.fds()
            one.lapi.add(f"203.0.113.{turn}")
            if turn:
                one.lapi.delete(f"203.0.113.{turn - 1}")
            asked = len(one.lapi.asked)
            eventually(lambda: len(one.lapi.asked) > asked, "it to be asked for")
        gets(one, f"203.0.113.{updates - 1}", 403)
        gets(one, f"203.0.113.{updates - 2}", 200)
        grown, fds = one.memory() - before[0], one.fds() - before[1]
    assert load.failures == [] and load.answers > 100
    print(f"\n{load.answers} times two requests beside {updates} updates; "
          f"{grown / 1024:.0f} KiB and {fds} descriptors more")
    assert fds <= 16
    if not IS_TSAN:
        assert grown < (24 << 20 if IS_SANITIZED else 4 << 20)


def test_fifty_thousand(listed, lapi):
    """Both families, addresses and networks: those who are listed are refused, their neighbours are not."""
    server, chance = lapi(), random.Random(50000)
    values = {f"{chance.randrange(1, 100)}.{chance.randrange(256)}.{chance.randrange(256)}.{2 * chance.randrange(128)}"
              for _ in range(40000)}
    values |= {f"{chance.randrange(100, 200)}.{chance.randrange(256)}.{2 * chance.randrange(128)}.0/24"
               for _ in range(6000)}
    values |= {f"2001:db8:{chance.randrange(65536):x}::{2 * chance.randrange(32768):x}" for _ in range(6000)}
    for value in values:
        server.add(value, origin="CAPI", scenario=f"test/scenario-{hash(value) % 50}")
    one = listed(server=server)
    before = one.memory()
    count = len(values)
    eventually(lambda: f": fetched, {count} bans" in one.log(), "the list", 60)
    text = eventually(lambda: note(one) if f"{count} bans" in note(one) else "", "the note")
    grown = one.memory() - before
    print(f"\n{count} decisions: {text}; {grown / (1 << 20):.1f} MiB more in all")
    assert count > 50000 and int(re.search(r"(\d+) KiB", text)[1]) < 8192
    for value in chance.sample(sorted(values), 300):
        address, _, bits = value.partition("/")
        if ":" in address:
            inside, outside = address, f"{address[:-1]}{int(address[-1], 16) + 1:x}"
        elif bits:
            a, b, c, _ = address.split(".")
            inside, outside = f"{a}.{b}.{c}.77", f"{a}.{b}.{int(c) + 1}.77"
        else:
            a, b, c, d = address.split(".")
            inside, outside = address, f"{a}.{b}.{c}.{int(d) + 1}"
        assert ask(one, inside) == 403 and ask(one, outside) == 200, value
    assert len(one.cli("ban", "list").stdout.splitlines()) == count
    path = one.folder / "state" / "ratelimit" / "ban-list"
    eventually(lambda: path.exists() and len(path.read_text().splitlines()) == count + 1, "the file to be whole")
    server.stop()
    restart(one)
    value = sorted(values)[0]
    assert ask(one, value.partition("/")[0]) == 403


def test_figures(listed):
    one = listed(text=SITE.replace("respond", "route /metrics { metrics; } respond"))
    one.lapi.add("192.0.2.7")
    gets(one, "192.0.2.7", 403)
    one.lapi.instead = (500, b"")
    eventually(lambda: "answered 500" in one.log(), "a failure")
    metrics = Metrics(one.get("/metrics").text)
    assert metrics["weir_ratelimit_list_bans"] == 1 and metrics["weir_ratelimit_list_bytes"] > 0
    assert metrics["weir_ratelimit_list_failures_total"] >= 1 and metrics["weir_ratelimit_ban_refused_total"] >= 1
