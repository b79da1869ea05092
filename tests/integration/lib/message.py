# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/1.1 messages read strictly (RFC 9112): what is not in normal form is a failure, nothing to be lenient with.

Shape: Stream reads bytes of a socket; Request and Response are heads with their fields in order; body() frames them."""

import contextlib
import re
import socket

from lib.patience import PATIENCE

FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?([^\x00-\x08\x0a-\x1f\x7f]*)\Z")
STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-5][0-9][0-9]) ([^\x00-\x08\x0a-\x1f\x7f]*)\Z")
REQUEST_LINE = re.compile(rb"([A-Za-z0-9!#$%&'*+\-.^_`|~]+) ([^\x00-\x20\x7f]+) (HTTP/1\.[01])\Z")


class Closed(Exception):
    """The peer ended the connection where more was due; data is what had come."""

    def __init__(self, data=b"", reset=False):
        super().__init__(f"connection {'reset' if reset else 'closed'} after {data[:200]!r}")
        self.data = data
        self.reset = reset


class Malformed(AssertionError):
    """Bytes that are no HTTP/1.1 in normal form."""


class Stream:
    """Bytes of one connected socket."""

    def __init__(self, sock, timeout=PATIENCE):
        self.sock = sock
        self.rest = b""
        sock.settimeout(timeout)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, *pieces):
        for piece in pieces:
            self.sock.sendall(piece)

    def fill(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            raise Closed(self.rest, reset=True) from None
        if not data:
            raise Closed(self.rest)
        self.rest += data

    def until(self, mark):
        """Everything up to and with mark."""
        while mark not in self.rest:
            self.fill()
        end = self.rest.index(mark) + len(mark)
        taken, self.rest = self.rest[:end], self.rest[end:]
        return taken

    def exactly(self, count):
        pieces = [self.rest[:count]]
        self.rest = self.rest[count:]
        have = len(pieces[0])
        while have < count:
            self.fill()
            pieces.append(self.rest[: count - have])
            self.rest = self.rest[count - have:]
            have += len(pieces[-1])
        return b"".join(pieces)

    def to_end(self):
        """Everything up to the end of the connection, which must be an orderly one."""
        pieces = []
        while True:
            try:
                pieces.append(self.rest)
                self.rest = b""
                self.fill()
            except Closed as end:
                if end.reset:
                    raise Closed(b"".join(pieces), reset=True) from None
                return b"".join(pieces)

    def is_closed(self):
        """Waits for the peer's end; true when nothing came before it."""
        try:
            self.fill()
        except Closed:
            return self.rest == b""
        except (TimeoutError, socket.timeout):
            return False
        raise AssertionError(f"bytes where the connection should end: {self.rest[:200]!r}")

    def is_silent(self, seconds=0.15):
        """True when nothing comes for a moment: to show that something is held back, never to wait for something."""
        if self.rest:
            return False
        before = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self.fill()
        except (TimeoutError, socket.timeout):
            return True
        finally:
            self.sock.settimeout(before)
        return False

    def half_close(self):
        """Ends this side; nothing happens when the peer has reset the connection already."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def reset(self):
        """Ends the connection with a RST, if it is still there."""
        if self.sock.fileno() < 0:
            return
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.sock.close()

    # -- framing ---------------------------------------------------------------------------------------------------

    def lines(self):
        """The lines of a head, without their ends."""
        head = self.until(b"\r\n\r\n")
        lines = head[:-4].split(b"\r\n")
        if any(b"\n" in line or b"\r" in line for line in lines):
            raise Malformed(f"bare line end in {head!r}")
        return head, lines

    def chunk(self):
        """Content of the next chunk; empty at the last one, behind which trailers follow."""
        line = self.until(b"\r\n")[:-2]
        if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", line):
            raise Malformed(f"chunk size {line!r}")
        size = int(line, 16)
        if size == 0:
            return b""
        data = self.exactly(size)
        if self.exactly(2) != b"\r\n":
            raise Malformed("chunk longer than its size")
        return data

    def trailers(self):
        found = []
        while True:
            line = self.until(b"\r\n")[:-2]
            if not line:
                return found
            found.append(read_field(line))

    def body(self, message):
        """The rest of a message whose head has been read."""
        if message.framing == "chunked":
            pieces = []
            while True:
                piece = self.chunk()
                if not piece:
                    break
                pieces.append(piece)
            message.chunks = pieces
            message.body = b"".join(pieces)
            message.trailers = self.trailers()
        elif message.framing == "length":
            message.body = self.exactly(message.length)
        elif message.framing == "close":
            message.body = self.to_end()
        return message


def read_field(line):
    match = FIELD.match(line)
    if not match or match[2] != match[2].strip(b" \t"):
        raise Malformed(f"field {line!r}")
    return match[1].decode("ascii"), match[2].decode("latin-1")


class Message:
    """A head: fields in order, names as sent; body and trailers once they have been read."""

    def __init__(self, raw, lines):
        self.raw = raw
        self.fields = [read_field(line) for line in lines[1:]]
        self.body = b""
        self.chunks = []
        self.trailers = []
        self.length = None
        self.framing = "none"

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name, default=None):
        """The value of a field that may stand once at most."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands {len(values)} times in {self.fields}"
        return values[0] if values else default

    def has(self, name):
        return bool(self.all(name))

    def names(self):
        return [name.lower() for name, _ in self.fields]

    def read_framing(self, otherwise):
        coding = self.get("Transfer-Encoding")
        length = self.get("Content-Length")
        if coding is not None:
            if length is not None or coding != "chunked":
                raise Malformed(f"framing {self.fields}")
            self.framing = "chunked"
        elif length is not None:
            if not re.fullmatch("[0-9]+", length):
                raise Malformed(f"Content-Length {length!r}")
            self.framing, self.length = "length", int(length)
        else:
            self.framing = otherwise


class Request(Message):
    """What an origin sees."""

    def __init__(self, raw, lines):
        super().__init__(raw, lines)
        match = REQUEST_LINE.match(lines[0])
        if not match:
            raise Malformed(f"request line {lines[0]!r}")
        self.method, self.target, self.version = (part.decode("latin-1") for part in match.groups())
        self.read_framing("none")


class Response(Message):
    """What a client sees. `to`: the method of its request, as answers to HEAD have no body."""

    def __init__(self, raw, lines, to="GET"):
        super().__init__(raw, lines)
        match = STATUS_LINE.match(lines[0])
        if not match:
            raise Malformed(f"status line {lines[0]!r}")
        self.version, self.status, self.reason = match[1].decode(), int(match[2]), match[3].decode("latin-1")
        if to != "HEAD" and self.status >= 200 and self.status not in (204, 304):
            self.read_framing("close")

    @property
    def text(self):
        return self.body.decode()
