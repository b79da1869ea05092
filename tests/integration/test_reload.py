# SPDX-License-Identifier: BSD-2-Clause
"""New configurations under live connections: nobody notices, and a broken one changes nothing."""

import signal
import socket
import threading

from lib.client import Client
from lib.origin import Origin
from lib.patience import eventually
from lib.ports import free_port
from lib.websocket import EchoServer, WebSocket


def answer(weir, text, host="a.test"):
    return weir.get(host=host).text == text


def test_by_the_command_line(weir):
    """`weir reload` returns when the new configuration is live."""
    one = weir("site a.test { respond 200 old; }")
    for number in range(3):
        one.reload(f"site a.test {{ respond 200 new{number}; }}")
        assert one.get().text == f"new{number}"
    assert one.status()["reloads"] == 3


def test_by_signal(weir):
    one = weir("site a.test { respond 200 old; }")
    one.write("site a.test { respond 200 new; }")
    one.process.send_signal(signal.SIGHUP)
    eventually(lambda: answer(one, "new"), "the new answer")


def test_by_the_control_socket(weir):
    one = weir("site a.test { respond 200 old; }")
    one.write("site a.test { respond 200 new; }")
    status, told = one.ask("POST", "/v1/reload")
    assert status == 200, told
    assert one.get().text == "new"


def test_twenty_reloads_during_a_websocket_a_kept_connection_and_a_slow_download(weir):
    """None of the three notices anything."""
    echo, origin = EchoServer(), Origin()
    text = f"""
        site ws.test {{ proxy {echo.url}; }}
        site down.test {{ proxy {origin.url}; }}
        site a.test {{ respond 200 "%d"; }}
    """
    try:
        one = weir(text % 0)
        client = WebSocket(f"ws://ws.test:{one.http_port}/", host="127.0.0.1")
        kept = one.connect()
        download = one.connect()
        download.request(host="down.test")
        source = origin.take()
        source.request()
        source.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4200\r\n\r\n")
        assert download.head().length == 4200
        server = one.server()

        for number in range(21):
            if number:
                one.reload(text % number)
            assert client.echo(f"message {number}") == f"message {number}"
            assert kept.get().text == str(number)
            piece = b"%04d" % number * 50
            source.send(piece)
            assert download.exactly(200) == piece

        assert client.close() == 1000
        assert one.server() == server
        status = one.status()
        assert status["reloads"] == 20 and status["failed_reloads"] == 0
        eventually(lambda: one.status()["snapshots_alive"] == 1, "old snapshots are freed")
    finally:
        origin.stop()
        echo.stop()


def test_a_request_in_progress_ends_as_it_began(weir, origin):
    """Each request keeps the snapshot it started with; the next one takes the newest."""
    one = weir(f"site a.test {{ proxy {origin.url}; response_header set X-Version old; }}", modules=["headers"])
    client = one.connect()
    client.request()
    source = origin.take()
    source.request()
    one.reload("site a.test { respond 200 new; }")
    source.reply(body=b"from before")
    response = client.response()
    assert response.text == "from before" and response.get("X-Version") == "old"
    assert client.get().text == "new"


def test_upstream_connections_outlive_a_reload(weir, origin):
    text = (f"workers 1; upstream u {{ server 127.0.0.1:{origin.port}; }} site a.test {{ proxy u; }}"
            " site _ { respond %d; }")
    one = weir(text % 200)
    client = one.connect()
    for status in (200, 201, 202):
        client.request()
        connection = origin.take()
        connection.request()
        connection.reply()
        assert client.response().status == 200
        one.reload(text % status)
    assert origin.accepted == 1


