# SPDX-License-Identifier: BSD-2-Clause
"""Bodies pass while they come: nothing waits for an end, and no body's size shows in weir's memory."""

import hashlib
import threading
import zlib

import pytest

from lib.origin import Origin
from lib.patience import eventually
from lib.program import curl, files_below

MB = 1024 * 1024


def test_the_first_byte_of_an_upload_arrives_before_the_last_is_sent(stage):
    client = stage.client()
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
    connection = stage.origin.take()
    request = connection.head()
    assert request.length == 6
    for byte in (b"1", b"2", b"3", b"4", b"5", b"6"):
        client.send(byte)
        assert connection.exactly(1) == byte
    connection.reply()
    assert client.response().status == 200


def test_each_chunk_of_an_upload_arrives_before_the_next_is_sent(stage):
    client = stage.client()
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection = stage.origin.take()
    assert connection.head().framing == "chunked"
    for number in range(5):
        client.send(b"5\r\nabcd%d\r\n" % number)
        assert connection.chunk() == b"abcd%d" % number
    client.send(b"0\r\n\r\n")
    assert connection.chunk() == b"" and connection.trailers() == []
    connection.reply()
    assert client.response().status == 200


def test_the_first_byte_of_an_answer_arrives_before_the_last_is_sent(stage):
    client = stage.client()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    connection = stage.origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
    assert client.head().length == 6
    for byte in (b"1", b"2", b"3", b"4", b"5", b"6"):
        connection.send(byte)
        assert client.exactly(1) == byte


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_server_sent_events_come_one_by_one(stage, framing):
    """Each event is read before the next is sent."""
    client = stage.client()
    client.send(b"GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
    connection = stage.origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                    + (b"Transfer-Encoding: chunked\r\n" if framing == "chunked" else b"") + b"\r\n")
    assert client.head().framing == "chunked"
    for number in range(10):
        event = b"data: %d\n\n" % number
        connection.send(b"%x\r\n%s\r\n" % (len(event), event) if framing == "chunked" else event)
        assert client.chunk() == event
    if framing == "chunked":
        connection.send(b"0\r\n\r\n")
    connection.close()
    assert client.chunk() == b""


@pytest.mark.parametrize("kind", ["plain", "tls", "unix"])
def test_server_sent_events_come_one_by_one_with_gzip_on(weir, folder, certificates, kind):
    """Each event is read before the next is sent, whatever the way to the origin, by a client that takes gzip: as they
    are, and where gzip_types names them compressed, each flushed."""
    origin = Origin(str(folder / "sse.sock") if kind == "unix" else ("127.0.0.1", 0),
                    tls=certificates.server("origin") if kind == "tls" else None)
    to = f"tls on; tls_ca {certificates.path('ca.crt')}; tls_server_name localhost;" if kind == "tls" else ""
    address = origin.url if kind == "unix" else f"127.0.0.1:{origin.port}"
    try:
        one = weir(f"upstream o {{ server {address}; {to} }} gzip on; gzip_min_length 0; site _ {{ proxy o; }}"
                   "site packed.test { proxy o; gzip_types text/event-stream; }", modules=["tls", "gzip"])
        for host in ("a.test", "packed.test"):
            client = one.connect()
            client.request("GET", "/events", "Accept-Encoding: gzip", host=host)
            connection = origin.take()
            connection.request()
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n")
            is_compressed = client.head().get("Content-Encoding") == "gzip"
            content = zlib.decompressobj(31) if is_compressed else None
            for number in range(20):
                event = b"id: %d\ndata: %s\n\n" % (number, b"x" * 40 * number)
                connection.send(b"%x\r\n%s\r\n" % (len(event), event))
                seen = b""
                while len(seen) < len(event):
                    chunk = client.chunk()
                    seen += content.decompress(chunk) if content else chunk
                assert seen == event
            assert is_compressed == (host == "packed.test")
            connection.send(b"0\r\n\r\n")
    finally:
        origin.stop()


def test_a_download_larger_than_any_buffer(stage):
    """Whole and in order, to a client that reads at its own pace."""
    content = bytes(range(256)) * 4096 * 4
    client = stage.client()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    connection = stage.origin.take()
    connection.request()
    sender = threading.Thread(target=connection.reply, kwargs={"body": content})
    sender.start()
    assert client.response().body == content
    sender.join()


