# SPDX-License-Identifier: BSD-2-Clause
"""A list server for tests: GET /v1/decisions/stream, an HTTP server of its own on a thread.

As the real one does, it remembers for its key when it was asked last, and tells the difference: what was added since,
and what was deleted or has ended since; startup=true asks for all. Empty lists are null."""

import contextlib
import http.server
import json
import socket
import threading
import time
import urllib.parse


def go_duration(seconds):
    """As Go prints it."""
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    hours, minutes = int(seconds // 3600), int(seconds % 3600 // 60)
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if hours or minutes else ""
    return f"{sign}{text}{seconds % 60:.9f}".rstrip("0").rstrip(".") + "s"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        lapi = self.server.lapi
        status, content = lapi.answer(self.path, self.headers)
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(content)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    taken = ()

    def process_request(self, request, client_address):
        self.taken = [*self.taken, request]
        super().process_request(request, client_address)

    def cut(self):
        """Ends what its clients keep open."""
        for one in self.taken:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_):
        """A client that goes in the middle is nobody's fault."""


class Lapi:
    """add(), delete() change its decisions. `instead`: (status, bytes) that is answered in place of them."""

    def __init__(self, key="sesame", prefix=""):
        self.key, self.path = key, f"{prefix}/v1/decisions/stream"
        self.lock = threading.Lock()
        self.decisions, self.number, self.last_pull = [], 0, 0.0
        self.asked = []       # (startup, seen key) of each request
        self.instead = None
        self.port = 0
        self.server = None
        self.start()

    def start(self):
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.lapi = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server.cut()
            self.server = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def add(self, value, seconds=3600, scope=None, kind="ban", origin="cscli", scenario="test/by-hand"):
        with self.lock:
            self.number += 1
            now = time.time()
            self.decisions.append({"id": self.number, "value": value, "until": now + seconds, "made": now,
                                   "scope": scope or ("Range" if "/" in value else "Ip"), "type": kind,
                                   "origin": origin, "scenario": scenario})
            return self.number

    def delete(self, value):
        with self.lock:
            for one in self.decisions:
                if one["value"] == value:
                    one["until"] = min(one["until"], time.time())

    def wholes(self):
        return [startup for startup, _ in self.asked].count("true")

    @staticmethod
    def _shown(one, now):
        return {"duration": go_duration(one["until"] - now), "uuid": f"00000000-0000-4000-8000-{one['id']:012}",
                **{name: one[name] for name in ("id", "origin", "scenario", "scope", "type", "value")}}

    def answer(self, path, headers):
        asked = urllib.parse.urlsplit(path)
        startup = dict(urllib.parse.parse_qsl(asked.query)).get("startup")
        with self.lock:
            self.asked.append((startup, headers.get("X-Api-Key")))
            if self.instead:
                return self.instead
            if asked.path != self.path:
                return 404, b"{}"
            if headers.get("X-Api-Key") != self.key:
                return 403, b'{"message":"access forbidden"}'
            now, since = time.time(), 0.0 if startup == "true" else self.last_pull
            self.last_pull = now
            new = [self._shown(one, now) for one in self.decisions if one["made"] > since and one["until"] > now]
            gone = [self._shown(one, now) for one in self.decisions if since < one["until"] <= now]
            return 200, json.dumps({"deleted": gone or None, "new": new or None}).encode()