def test_a_broken_configuration_is_refused_and_the_old_one_serves(weir):
    one = weir("site a.test { respond 200 old; }")
    one.write("site a.test {\n    respnd 200 new;\n    respond 999;\n}")
    done = one.cli("reload")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert f"{one.config}:3:5: error: unknown directive" in said and 'did you mean "respond"?' in said
    assert f"{one.config}:4:" in said
    assert one.get().text == "old"

    status, told = one.ask("POST", "/v1/reload")
    assert status == 422 and "respnd" in str(told)
    status, told = one.ask("POST", "/v1/reload", headers={"Accept": "text/plain"})  # as people read it
    assert status == 422 and b"^" in told
    assert one.get().text == "old"

    one.process.send_signal(signal.SIGHUP)
    eventually(lambda: one.log().count("unknown directive") == 4, "the errors in the log")
    assert one.get().text == "old"
    assert one.status()["failed_reloads"] == 4
    one.reload("site a.test { respond 200 mended; }")
    assert one.get().text == "mended"


def test_the_command_line_reaches_the_server_by_a_file_that_does_not_bind(weir):
    """To find the control socket one line is read, tolerantly."""
    one = weir("site a.test { respond 200 old; }")
    one.write("nonsense nonsense nonsense;\nsite a.test {")
    done = one.cli("reload")
    assert done.returncode == 1 and "weir.conf:" in done.stdout + done.stderr
    assert one.cli("status").returncode == 0


def is_shut(port):
    try:
        Client(("127.0.0.1", port)).close()
        return False
    except ConnectionRefusedError:
        return True


def test_addresses_come_and_go(weir):
    first, second = free_port(), free_port()
    one = weir(f"site a.test {{ listen 127.0.0.1:{first}; respond 200 first; }}")
    kept = one.connect(first)
    assert kept.get().text == "first"
    one.reload(f"site a.test {{ listen 127.0.0.1:{second}; respond 200 second; }}")
    assert one.get(port=second).text == "second"
    eventually(lambda: is_shut(first), "the last worker to close its door")
    one.reload(f"site a.test {{ listen 127.0.0.1:{first}; listen 127.0.0.1:{second}; respond 200 both; }}")
    assert one.get(port=first).text == one.get(port=second).text == "both"


def test_an_address_in_use_refuses_the_reload(weir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        one = weir("site a.test { respond 200 old; }")
        one.write(f"site a.test {{ respond 200 new; }} site b.test {{ listen 127.0.0.1:{port}; respond 200 b; }}")
        done = one.cli("reload")
    assert done.returncode == 1 and f"127.0.0.1:{port}" in done.stdout + done.stderr
    assert one.get().text == "old"


def test_modules_come_with_a_reload(weir):
    one = weir("site a.test { respond 200 a; }")
    assert not one.get().has("X-A")
    one.reload("module headers; site a.test { respond 200 a; response_header set X-A b; }")
    assert one.get().get("X-A") == "b"
    one.reload("site a.test { respond 200 a; }")
    assert not one.get().has("X-A")


def test_what_a_reload_cannot_change_is_said(weir):
    """`workers`: needs a restart; and the rest is not applied half-way."""
    one = weir("workers 2; site a.test { respond 200 old; }")
    one.write("workers 3; site a.test { respond 200 new; }")
    done = one.cli("reload")
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "workers" in said and "restart" in said
    assert one.get().text == "old"


def test_reloads_at_once(weir):
    """Several callers share a rehearsal; all are told."""
    one = weir("site a.test { respond 200 old; }")
    one.write("site a.test { respond 200 new; }")
    told = []
    callers = [threading.Thread(target=lambda: told.append(one.ask("POST", "/v1/reload")[0])) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert told == [200] * 6
    assert one.get().text == "new"


def test_memory_does_not_grow_with_reloads(weir):
    """Old snapshots are freed, with everything that belonged to them."""
    sites = "".join(f"site s{number}.test {{ route /a/ {{ respond 200 {number}; }} response_header set X-A $host; }}\n"
                    for number in range(200))
    one = weir("module headers;\n" + sites, env={"ASAN_OPTIONS": "quarantine_size_mb=1:detect_leaks=1"})
    for _ in range(3):
        one.reload()
    before = one.memory()
    for _ in range(10):
        one.reload()
    eventually(lambda: one.status()["snapshots_alive"] == 1, "old snapshots are freed")
    assert one.memory() - before < 6 * 1024 * 1024
