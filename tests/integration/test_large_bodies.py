# SPDX-License-Identifier: BSD-2-Clause
"""Bodies far larger than memory may be: they stream, and the server's peak does not know their size.

WEIR_LARGE_GB says how much is sent each way (1). Each test prints its figures (pytest -s)."""

import os
import threading
import time

import pytest

from lib.message import Closed
from lib.origin import Origin

SIZE = int(float(os.environ.get("WEIR_LARGE_GB", "1")) * (1 << 30))
STEP = 64 << 20  # a mark stands at each multiple: what is lost, doubled or out of order is seen
PEAK_MOST = 16 << 20
PATIENCE = 600


def mark(offset):
    return b"<%016x>" % offset


@pytest.fixture(scope="module")
def large(session_folder):
    """A file of holes and marks."""
    path = session_folder / "large.bin"
    with open(path, "wb") as file:
        for offset in range(0, SIZE - 64, STEP):
            file.seek(offset)
            file.write(mark(offset))
        file.truncate(SIZE)
    yield path
    path.unlink()


@pytest.fixture
def small(weir, session_folder):
    """A daemon with one worker, whose sanitizer, if any, gives freed memory back at once, in front of an origin."""
    origin = Origin()
    yield weir(f"workers 1;\nsite _ {{ proxy {origin.url}; route /files/ {{ files {session_folder}; }} }}",
               env={"ASAN_OPTIONS": "quarantine_size_mb=1:detect_leaks=1"}), origin
    origin.stop()


def send_file(stream, path):
    stream.sock.settimeout(PATIENCE)
    with open(path, "rb") as file:
        stream.sock.sendfile(file)


def skip(stream, count):
    """Reads bytes away."""
    room = memoryview(bytearray(1 << 20))
    taken = min(count, len(stream.rest))
    stream.rest = stream.rest[taken:]
    while taken < count:
        n = stream.sock.recv_into(room, min(len(room), count - taken))
        if n == 0:
            raise Closed()
        taken += n


def drain(stream):
    """Reads SIZE bytes and looks at the marks; keeps none."""
    stream.sock.settimeout(PATIENCE)
    for offset in range(0, SIZE, STEP):
        marked = len(mark(offset)) if offset < SIZE - 64 else 0
        assert stream.exactly(marked) == mark(offset)[:marked]
        skip(stream, min(STEP, SIZE - offset) - marked)
    assert not stream.rest


class Measured:
    """How far the server's peak rises meanwhile."""

    def __init__(self, weir, what):
        self.weir, self.what = weir, what

    def __enter__(self):
        self.weir.forget_peak()
        self.before, self.began = self.weir.memory(), time.monotonic()
        return self

    def __exit__(self, failed, *_):
        peak, took = self.weir.peak_memory(), time.monotonic() - self.began
        print(f"\n{self.what}: {SIZE / (1 << 30):g} GiB in {took:.1f} s, peak RSS {peak / (1 << 20):.1f} MiB, "
              f"{(peak - self.before) / (1 << 20):.1f} MiB above what it was before")
        if not failed:
            assert peak - self.before < PEAK_MOST


def warm_up(weir, origin):
    """What is kept from the first request on is not counted."""
    client = weir.connect()
    client.request("POST", "/", body=b"x" * (1 << 20))
    connection = origin.take()
    connection.request()
    connection.reply(body=b"y" * (1 << 20))
    assert len(client.response().body) == 1 << 20
    client.close()


def test_a_download(small, large):
    weir, origin = small
    warm_up(weir, origin)
    client = weir.connect()
    client.request("GET", "/")
    connection = origin.take()
    connection.request()
    with Measured(weir, "download"):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        sender = threading.Thread(target=send_file, args=(connection, large))
        sender.start()
        assert client.head().length == SIZE
        drain(client)
        sender.join()


def test_an_upload(small, large):
    weir, origin = small
    warm_up(weir, origin)
    client = weir.connect()
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % SIZE)
    connection = origin.take()
    assert connection.head().length == SIZE
    with Measured(weir, "upload"):
        sender = threading.Thread(target=send_file, args=(client, large))
        sender.start()
        drain(connection)
        sender.join()
    connection.reply()
    assert client.response().status == 200


def test_a_file(small, large):
    weir, origin = small
    warm_up(weir, origin)
    client = weir.connect()
    with Measured(weir, "files"):
        client.request("GET", f"/files/{large.name}")
        assert client.head().length == SIZE
        drain(client)
