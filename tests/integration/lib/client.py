# SPDX-License-Identifier: BSD-2-Clause
"""A client that sends exactly the bytes it is told to and reads answers strictly."""

import socket

from lib.message import Response, Stream
from lib.patience import PATIENCE


class Client(Stream):
    def __init__(self, address, tls=None, server_name=None, timeout=PATIENCE, receive_buffer=None):
        family = socket.AF_UNIX if isinstance(address, str) else \
            socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            sock.connect(address)
            if tls:
                sock = tls.wrap_socket(sock, server_hostname=server_name)
        except BaseException:
            sock.close()
            raise
        super().__init__(sock, timeout)

    def request(self, method="GET", target="/", *fields, host="a.test", body=None, version="HTTP/1.1"):
        """Sends one request; fields are "Name: value" lines, Content-Length is added for a body."""
        lines = [f"{method} {target} {version}"]
        if host is not None:
            lines.append(f"Host: {host}")
        lines.extend(fields)
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("".join(line + "\r\n" for line in lines).encode("latin-1") + b"\r\n" + (body or b""))
        return self

    def head(self, to="GET"):
        """The head of the next answer, interim ones too."""
        return Response(*self.lines(), to=to)

    def response(self, to="GET"):
        """The next answer, whole."""
        return self.body(self.head(to))

    def get(self, target="/", *fields, host="a.test"):
        return self.request("GET", target, *fields, host=host).response()
