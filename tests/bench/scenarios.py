# SPDX-License-Identifier: BSD-2-Clause
"""What is asked of each proxy, what is looked at, and what weir wants to reach."""
import re
import socket
import time
import zlib

import clients
import figures
import origin
from proxies import Setup


class Scenario:
    """Rounds of measure(), which gives {figure: number}; `errors` are added up, of all others the median counts.

    setups: {variant: Setup}, the second one compared with the first. targets: {figure: (what, limit)}: "nginx" and
    "best", times nginx's figure or the best peer's; "most", the figure itself; "extra", at most so much more than in
    the first variant."""
    unit = ""
    rounds = None         # fewer than asked for
    main = "us"           # the figure that proxies are compared by
    names = None          # of proxies; None: all

    def __init__(self, name, about, setups=None, targets=None, **more):
        self.name, self.about = name, about
        self.setups = setups or {"": Setup()}
        self.targets = targets or {}
        vars(self).update(more)

    def fits(self, proxy):
        return (self.names is None or proxy.name in self.names) and all(proxy.fits(s) for s in self.setups.values())

    def warm(self, proxy, requests):
        pass

    def measure(self, proxy, requests):
        raise NotImplementedError


class Cost(Scenario):
    """CPU time of the proxy for each request, or each unit of which a request has several."""
    unit = "request"
    path = "small"
    scheme = "http"
    clients = 16
    portion = 1.0         # of the requests asked for
    units = 1
    fields = ()

    def load(self, proxy, requests):
        """(answered as they should be, others)"""
        port = proxy.https if self.scheme == "https" else proxy.http
        url = f"{self.scheme}://127.0.0.1:{port}/{self.path}"
        return clients.keep_alive(url, requests, self.clients, proxy.host, self.fields)

    def count(self, proxy, requests):
        return max(4, int(requests * self.portion * proxy.share))

    def warm(self, proxy, requests):
        self.load(proxy, max(4, self.count(proxy, requests) // 10))

    def measure(self, proxy, requests):
        figures.begin_peak(proxy.pid)
        before = figures.cpu_ns(proxy.pid)
        done, failed = self.load(proxy, self.count(proxy, requests))
        spent = figures.cpu_ns(proxy.pid) - before
        return {"us": spent / 1000 / max(1, done * self.units), "peak MB": figures.peak_bytes(proxy.pid) / 1e6,
                "errors": failed}


class ManyStreams(Cost):
    """HTTP/2 over TLS."""
    scheme = "https"
    streams = 32

    def load(self, proxy, requests):
        url = f"https://127.0.0.1:{proxy.https}/{self.path}"
        return clients.many_streams(url, requests, self.clients, self.streams)


class ConnectionEach(Cost):
    def load(self, proxy, requests):
        port = proxy.https if self.scheme == "https" else proxy.http
        return clients.connection_each(f"{self.scheme}://127.0.0.1:{port}/{self.path}", requests, self.clients)


class Resumed(Cost):
    def load(self, proxy, requests):
        return clients.resumed_handshakes(proxy.https)


class Gzip(Cost):
    path = "text"
    portion = 0.05
    fields = ("Accept-Encoding: gzip",)

    def measure(self, proxy, requests):
        return super().measure(proxy, requests) | {"KB out": self.size(proxy) / 1000}

    def size(self, proxy):
        """Bytes of encoded content, which must be the text's."""
        with socket.create_connection(("127.0.0.1", proxy.http), 10) as s:
            s.sendall(b"GET /text HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
            head, _, content = clients.read_all(s).partition(b"\r\n\r\n")
        if re.search(rb"(?i)transfer-encoding: chunked", head):
            whole = b""
            while content:
                size, _, content = content.partition(b"\r\n")
                whole += content[:int(size, 16)]
                content = content[int(size, 16) + 2:]
            content = whole
        if zlib.decompress(content, 31) != origin.prose(origin.TEXT):
            raise RuntimeError(f"{proxy.name}: the encoded text is another one")
        return len(content)


class Latency(Scenario):
    """Answer times at a fixed rate that every proxy can hold."""
    unit = "request"
    rate = 6000
    rounds = 3

    def measure(self, proxy, requests):
        seconds = 3
        before = figures.cpu_ns(proxy.pid)
        done, failed, times = clients.fixed_rate(f"http://127.0.0.1:{proxy.http}/small", self.rate, 30, seconds,
                                                 proxy.folder / "times")
        spent = figures.cpu_ns(proxy.pid) - before
        return {"us": spent / 1000 / max(1, done), "p50 us": times[len(times) // 2],
                "p99 us": times[len(times) * 99 // 100], "errors": failed}


class Start(Scenario):
    """From the start of the program to its first answer, and what it holds then."""
    main = "ms"
    fresh = True          # a proxy of its own for each round

    def measure(self, proxy, requests):
        began = time.monotonic()
        proxy.spawn()
        while True:
            if proxy.process.poll() is not None or time.monotonic() > began + 60:
                raise RuntimeError(f"{proxy.name} does not start")
            try:
                with socket.create_connection(("127.0.0.1", proxy.http), 10) as s:
                    s.sendall(f"GET /small HTTP/1.1\r\nHost: {proxy.host}\r\nConnection: close\r\n\r\n".encode())
                    if clients.read_all(s).startswith(b"HTTP/1.1 200"):
                        break
            except OSError:
                pass
            time.sleep(0.001)
        taken = time.monotonic() - began
        time.sleep(0.2)   # what starting leaves behind is given back
        return {"ms": taken * 1000, "MB": figures.proportional_bytes(proxy.pid) / 1e6}


class Idle(Scenario):
    """Private resident memory for each kept connection that had its answer, beyond the first tenth of them."""
    main = "bytes"
    rounds = 1
    count = 9000
    tls = False

    def measure(self, proxy, requests):
        port, few = proxy.https if self.tls else proxy.http, self.count // 10
        held = clients.idle_connections(port, few, self.tls)
        try:
            before = figures.resident_bytes(proxy.pid)
            held += clients.idle_connections(port, self.count - few, self.tls)
            return {"bytes": (figures.resident_bytes(proxy.pid) - before) / (self.count - few)}
        finally:
            for one in held:
                one.close()


class Reload(Scenario):
    """Three reloads under load, one long download across them all."""
    main = "failed"
    rounds = 1

    def measure(self, proxy, requests):
        before = figures.proportional_bytes(proxy.pid)
        download = socket.create_connection(("127.0.0.1", proxy.http), 10)
        download.settimeout(30)
        download.sendall(b"GET /100m HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        got = len(download.recv(65536))
        steady = clients.Steady(proxy.http)
        each = max(500, requests // 10)
        for turn in range(1, 4):
            steady.wait_for(turn * each)
            proxy.reload()
        steady.wait_for(4 * each)
        held = figures.proportional_bytes(proxy.pid)
        steady.stop()
        room = bytearray(1 << 20)
        while part := download.recv_into(room):
            got += part
        download.close()
        lost = 0 if got > origin.SIZES["100m"] else 1
        return {"failed": steady.failed + lost, "retried": steady.retried, "asked": steady.done,
                "MB before": before / 1e6, "MB during": held / 1e6, "errors": 0}


TWO = {"": Setup(workers=2)}
MAIN = ("weir", "nginx", "haproxy")

ALL = [
    Cost("keepalive", "128 bytes, 16 keep-alive connections", targets={"us": ("nginx", 0.85)}),
    Cost("16k", "16 KB, 16 keep-alive connections", path="16k", portion=0.5, targets={"us": ("nginx", 0.84)}),
    ConnectionEach("connect", "128 bytes, a connection per request", portion=0.25, targets={"us": ("nginx", 0.93)}),
    Cost("1m", "1 MB bodies, 4 connections", path="1m", clients=4, portion=0.02, unit="MB",
         targets={"us": ("nginx", 0.90)}),
    Cost("100m", "100 MB bodies, 2 connections", path="100m", clients=2, portion=0.0003, unit="MB", units=100,
         targets={"us": ("nginx", 0.74)}),
    Cost("chunked", "64 KB in chunks, without a length, 16 connections", path="chunked", portion=0.2,
         targets={"us": ("best", 0.99)}),
    Cost("tls", "128 bytes over TLS 1.3, 16 keep-alive connections", scheme="https", targets={"us": ("nginx", 0.86)}),
    Cost("tls-16k", "16 KB over TLS 1.3, 16 keep-alive connections", scheme="https", path="16k", portion=0.4,
         targets={"us": ("nginx", 0.86)}),
    Cost("tls-1m", "1 MB over TLS 1.3, 4 connections", scheme="https", path="1m", clients=4, portion=0.01, unit="MB",
         targets={"us": ("nginx", 0.84)}),
    ManyStreams("h2", "128 bytes, HTTP/2 over TLS 1.3, 16 connections with 32 streams each",
                targets={"us": ("haproxy", 0.89)}),
    ManyStreams("h2-16k", "16 KB, HTTP/2 over TLS 1.3, 16 connections with 32 streams each", path="16k", portion=0.4,
                targets={"us": ("haproxy", 0.86)}),
    ConnectionEach("handshake", "full TLS 1.3 handshakes with a P-256 key, a request each", scheme="https",
                   clients=8, portion=0.06, unit="handshake", targets={"us": ("nginx", 0.92)}),
    Resumed("resumed", "resumed TLS 1.3 handshakes, a request each", portion=0.04, unit="handshake",
            targets={"us": ("nginx", 0.93)}),
    Reload("reload", "three reloads under load, and a download across them", names=MAIN,
           targets={"failed": ("most", 0), "retried": ("most", 0)}),
    ConnectionEach("handshake-rsa", "full TLS 1.3 handshakes with an RSA-2048 key, a request each", scheme="https",
                   clients=8, portion=0.05, unit="handshake", setups={"": Setup(key="rsa2048")},
                   targets={"us": ("nginx", 0.94)}),
    Cost("two-workers", "128 bytes, 32 keep-alive connections on two workers", clients=32, setups=TWO,
         targets={"us": ("nginx", 0.85)}),
    Latency("latency", "128 bytes at 6,000 requests a second on two workers", setups=TWO,
            targets={"us": ("nginx", 0.85), "p50 us": ("nginx", 0.94), "p99 us": ("nginx", 0.98)}),
    Gzip("gzip-1", "50 KB of text, gzip level 1", setups={"": Setup(gzip=1)}, targets={"us": ("nginx", 0.98)}),
    Gzip("gzip-6", "50 KB of text, gzip level 6", setups={"": Setup(gzip=6)}, portion=0.02,
         targets={"us": ("nginx", 0.99)}),
    Cost("log", "as keepalive, an access log off and on", setups={"off": Setup(), "on": Setup(log=True)},
         targets={"us": ("extra", 0.03)}),
    Cost("limit", "as keepalive, a limit of rate off and on", setups={"off": Setup(), "on": Setup(limit=True)},
         targets={"us": ("nginx", 1.0)}, names=("weir", "nginx")),
    Cost("sites", "as keepalive, one site and 10,000", setups={"one": Setup(), "many": Setup(sites=10000)},
         targets={"us": ("extra", 0.05)}),
    Start("sites-start", "start with 10,000 sites", setups={"": Setup(sites=10000)}, rounds=3,
          targets={"ms": ("most", 200), "MB": ("most", 40)}),
    Start("start", "start, and memory at rest", targets={"ms": ("most", 15), "MB": ("most", 6)}),
    Idle("idle", "9,000 idle plain connections", targets={"bytes": ("most", 450)}, fresh=True),
    Idle("idle-tls", "2,000 idle TLS connections", count=2000, tls=True, targets={"bytes": ("most", 15000)},
         fresh=True),
]
CALLS = ("keepalive", "16k", "1m", "connect", "tls", "h2", "h2-16k", "handshake", "resumed", "gzip-1")
