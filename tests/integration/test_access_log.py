# SPDX-License-Identifier: BSD-2-Clause
"""The access-log module: one whole line per request, whoever answered it."""

import json
import re
import signal
import threading

from lib.patience import eventually

COMBINED = re.compile(r'^(\S+) - (\S+) \[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] '
                      r'"([^"]*)" (\d{3}) (\d+|-) "([^"]*)" "([^"]*)"$')


def lines_of(weir, name, count):
    """The lines of a log once there are so many; the buffers are written out first."""
    path = weir.folder / name

    def read():
        weir.ask("POST", "/v1/reopen")
        lines = path.read_text().splitlines() if path.exists() else []
        return lines if len(lines) >= count else None

    return eventually(read, f"{count} lines in {name}")


def test_combined(weir):
    one = weir('access_log access.log; site a.test { respond 200 "hello"; }', modules=["access-log"])
    client = one.connect()
    client.get("/a?b=c", "Referer: http://r.test/", "User-Agent: agent/1")
    client.request("POST", "/p", body=b"x").response()
    client.get("/x", host="nobody.test")
    lines = [COMBINED.match(line) for line in lines_of(one, "access.log", 3)]
    assert [line.group(1, 4, 5, 6, 7, 8) for line in lines[:2]] == [
        ("127.0.0.1", "GET /a?b=c HTTP/1.1", "200", "5", "http://r.test/", "agent/1"),
        ("127.0.0.1", "POST /p HTTP/1.1", "200", "5", "-", "-")]
    assert lines[2].group(4, 5) == ("GET /x HTTP/1.1", "404")


def test_json(weir, origin):
    """One object a line, each key always there."""
    one = weir(f"access_log access.json json; site a.test {{ proxy {origin.url}; }} site b.test {{ respond 200 b; }}",
               modules=["access-log"])
    client = one.connect()
    client.request("GET", "/q?x=\"y\"".replace('"', "%22"), "User-Agent: \"quoted\\\" \xff")
    connection = origin.take()
    request = connection.request()
    connection.reply(201, body=b"made")
    client.response()
    client.get("/", host="b.test")
    first, second = (json.loads(line) for line in lines_of(one, "access.json", 2))
    assert first["id"] == request.get("X-Request-Id")
    assert (first["client"], first["site"], first["method"], first["status"]) == ("127.0.0.1", "a.test", "GET", 201)
    assert first["uri"] == "/q?x=%22y%22" and first["user_agent"] == "\"quoted\\\" \ufffd"
    assert first["upstream"] == f"127.0.0.1:{origin.port}" and first["upstream_status"] == 201
    assert first["duration_ms"] >= 0 and first["bytes"] > 4
    assert second["upstream"] is None and second["status"] == 200
    assert first.keys() == second.keys()


def test_template(weir):
    one = weir('access_log access.log "$method|$uri|$status|$http_x_a|$upstream_status";'
               ' site a.test { respond 200 a; }', modules=["access-log"])
    one.get("/t", "X-A: v\tw")
    assert lines_of(one, "access.log", 1)[0] in ("GET|/t|200|v\\x09w|-", "GET|/t|200|v\\x09w|")


def test_lines_cannot_be_forged(weir):
    """Quotes and bytes that are no text are written as escapes."""
    one = weir("access_log access.log; site _ { respond 200 a; }", modules=["access-log"])
    client = one.connect()
    client.send(b'GET /%0a%22 HTTP/1.1\r\nHost: a\r\nUser-Agent: a" 200 5 "x\\ \xc3\xa9\r\n\r\n')
    assert client.response().status == 200
    line = COMBINED.match(lines_of(one, "access.log", 1)[0])
    assert line.group(8).lower() == 'a\\x22 200 5 \\x22x\\x5c \\xc3\\xa9'
    assert line.group(5) == "200"


def test_what_weir_refuses_is_logged(weir):
    """Under the top-level scope, when no site is known."""
    one = weir("workers 1; access_log access.json json; site a.test { respond 200 a; }", modules=["access-log"])
    client = one.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert client.response().status == 400
    client = one.connect()
    client.send(b"\x16\x03\x01garbage\r\n\r\n")
    assert client.response().status == 400
    entries = [json.loads(line) for line in lines_of(one, "access.json", 2)]
    assert [entry["status"] for entry in entries] == [400, 400]
    assert "Host" in entries[0]["refuse_reason"]


