# SPDX-License-Identifier: BSD-2-Clause
"""Origins made of bare sockets.

Origin         is played by the test itself, step by step: take() a connection on which a request came, read, send.
AnsweringOrigin  answers by itself in threads, and keeps what it was sent."""

import base64
import hashlib
import contextlib
import os
import select
import selectors
import socket
import threading
import time

from lib.message import Closed, Message, Request, Stream
from lib.patience import PATIENCE


def websocket_answer(request):
    """What Sec-WebSocket-Accept has to be."""
    key = request.get("Sec-WebSocket-Key")
    assert len(base64.b64decode(key)) == 16
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


class OriginConnection(Stream):
    """One connection from weir, as the origin sees it."""

    def head(self):
        return Request(*self.lines())

    def request(self):
        """The next request, whole."""
        return self.body(self.head())

    def reply(self, status=200, *fields, body=b"", reason="OK"):
        """An answer with Content-Length."""
        lines = [f"HTTP/1.1 {status} {reason}", *fields, f"Content-Length: {len(body)}"]
        self.send("".join(line + "\r\n" for line in lines).encode("latin-1") + b"\r\n" + body)

    def accept_websocket(self, *fields):
        """Takes the next request for a WebSocket, and says yes (RFC 6455 4.2.2)."""
        request = self.request()
        self.send("".join(line + "\r\n" for line in [
            "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {websocket_answer(request)}", *fields, ""]).encode())
        return request


def listening(address):
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    else:
        sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    sock.listen(128)
    return sock


class Origin:
    """Connections stay open between takes, as weir pools them; `accepted` counts them."""

    def __init__(self, address=("127.0.0.1", 0), tls=None):
        self.listener = listening(address)
        self.address = self.listener.getsockname()
        self.tls = tls
        self.accepted = 0
        self.open = []

    @property
    def port(self):
        return self.address[1]

    @property
    def url(self):
        if isinstance(self.address, str):
            return f"unix:{self.address}"
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def accept(self):
        """The next new connection, whether or not something was sent on it."""
        self.listener.settimeout(PATIENCE)
        sock, _ = self.listener.accept()
        sock.settimeout(PATIENCE)
        self.accepted += 1
        if self.tls:
            sock = self.tls.wrap_socket(sock, server_side=True)
        connection = OriginConnection(sock)
        self.open.append(connection)
        return connection

    def _readable(self, timeout):
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            for connection in self.open:
                selector.register(connection.sock, selectors.EVENT_READ, connection)
            return [key.data for key, _ in selector.select(timeout)]

    def take(self):
        """A connection on which there is something to read: the one of the next request, new or kept."""
        end = time.monotonic() + PATIENCE
        while True:
            self.open = [one for one in self.open if one.sock.fileno() >= 0]
            found = self._readable(max(0, end - time.monotonic()))
            assert found, "no request reached the origin"
            for connection in found:
                if connection is None:
                    self.accept()
                elif self._has_bytes(connection):
                    return connection

    def _has_bytes(self, connection):
        if connection.rest:
            return True
        try:
            connection.fill()
        except Closed:
            connection.close()
            return False
        return True

    def is_quiet(self, seconds=0.15):
        """True when no request and no connection comes for a moment."""
        self.open = [one for one in self.open if one.sock.fileno() >= 0]
        end = time.monotonic() + seconds
        while True:
            found = self._readable(max(0, end - time.monotonic()))
            if not found:
                return True
            if any(one is None or self._has_bytes(one) for one in found):
                return False
            self.open = [one for one in self.open if one.sock.fileno() >= 0]

    def take_all(self):
        """Accepts what waits to be accepted."""
        while select.select([self.listener], [], [], 0)[0]:
            self.accept()

    def close_all(self):
        """Ends the kept connections, and waits until weir ended them too."""
        self.take_all()
        for connection in self.open:
            if connection.sock.fileno() < 0:
                continue
            try:
                connection.half_close()
                connection.to_end()
            except (OSError, Closed):
                pass
            connection.close()
        self.open = []

    def stop(self):
        for connection in self.open:
            connection.close()
        self.listener.close()
        if isinstance(self.address, str) and os.path.exists(self.address):
            os.unlink(self.address)


def plain_answer(request):
    """200 with the request's own head and body as its body."""
    body = request.raw + request.body
    return (f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + (b"" if request.method == "HEAD" else body))


class AnsweringOrigin:
    """answer(request) gives the bytes of the answer; None ends the connection instead."""

    def __init__(self, answer=plain_answer, address=("127.0.0.1", 0), tls=None):
        self.answer = answer
        self.listener = listening(address)
        self.address = self.listener.getsockname()
        self.tls = tls
        self.requests = []
        self.accepted = 0
        self._sockets = set()  # each is closed by its own thread: a number may be another socket's once it is free
        self.lock = threading.Lock()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    port = Origin.port
    url = Origin.url

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.accepted += 1
                self._sockets.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            if self.tls:
                sock.settimeout(PATIENCE)
                with self.lock:
                    self._sockets.remove(sock)
                    sock = self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                    self._sockets.add(sock)
                sock.do_handshake()
            self.converse(OriginConnection(sock, timeout=None))
        except (OSError, ValueError, Closed):
            pass
        finally:
            with self.lock:
                self._sockets.discard(sock)
                sock.close()

    def converse(self, connection):
        """Until the connection ends."""
        while True:
            request = connection.request()
            with self.lock:
                self.requests.append(request)
            answer = self.answer(request)
            if answer is None:
                break
            connection.send(answer)

    def heads(self):
        """Requests seen so far, as the bytes of their heads."""
        with self.lock:
            return [request.raw for request in self.requests]

    def forget(self):
        with self.lock:
            self.requests.clear()

    def stop(self):
        with contextlib.suppress(OSError):  # stopped before
            self.listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self.listener.close()
        with self.lock:
            for sock in self._sockets:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


def request_of(text):
    """A request that was sent back as text (plain_answer)."""
    head = text.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    return Request(head, head[:-4].split(b"\r\n"))


__all__ = ["AnsweringOrigin", "Message", "Origin", "OriginConnection", "plain_answer", "request_of",
           "websocket_answer"]
