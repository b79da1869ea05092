#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Mixed traffic for as long as one likes, while memory and descriptors are watched.

    soak.py [MINUTES]      $WEIR_BIN, $WEIR_MODULES: what is tested; exit status 1 on failures or growth

Honest clients (plain and TLS, gzip, uploads, WebSockets, new and kept connections) check every answer. Beside them
clients that leave at any moment, reloads, and an origin that dies and comes back: only that one's 502s and 504s are
taken. Growth is the last quarter's median against the second quarter's: the first one is for warming up."""

import gzip
import hashlib
import json
import logging
import os
import pathlib
import random
import re
import signal
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from lib.certificates import Certificates  # noqa: E402
from lib.client import Client  # noqa: E402
from lib.daemon import Weir  # noqa: E402
from lib.message import Closed  # noqa: E402
from lib.origin import AnsweringOrigin  # noqa: E402
from lib.websocket import EchoServer  # noqa: E402

SAMPLE_S, RELOAD_S, ALIVE_S, DEAD_S = 5.0, 3.0, 10.0, 1.5
MEMORY_SLACK, MEMORY_GROWTH = 4 << 20, 1.10
TEXT = b"".join(b"<p>paragraph %d of a page that is worth compressing</p>\n" % i for i in range(1500))


def answer(request):
    """What the origins say: by path."""
    if request.target.startswith("/upload"):
        body, kind = hashlib.sha256(request.body).hexdigest().encode(), b"text/plain"
    elif request.target.endswith("/text"):
        body, kind = TEXT, b"text/html"
    else:
        body, kind = b"small", b"text/plain"
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(body), body)


class Mortal:
    """An origin at one address that dies with all its connections, and comes back."""

    def __init__(self):
        self.origin = AnsweringOrigin(answer)
        self.address = self.origin.address
        self.url = self.origin.url

    def forget(self):
        self.origin.forget()

    def die_for(self, seconds, over):
        self.origin.stop()
        over.wait(seconds)
        self.origin = AnsweringOrigin(answer, address=self.address)

    def stop(self):
        self.origin.stop()


class Soak:
    def __init__(self, minutes):
        self.end = time.monotonic() + minutes * 60
        self.over = threading.Event()
        self.counts, self.failures, self.lock = {}, [], threading.Lock()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-soak-"))
        (self.folder / "certificates").mkdir()
        self.certificates = Certificates(self.folder / "certificates")
        self.tls = self.certificates.client()
        self.steady, self.mortal, self.sockets = AnsweringOrigin(answer), Mortal(), EchoServer()
        self.weir = Weir(self.text(0), modules=["tls", "gzip", "access-log", "headers"])
        self.samples = []

    def text(self, number):
        return f"""workers 2; gzip on; access_log access.log; response_header set X-Number {number};
            upstream steady {{ server 127.0.0.1:{self.steady.port}; }}
            site a.test {{ tls_certificate {self.certificates['a']}; https_redirect off;
                route /mortal/ {{ proxy {self.mortal.url}; }}
                route /socket/ {{ proxy {self.sockets.url}; }}
                route / {{ proxy steady; }} }}"""

    # -- counting --------------------------------------------------------------------------------------------------

    def count(self, name):
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + 1

    def repeat(self, name, work):
        chance = random.Random(name)
        while not self.over.is_set():
            try:
                work(chance)
            except Exception as failure:  # each is a finding
                with self.lock:
                    self.failures.append(f"{time.strftime('%H:%M:%S')} {name}: {failure!r}")
                self.count("failed")
            self.over.wait(0.005)  # it is not a benchmark

    # -- clients ---------------------------------------------------------------------------------------------------

    def connect(self, secure):
        if secure:
            return Client(("127.0.0.1", self.weir.https_port), tls=self.tls, server_name="a.test")
        return Client(("127.0.0.1", self.weir.http_port))

    def session(self, chance, secure, requests):
        """One connection, some requests, each answer checked."""
        client = self.connect(secure)
        try:
            for _ in range(requests):
                kind = chance.choice(["small", "text", "gzip", "upload", "chunked"])
                response = getattr(self, f"ask_{kind}")(client, chance)
                assert response.status == 200, f"{kind}: status {response.status}"
                self.count(f"{'https' if secure else 'http'} {kind}")
                if response.get("Connection") == "close":
                    return
        finally:
            client.close()

    def ask_small(self, client, _):
        response = client.get("/small")
        assert response.body == b"small"
        return response

    def ask_text(self, client, _):
        response = client.get("/text")
        assert response.body == TEXT
        return response

    def ask_gzip(self, client, _):
        response = client.get("/text", "Accept-Encoding: gzip")
        assert response.get("Content-Encoding") == "gzip" and gzip.decompress(response.body) == TEXT
        return response

    def ask_upload(self, client, chance):
        body = chance.randbytes(chance.randrange(1, 300_000))
        response = client.request("PUT", "/upload", body=body).response()
        assert response.body.decode() == hashlib.sha256(body).hexdigest()
        return response

    def ask_chunked(self, client, chance):
        pieces = [chance.randbytes(chance.randrange(1, 20_000)) for _ in range(chance.randrange(1, 8))]
        client.request("PUT", "/upload", "Transfer-Encoding: chunked")
        client.send(*(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n")
        response = client.response()
        assert response.body.decode() == hashlib.sha256(b"".join(pieces)).hexdigest()
        return response

    def socket(self, chance):
        """A WebSocket (RFC 6455): masked binary frames of less than 126 bytes, each echoed, then a close."""
        client = self.connect(chance.random() < 0.5)
        try:
            client.request("GET", "/socket/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
            head = client.head()
            assert head.status == 101, f"status {head.status}"
            for _ in range(chance.randrange(1, 40)):
                message = chance.randbytes(chance.randrange(1, 125))
                client.send(bytes([0x82, 0x80 | len(message), 0, 0, 0, 0]) + message)
                echo = client.exactly(2 + len(message))
                assert echo == bytes([0x82, len(message)]) + message, f"{message!r} came back as {echo!r}"
                self.count("websocket messages")
            client.send(bytes([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]))  # 1000: normal
            client.exactly(4)
        finally:
            client.close()

    def of_the_mortal(self, chance):
        """Its death may be seen as 502 or 504, or as an answer broken off; weir goes on with the next request."""
        client = self.connect(False)
        try:
            for _ in range(chance.randrange(1, 10)):
                response = client.get("/mortal/text")
                assert response.status in (200, 502, 503, 504), f"status {response.status}"
                assert response.status != 200 or response.body == TEXT
                self.count("mortal origin " + ("answered" if response.status == 200 else "was dead"))
                if response.get("Connection") == "close":
                    return
        except Closed:
            self.count("mortal origin broke off")
        finally:
            client.close()

    def leave(self, chance):
        """Goes away in the middle of anything."""
        client = self.connect(chance.random() < 0.3)
        sent = (b"PUT /upload HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000
                + b"GET /text HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n")
        try:
            client.send(sent[:chance.randrange(len(sent) + 1)])
            if chance.random() < 0.5:
                client.sock.settimeout(0.02)
                client.sock.recv(chance.randrange(1, 3000))
        except OSError:
            pass
        finally:
            (client.reset if chance.random() < 0.5 else client.close)()
        self.count("clients that left")
        self.over.wait(0.01)

    # -- what happens meanwhile ------------------------------------------------------------------------------------

    def reload(self, chance):
        if self.over.wait(RELOAD_S):
            return
        self.weir.write(self.text(chance.randrange(1000)))
        done = self.weir.cli("reload")
        assert done.returncode == 0, done.stderr
        self.count("reloads")
        self.steady.forget()
        self.mortal.forget()
        self.sockets.handshakes.clear()

    def kill_the_mortal(self, _):
        if not self.over.wait(ALIVE_S):
            self.mortal.die_for(DEAD_S, self.over)
            self.count("deaths of an origin")

    # -- watching --------------------------------------------------------------------------------------------------

    def figures(self, pid):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return {"rss": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) << 10, "fds": len(os.listdir(f"/proc/{pid}/fd"))}

    def watch(self, server):
        began = time.monotonic()
        while time.monotonic() < self.end:
            self.over.wait(min(SAMPLE_S, max(0.0, self.end - time.monotonic())))
            now, supervisor = self.figures(server), self.figures(self.weir.process.pid)
            self.samples.append({"s": round(time.monotonic() - began), **now, "supervisor_rss": supervisor["rss"],
                                 "supervisor_fds": supervisor["fds"]})
            print("{s:6d} s  server {rss:10d} bytes {fds:4d} fds  supervisor {supervisor_rss:10d} bytes "
                  "{supervisor_fds:3d} fds".format(**self.samples[-1]), flush=True)

    def growth(self):
        """What grew from the second quarter to the last."""
        quarter = len(self.samples) // 4
        found = []
        if not quarter:
            return found
        for name in ("rss", "supervisor_rss"):
            early = statistics.median(sample[name] for sample in self.samples[quarter:2 * quarter])
            late = statistics.median(sample[name] for sample in self.samples[-quarter:])
            if late > early * MEMORY_GROWTH + MEMORY_SLACK:
                found.append(f"{name} grew from {early:.0f} to {late:.0f} bytes")
        return found

    def rest(self, server):
        """All clients gone: descriptors are those of the first moment, but for kept upstream connections."""
        until = time.monotonic() + 30
        while time.monotonic() < until and self.weir.status()["connections"]:
            time.sleep(0.2)
        return self.figures(server)

    def run(self):
        self.weir.start()
        server = self.weir.server()
        at_first = self.figures(server)
        jobs = {**{f"http {i}": lambda c: self.session(c, False, c.randrange(1, 30)) for i in range(3)},
                **{f"https {i}": lambda c: self.session(c, True, c.randrange(1, 30)) for i in range(3)},
                "http once": lambda c: self.session(c, False, 1), "https once": lambda c: self.session(c, True, 1),
                "websocket": self.socket, "mortal": self.of_the_mortal, "leaver": self.leave, "leaver 2": self.leave,
                "reload": self.reload, "killer": self.kill_the_mortal}
        threads = [threading.Thread(target=self.repeat, args=job) for job in jobs.items()]
        for thread in threads:
            thread.start()
        try:
            self.watch(server)
        finally:
            self.over.set()
            for thread in threads:
                thread.join(30)
        faults = self.growth()
        if self.weir.servers() != [server]:
            faults.append("the server did not live through it")
        else:
            at_last = self.rest(server)
            kept = 3 * 2 * 32  # upstream connections that may be kept: origins, workers, each
            if at_last["fds"] > at_first["fds"] + kept:
                faults.append(f"descriptors at rest: {at_first['fds']} at first, {at_last['fds']} at last")
            print(f"at rest: {at_first} at first, {at_last} at last")
        self.summary(faults)
        self.weir.stop()
        return not faults and not self.failures

    def summary(self, faults):
        for name in sorted(self.counts):
            print(f"{self.counts[name]:10d}  {name}")
        for failure in self.failures[:20]:
            print("failure:", failure)
        for fault in faults:
            print("growth:", fault)
        (self.folder / "samples.json").write_text(json.dumps(self.samples))
        print(f"samples: {self.folder}/samples.json")
        print(f"{len(self.failures)} failures, {len(faults)} other findings")

    def stop(self):
        self.weir.abandon()
        for one in (self.steady, self.mortal, self.sockets):
            one.stop()


def main():
    logging.getLogger("websockets").addHandler(logging.NullHandler())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    soak = Soak(minutes)
    try:
        ok = soak.run()
    finally:
        soak.stop()
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
