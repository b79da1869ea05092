# SPDX-License-Identifier: BSD-2-Clause
"""An HTTP/2 client that sends exactly the frames it is told to, right or wrong; heads are packed by python3-hpack.

Shape: Http2(stream) on a connected socket; what comes is sorted by stream. Windows are opened as content is read,
unless told otherwise."""

import collections
import contextlib
import struct

import pytest

from lib.message import Closed

hpack = pytest.importorskip("hpack", reason="python3-hpack is not installed (./dev setup test)")

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
(DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION) = range(10)
PRIORITY_UPDATE = 16
END_STREAM = ACK = 1
END_HEADERS, PADDED, WITH_PRIORITY = 4, 8, 32
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
 REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM) = range(12)
INITIAL_WINDOW = 4

Frame = collections.namedtuple("Frame", "type flags stream payload")


class Reset(Exception):
    """The stream was reset."""

    def __init__(self, code):
        super().__init__(f"stream reset with {code}")
        self.code = code


class Gone(Exception):
    """A GOAWAY came where something else was due."""

    def __init__(self, last, code):
        super().__init__(f"GOAWAY with {code}, last stream {last}")
        self.last, self.code = last, code


class Answer:
    def __init__(self):
        self.informational, self.fields, self.trailers, self.body = [], None, None, b""

    @property
    def status(self):
        return int(self.fields[":status"])

    def __getitem__(self, name):
        return self.fields[name]