def test_each_request_has_exactly_one_line(weir, origin):
    """A client that leaves, an origin that breaks off, a tunnel: all are written, once."""
    one = weir(f'workers 1; access_log access.log "$uri $status"; site _ {{ proxy {origin.url}; }}',
               modules=["access-log"])
    client = one.connect()
    client.request("GET", "/left")
    connection = origin.take()
    connection.request()
    client.reset()
    assert connection.is_closed()
    client = one.connect()
    client.request("GET", "/broken")
    connection = origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    assert client.head().status == 200 and client.exactly(3)
    connection.close()
    assert client.is_closed()
    client = one.connect()
    client.request("GET", "/tunnel", "Connection: Upgrade", "Upgrade: websocket")
    connection = origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert client.head().status == 101
    client.close()
    assert connection.is_closed()
    connection.close()
    lines = lines_of(one, "access.log", 3)
    assert [line.split()[0] for line in lines] == ["/left", "/broken", "/tunnel"]
    assert lines[1].endswith(" 200") and lines[2].endswith(" 101")


def test_scopes(weir):
    """Inner lines take the place of outer ones; `off` writes none; several lines are several logs."""
    one = weir("""access_log top.log "$uri";
                  site a.test { access_log a.log "$uri"; access_log a2.log "$uri"; respond 200 a;
                                route /quiet/ { access_log off; respond 200 q; } }
                  site b.test { respond 200 b; }""", modules=["access-log"])
    client = one.connect()
    for host, target in (("a.test", "/1"), ("a.test", "/quiet/2"), ("b.test", "/3")):
        client.get(target, host=host)
    assert lines_of(one, "a.log", 1) == lines_of(one, "a2.log", 1) == ["/1"]
    assert lines_of(one, "top.log", 1) == ["/3"]


def test_all_workers_write_whole_lines(weir):
    """Two thousand requests from many clients: each line there, once, unbroken."""
    one = weir('workers 4; access_log access.log "$arg_n $http_x_pad" buffer=4k; site _ { respond 204; }',
               modules=["access-log"])
    pad = "p" * 150

    def ask(first):
        client = one.connect()
        for number in range(first, first + 250):
            assert client.get(f"/?n={number}", f"X-Pad: {pad}").status == 204

    threads = [threading.Thread(target=ask, args=(250 * k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = lines_of(one, "access.log", 2000)
    assert sorted(lines) == sorted(f"{number} {pad}" for number in range(2000))


def test_rotation_by_size_and_count(weir):
    """Nothing is lost but what `keep` lets go, and no file grows far beyond the size."""
    one = weir('access_log access.log "$arg_n $http_x_pad" rotate=4k keep=2 buffer=1k; site _ { respond 204; }',
               modules=["access-log"])
    client = one.connect()
    for number in range(400):
        client.get(f"/?n={number}", f"X-Pad: {'p' * 50}")

    def names():
        return sorted((path.name for path in one.folder.glob("access.log*")), reverse=True)

    def numbers():
        try:
            return [int(line.split()[0]) for name in names() for line in (one.folder / name).read_text().splitlines()]
        except FileNotFoundError:  # moved on between the two
            return []

    eventually(lambda: numbers() and numbers()[-1] == 399, "the last line")
    assert names() == ["access.log.2", "access.log.1", "access.log"]
    assert all((one.folder / name).stat().st_size < 6144 for name in names())
    assert numbers() == list(range(numbers()[0], 400)) and len(numbers()) > 100


def test_lines_are_written_after_a_second_at_the_latest(weir):
    one = weir("access_log access.log; site _ { respond 204; }", modules=["access-log"])
    one.get("/soon")
    eventually(lambda: "/soon" in (one.folder / "access.log").read_text(), "the line")


def test_lines_are_written_on_stop(weir):
    one = weir("access_log access.log buffer=64k; site _ { respond 204; }", modules=["access-log"])
    for number in range(10):
        one.get(f"/{number}")
    one.process.send_signal(signal.SIGTERM)
    assert one.wait() == 0
    assert len((one.folder / "access.log").read_text().splitlines()) == 10


def test_stdout(weir):
    one = weir('access_log stdout "$uri"; site _ { respond 204; }', modules=["access-log"])
    one.get("/to/stdout")
    eventually(lambda: "/to/stdout\n" in (one.folder / "stdout").read_text(), "the line")
