# SPDX-License-Identifier: BSD-2-Clause
"""Origins that speak HTTP/2, in exactly the frames that the test says.

Http2Origin           is played by the test itself: accept() a connection, request() on it, respond().
AnsweringHttp2Origin  answers by itself, a thread a connection; it minds windows, and keeps what it was sent."""

import collections
import contextlib
import struct

from lib.http2 import (ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, NO_ERROR, PREFACE, RST_STREAM, SETTINGS,
                       WINDOW_UPDATE, Http2, Reset)
from lib.message import Closed
from lib.origin import AnsweringOrigin, Origin
from lib.patience import PATIENCE

MAX_STREAMS, ENABLE_CONNECT = 3, 8

Asked = collections.namedtuple("Asked", "stream fields list body trailers")


class ServingHttp2(Http2):
    """The origin's end of one connection from weir."""

    def __init__(self, stream, settings=None, start=True, **how):
        super().__init__(stream, start=False, **how)
        self.begun = set()
        assert stream.exactly(len(PREFACE)) == PREFACE
        if start:
            self.send(self.settings_frame(settings or {}))

    def head_of(self, stream=None):
        """The head of the next request (or of that stream's): its number, its fields; and whether it ends there."""
        while True:
            for number in sorted(self.queues):
                queue = self.queues[number]
                if number and number not in self.begun and (stream in (None, number)) and queue:
                    frame = queue.popleft()
                    assert frame.type == HEADERS, frame
                    self.begun.add(number)
                    return number, frame.payload, bool(frame.flags & END_STREAM)
            self.pump()

    def asked(self, stream=None):
        """The next request, whole."""
        stream, fields, over = self.head_of(stream)
        body, trailers = b"", None
        while not over:
            frame = self.next_of(stream, HEADERS, DATA, RST_STREAM)
            if frame.type == RST_STREAM:
                raise Reset(int.from_bytes(frame.payload, "big"))
            if frame.type == DATA:
                body += frame.payload
            else:
                trailers = dict(frame.payload)
            over = frame.flags & END_STREAM
        return Asked(stream, dict(fields), fields, body, trailers)

    def head(self, stream, status=200, *fields, end=False):
        self.headers([(":status", str(status)), *fields], stream, END_HEADERS | (END_STREAM if end else 0))

    def respond(self, stream, status=200, *fields, body=b"", trailers=None):
        self.head(stream, status, *fields, end=not body and trailers is None)
        if body:
            self.data(stream, body, end=trailers is None)
        if trailers is not None:
            self.headers(trailers, stream)

    def say_goaway(self, last=0, code=NO_ERROR):
        self.frame(GOAWAY, 0, 0, struct.pack(">II", last, code))

    def code_of(self, stream):
        return int.from_bytes(self.next_of(stream, RST_STREAM).payload, "big")


class Http2Origin(Origin):
    def serve(self, settings=None, **how):
        """The next connection, its preface read."""
        return ServingHttp2(self.accept(), settings, **how)


class _Connection(ServingHttp2):
    def __init__(self, owner, stream):
        self.owner, self.windows, self.open = owner, collections.defaultdict(lambda: self.initial), {}
        self.initial = 65535
        self.connection_window = 65535
        self.waiting = collections.OrderedDict()
        super().__init__(stream, owner.settings)

    def run(self):
        while True:
            frame = self._take()
            self._mind(frame)
            if frame.type == SETTINGS and not frame.flags & ACK:
                self.initial = self.peer.get(4, 65535)
            elif frame.type == WINDOW_UPDATE:
                increment = struct.unpack(">I", frame.payload)[0]
                if frame.stream:
                    self.windows[frame.stream] += increment
                else:
                    self.connection_window += increment
                self.pour()
            elif frame.type == HEADERS and frame.stream not in self.open:
                self.open[frame.stream] = [frame.payload, b"", None]
            elif frame.type == HEADERS and frame.stream in self.open:
                self.open[frame.stream][2] = dict(frame.payload)
            elif frame.type == DATA and frame.stream in self.open:
                self.open[frame.stream][1] += frame.payload
            elif frame.type == RST_STREAM:
                self.open.pop(frame.stream, None)
                self.waiting.pop(frame.stream, None)
                self.owner.resets += 1
            if frame.type in (HEADERS, DATA) and frame.flags & END_STREAM and frame.stream in self.open:
                fields, body, trailers = self.open.pop(frame.stream)
                self.answer(Asked(frame.stream, dict(fields), fields, body, trailers))

    def answer(self, asked):
        with self.owner.lock:
            self.owner.requests.append(asked)
        said = self.owner.answer(asked)
        if said is None:
            raise Closed()
        status, fields, body, trailers = (*said, None)[:4]
        self.head(asked.stream, status, *fields, end=not body and trailers is None)
        if body or trailers is not None:
            self.waiting[asked.stream] = [body, trailers]
            self.pour()

    def pour(self):
        for stream in list(self.waiting):
            body, trailers = self.waiting[stream]
            while body and self.windows[stream] > 0 and self.connection_window > 0:
                part = body[:min(16384, self.windows[stream], self.connection_window)]
                body = body[len(part):]
                self.windows[stream] -= len(part)
                self.connection_window -= len(part)
                self.data(stream, part, end=not body and trailers is None)
            self.waiting[stream][0] = body
            if not body:
                if trailers is not None:
                    self.headers(trailers, stream)
                del self.waiting[stream]


def say_back(asked):
    """200 with what was asked as text."""
    lines = [f"{name}: {value}" for name, value in asked.list]
    return 200, [("content-type", "text/plain")], "\n".join(lines).encode() + b"\n\n" + asked.body


class AnsweringHttp2Origin(AnsweringOrigin):
    """answer(asked) gives status, fields, body and maybe trailers; None ends the connection."""

    def __init__(self, answer=say_back, address=("127.0.0.1", 0), tls=None, settings=None):
        self.settings, self.resets = settings or {}, 0
        super().__init__(answer, address, tls)

    def converse(self, connection):
        connection.sock.settimeout(PATIENCE * 8)
        with contextlib.suppress(AssertionError):
            _Connection(self, connection).run()
