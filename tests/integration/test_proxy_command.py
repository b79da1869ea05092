# SPDX-License-Identifier: BSD-2-Clause
"""weir proxy: a proxy with no file at all."""

import contextlib
import os
import shutil
import signal
import subprocess

import pytest

from lib.client import Client
from lib.daemon import run_weir
from lib.patience import PATIENCE, WEIR_BIN, eventually
from lib.ports import free_port


def named(name):
    return lambda request: f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n\r\n{name}".encode()


@contextlib.contextmanager
def proxying(folder, *words, program=WEIR_BIN, **how):
    """The process; what it says goes to said in the folder."""
    with open(folder / "said", "wb") as said:
        process = subprocess.Popen([program, "proxy", *map(str, words)], stdin=subprocess.DEVNULL, stdout=said,
                                   stderr=said, cwd=folder, **how)
    try:
        eventually(lambda: "serves" in (folder / "said").read_text() or process.poll() is not None, "it serves")
        yield process
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0, (folder / "said").read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def get(address, target="/"):
    client = Client(address)
    try:
        return client.get(target, "Connection: close", host="any.test").text
    finally:
        client.close()


def test_one_url(folder, answering):
    """Says what it serves, leaves nothing behind, ends at ctrl-C."""
    origin, port = answering(lambda request: named(request.target)(request)), free_port()
    before = sorted(os.listdir(folder))
    with proxying(folder, "--from", f"127.0.0.1:{port}", "--to", f"http://127.0.0.1:{origin.port}/app"):
        assert get(("127.0.0.1", port), "/x?y=1") == "/app/x?y=1"
    said = (folder / "said").read_text()
    assert f"serves 127.0.0.1:{port} -> http://127.0.0.1:{origin.port}/app" in said
    assert sorted(os.listdir(folder)) == sorted([*before, "said"])


def test_several_take_turns_and_stand_in(folder, answering):
    first, second, port = answering(named("one")), answering(named("two")), free_port()
    urls = [f"http://127.0.0.1:{one}" for one in (first.port, second.port, free_port())]
    with proxying(folder, "--from", port, *(word for url in urls for word in ("--to", url))):
        assert {get(("127.0.0.1", port)) for _ in range(12)} == {"one", "two"}


def test_sockets_on_both_sides(folder, answering):
    answering(named("socket"), address=f"{folder}/origin")
    with proxying(folder, "--from", f"unix:{folder}/door", "--to", f"unix:{folder}/origin"):
        assert get(f"{folder}/door") == "socket"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_as_somebody_without_power(folder, answering):
    origin, port = answering(named("ok")), free_port()
    os.chmod(folder, 0o755)
    program = shutil.copy(WEIR_BIN, folder / "weir")
    with proxying(folder, "--from", port, "--to", f"http://127.0.0.1:{origin.port}", program=program, user=65534,
                  group=65534, extra_groups=[]):
        assert get(("127.0.0.1", port)) == "ok"


@pytest.mark.parametrize("words, said", [
    ([], "where to: --to http://HOST:PORT"),
    (["--to", "127.0.0.1:3000"], "no URL: http://HOST"),
    (["--to", "http://x;control /x"], "can stand in no URL"),
    (["--to", "ftp://x/"], "--to ftp://x/"),
    (["--from", "0", "--to", "http://127.0.0.1:1"], "--from 0: PORT, ADDR:PORT"),
    (["--from", "http://x", "--to", "http://127.0.0.1:1"], "--from http://x"),
    (["--to", "http://a", "--to", "https://a"], "either all are https"),
    (["--to", "http://a/x", "--to", "http://b"], "of several none may have a path"),
    (["--to", "https://a", "--to", "https://b"], "must have one name"),
])
def test_mistakes_are_explained(words, said):
    done = run_weir("proxy", *words)
    assert done.returncode == 2 and said in done.stderr, done.stderr


def test_a_port_that_is_taken(answering):
    taken = answering(named("x")).port
    done = run_weir("proxy", "--from", f"127.0.0.1:{taken}", "--to", "http://127.0.0.1:1")
    assert done.returncode == 1 and f"127.0.0.1:{taken}" in done.stderr and "in use" in done.stderr