def test_an_upload_larger_than_any_buffer(stage):
    content = bytes(range(256)) * 4096 * 4
    client = stage.client()
    sender = threading.Thread(target=client.request, args=("POST",), kwargs={"body": content})
    sender.start()
    connection = stage.origin.take()
    assert connection.request().body == content
    sender.join()
    connection.reply()
    assert client.response().status == 200


def pour(send, total):
    """Sends until the other side takes no more, or all is sent; how many bytes went."""
    sent = 0
    block = b"x" * 65536
    try:
        while sent < total:
            sent += send(block)
    except (TimeoutError, BlockingIOError):
        pass
    return sent


@pytest.fixture
def small(weir):
    """A daemon whose sanitizer, if any, gives freed memory back at once, in front of an origin."""
    origin = Origin()
    yield weir(f"workers 1;\nsite _ {{ proxy {origin.url}; }}",
               env={"ASAN_OPTIONS": "quarantine_size_mb=1:detect_leaks=1"}), origin
    origin.stop()


def test_a_client_that_does_not_read_holds_the_origin_back(small):
    """Backpressure: weir keeps little of an answer that nobody takes."""
    weir, origin = small
    client = weir.connect(receive_buffer=65536)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    connection = origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    assert client.head().status == 200
    before = weir.memory()
    connection.sock.settimeout(0.5)
    poured = pour(connection.sock.send, 64 * MB)
    assert poured < 32 * MB
    assert weir.memory() - before < 8 * MB


def test_an_origin_that_does_not_read_holds_the_client_back(small):
    weir, origin = small
    client = weir.connect()
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
    connection = origin.take()
    connection.head()
    before = weir.memory()
    client.sock.settimeout(0.5)
    poured = pour(client.sock.send, 64 * MB)
    assert poured < 32 * MB
    assert weir.memory() - before < 8 * MB


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def test_large_files_through_nginx_and_curl(weir, nginx, folder):
    """100 MB down and up with real programs: the same bytes, and memory that does not grow with them."""
    block = hashlib.sha256(b"seed").digest() * 32768
    with open(nginx.www / "big.bin", "wb") as file:
        for _ in range(100):
            file.write(block)
    one = weir(f"site _ {{ proxy {nginx.url}; }}", env={"ASAN_OPTIONS": "quarantine_size_mb=1:detect_leaks=1"})
    url = f"http://127.0.0.1:{one.http_port}"
    curl("-o", "/dev/null", f"{url}/index.html")
    before, others = one.memory(), files_below(nginx.bodies)

    curl("-o", folder / "down.bin", f"{url}/big.bin")
    curl("-T", folder / "down.bin", "-o", "/dev/null", f"{url}/sink/")
    assert one.memory() - before < 24 * MB
    arrived = list(files_below(nginx.bodies) - others)
    assert len(arrived) == 1
    assert digest_of(folder / "down.bin") == digest_of(nginx.www / "big.bin") == digest_of(arrived[0])
    for path in [nginx.www / "big.bin", *arrived]:
        path.unlink()


def test_an_answer_cut_short_is_seen_as_cut_short(stage):
    """RFC 9112 8: an incomplete message must not look complete."""
    client = stage.client()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    connection = stage.origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    assert client.head().framing == "chunked" and client.chunk() == b"abc"
    connection.close()
    assert client.is_closed()


def test_an_answer_shorter_than_its_length_is_seen_so(stage):
    """RFC 9112 8."""
    client = stage.client()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    connection = stage.origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    assert client.head().length == 10 and client.exactly(3) == b"abc"
    connection.close()
    assert client.is_closed()


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_leaves_ends_the_origins_work(stage, how):
    """The origin's connection is given up when nobody waits for its answer: at once after a reset; after a mere end of
    the client's own side, which may be half of a close, when the answer cannot be delivered."""
    client = stage.client()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    connection = stage.origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nabc")
    client.head()
    getattr(client, how)()
    if how == "close":
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1000):
                connection.send(b"x" * 65536)
    else:
        assert connection.is_closed()
