# SPDX-License-Identifier: BSD-2-Clause
"""What is asked of each proxy, and how the answers are counted."""
import re
import resource
import shutil
import socket
import subprocess
import tempfile
import time

import figures


class Scenario:
    def __init__(self, name, about, path, clients=16, scheme="http", share=1.0, unit="request", units=1, fresh=False):
        self.name, self.about, self.path, self.clients = name, about, path, clients
        self.scheme, self.share, self.unit, self.units, self.fresh = scheme, share, unit, units, fresh

    def fits(self, proxy):
        return True

    def load(self, proxy, requests):
        """(requests answered with 2xx, others)"""
        count = max(self.clients, int(requests * self.share))
        port = proxy.https if self.scheme == "https" else proxy.http
        url = f"{self.scheme}://127.0.0.1:{port}/{self.path}"
        command = ["h2load", "--h1", "-n", str(count), "-c", str(self.clients), "-t", "1", url]
        if self.fresh:
            command[5:5] = ["-H", "Connection: close"]
        text = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
        done = int(re.search(r"status codes: (\d+) 2xx", text).group(1))
        return done, count - done


class ConnectionPerRequest(Scenario):
    """h2load keeps its connections; ab does not."""

    def fits(self, proxy):
        return shutil.which("ab") is not None

    def load(self, proxy, requests):
        count = int(requests * self.share)
        url = f"http://127.0.0.1:{proxy.http}/{self.path}"
        command = ["ab", "-q", "-n", str(count), "-c", str(self.clients), url]
        text = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
        done = int(re.search(r"Complete requests:\s+(\d+)", text).group(1))
        failed = int(re.search(r"Failed requests:\s+(\d+)", text).group(1))
        return done - failed, count - done + failed


ALL = [
    Scenario("keepalive", "128 bytes, 16 keep-alive connections", "small"),
    Scenario("16k", "16 KB, 16 keep-alive connections", "16k"),
    ConnectionPerRequest("connect", "128 bytes, a connection per request", "small", share=0.5),
    Scenario("1m", "1 MB bodies, 4 keep-alive connections, per MB", "1m", clients=4, share=0.05, unit="MB"),
    Scenario("tls", "128 bytes over TLS 1.3, 16 keep-alive connections", "small", scheme="https"),
    Scenario("tls-16k", "16 KB over TLS 1.3, 16 keep-alive connections", "16k", scheme="https", share=0.5),
]


def idle_memory(house, count):
    """Private resident bytes per idle connection that has served one request."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + 100:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
    results = {}
    for proxy in house.proxies:
        before = figures.resident_bytes(proxy.pid)
        connections = []
        try:
            for _ in range(count):
                s = socket.create_connection(("127.0.0.1", proxy.http), 10)
                s.sendall(b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n")
                connections.append(s)
                answer = b""
                while b"x" * 128 not in answer:
                    answer += s.recv(65536)
            results[proxy.name] = (figures.resident_bytes(proxy.pid) - before) / count
        finally:
            for s in connections:
                s.close()
    return results


def system_calls(house, count):
    """System calls per request, by strace, while one keep-alive connection asks again and again."""
    if not shutil.which("strace"):
        return {}
    results = {}
    for proxy in house.proxies:
        with tempfile.NamedTemporaryFile("r") as out, socket.create_connection(("127.0.0.1", proxy.http), 10) as s:
            request = b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n"

            def ask():
                s.sendall(request)
                answer = b""
                while b"x" * 128 not in answer:
                    answer += s.recv(65536)

            ask()
            pids = [arg for pid in figures.family(proxy.pid) for arg in ("-p", str(pid))]
            tracer = subprocess.Popen(["strace", "-f", "-c", "-o", out.name, *pids], stderr=subprocess.PIPE, text=True)
            attached = 0
            while attached < len(pids) // 2:
                if "attached" in tracer.stderr.readline():
                    attached += 1
            for _ in range(count):
                ask()
            tracer.send_signal(2)
            tracer.wait()
            results[proxy.name] = {}
            for line in out.read().splitlines():
                fields = line.split()
                if len(fields) >= 5 and fields[3].isdigit() and fields[-1] != "total" and int(fields[3]) >= count // 20:
                    results[proxy.name][fields[-1]] = int(fields[3]) / count
    return results