def pack(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class Http2:
    def __init__(self, stream, settings=None, start=True, gives=True):
        self.stream = stream
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.next = 1
        self.gives = gives
        self.queues = collections.defaultdict(collections.deque)
        self.goaway_frame = None
        self.peer = {}
        self.sent = b""
        if start:
            self.start(settings)

    # -- sending ---------------------------------------------------------------------------------------------------

    def start(self, settings=None):
        self.send(PREFACE + self.settings_frame(settings or {}))

    def send(self, *pieces):
        self.stream.send(*pieces)

    def frame(self, kind, flags=0, stream=0, payload=b""):
        self.send(pack(kind, flags, stream, payload))

    @staticmethod
    def settings_frame(settings):
        return pack(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *one) for one in settings.items()))

    def block(self, fields):
        return self.encoder.encode(fields)

    @staticmethod
    def head(*fields, method="GET", path="/", scheme="http", authority="a.test"):
        pseudo = [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]
        return [one for one in pseudo if one[1] is not None] + list(fields)

    def headers(self, fields, stream=None, flags=END_STREAM | END_HEADERS):
        """Sends a head, in as many frames as it takes; the number of its stream."""
        if stream is None:
            stream, self.next = self.next, self.next + 2
        block = self.block(fields)
        pieces = [block[at:at + 16384] for at in range(0, max(len(block), 1), 16384)]
        for n, piece in enumerate(pieces):
            ours = flags if n == 0 else flags & END_HEADERS
            self.frame(CONTINUATION if n else HEADERS, ours if n == len(pieces) - 1 else ours & ~END_HEADERS, stream,
                       piece)
        return stream

    def request(self, *fields, body=None, end=True, **target):
        """A request, with its body or (end=False) the beginning of one."""
        stream = self.headers(self.head(*fields, **target), flags=END_HEADERS | (END_STREAM if end and not body else 0))
        if body:
            self.data(stream, body, end)
        return stream

    def data(self, stream, content=b"", end=False):
        """In frames as large as may be; the caller minds the windows."""
        for at in range(0, max(len(content), 1), 16384):
            part = content[at:at + 16384]
            last = end and at + 16384 >= len(content)
            self.frame(DATA, END_STREAM if last else 0, stream, part)

    def window(self, stream, increment):
        self.frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))

    def reset(self, stream, code=CANCEL):
        self.frame(RST_STREAM, 0, stream, struct.pack(">I", code))

    # -- receiving -------------------------------------------------------------------------------------------------

    def _take(self):
        head = self.stream.exactly(9)
        length = int.from_bytes(head[:3], "big")
        assert length <= 16384, "frame larger than was allowed"
        frame = Frame(head[3], head[4], int.from_bytes(head[5:9], "big"), self.stream.exactly(length))
        if frame.type == HEADERS:  # unpacked in the order in which they come
            while not frame.flags & END_HEADERS:
                more = self.stream.exactly(9)
                assert more[3] == CONTINUATION and more[5:] == head[5:]
                frame = frame._replace(flags=frame.flags | more[4] & END_HEADERS,
                                       payload=frame.payload + self.stream.exactly(int.from_bytes(more[:3], "big")))
            frame = frame._replace(payload=self.decoder.decode(frame.payload))
        return frame

    def _mind(self, frame):
        if frame.type == SETTINGS and not frame.flags & ACK:
            for at in range(0, len(frame.payload), 6):
                name, value = struct.unpack(">HI", frame.payload[at:at + 6])
                self.peer[name] = value
            self.frame(SETTINGS, ACK)
        elif frame.type == PING and not frame.flags & ACK:
            self.frame(PING, ACK, 0, frame.payload)
        elif frame.type == GOAWAY:
            self.goaway_frame = struct.unpack(">II", frame.payload[:8])
        elif frame.type == DATA and frame.payload and self.gives:
            self.window(0, len(frame.payload))
            if not frame.flags & END_STREAM:
                self.window(frame.stream, len(frame.payload))

    def pump(self):
        """Reads one frame, answers it where it calls for that, and keeps it for whoever asks for its stream."""
        frame = self._take()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have been the last
            self._mind(frame)
        self.queues[frame.stream].append(frame)
        return frame

    def next_of(self, stream, *kinds):
        """The stream's next frame of one of the kinds (of any, without)."""
        while True:
            queue = self.queues[stream]
            while queue:
                frame = queue.popleft()
                if not kinds or frame.type in kinds:
                    return frame
            if self.goaway_frame and self.goaway_frame[1] != NO_ERROR and GOAWAY not in kinds:
                raise Gone(*self.goaway_frame)
            self.pump()

    def response(self, stream):
        """The whole answer; Reset when the stream was reset."""
        answer = Answer()
        while True:
            frame = self.next_of(stream, HEADERS, DATA, RST_STREAM)
            if frame.type == RST_STREAM:
                raise Reset(int.from_bytes(frame.payload, "big"))
            if frame.type == DATA:
                assert answer.fields, "content before a head"
                answer.body += frame.payload
            elif answer.fields:
                answer.trailers = dict(frame.payload)
            else:
                fields = dict(frame.payload)
                assert all(name == name.lower() for name in fields)
                if fields[":status"].startswith("1"):
                    answer.informational.append(fields)
                    continue
                answer.fields, answer.list = fields, frame.payload
            if frame.flags & END_STREAM:
                return answer

    def get(self, path="/", *fields, **target):
        return self.response(self.request(*fields, path=path, **target))

    def code_of(self, stream):
        """Waits for a RST_STREAM; its code."""
        return int.from_bytes(self.next_of(stream, RST_STREAM).payload, "big")

    def goaway(self):
        """Waits for the GOAWAY that ends the connection (with an error, or the end behind it): its code."""
        try:
            while not (self.goaway_frame and self.goaway_frame[1] != NO_ERROR):
                self.pump()
        except Closed:
            assert self.goaway_frame, "closed without a GOAWAY"
        return self.goaway_frame[1]

    def ends(self):
        """Waits until the connection is closed; the frames that came before."""
        frames = []
        try:
            while True:
                frames.append(self.pump())
        except (Closed, BrokenPipeError, ConnectionResetError):
            return frames

    def is_alive(self):
        """A PING is answered."""
        self.frame(PING, 0, 0, b"aliveor?")
        while self.next_of(0, PING).payload != b"aliveor?":
            pass
        return True


def connect(weir, **how):
    """A client by prior knowledge."""
    settings = {name: how.pop(name) for name in ("settings", "start", "gives") if name in how}
    return Http2(weir.connect(**how), **settings)


def connect_tls(weir, certificates, name="a.test", **how):
    client = weir.connect_tls(certificates.client(alpn=["h2"]), name=name)
    assert client.sock.selected_alpn_protocol() == "h2"
    return Http2(client, **how)


