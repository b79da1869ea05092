# SPDX-License-Identifier: BSD-2-Clause
"""Who asks: h2load and ab for most, openssl where sessions are resumed, Python where connections stay."""
import pathlib
import re
import socket
import ssl
import subprocess
import threading
import time


def h2load(url, *options, protocol="--h1", seconds=300):
    """(requests answered with 2xx, others)"""
    text = subprocess.run(["h2load", protocol, "-t", "1", *options, url], capture_output=True, text=True,
                          timeout=seconds, check=True).stdout
    done = int(re.search(r"status codes: (\d+) 2xx", text)[1])
    total, failed = (int(re.search(rf"(\d+) {word}", text)[1]) for word in ("total", "failed"))
    return done, max(total - done, failed)


def keep_alive(url, requests, clients, host=None, fields=()):
    options = ["-n", str(requests), "-c", str(min(clients, requests))]
    for field in ([f":authority: {host}"] if host else []) + list(fields):
        options += ["-H", field]
    return h2load(url, *options)


def many_streams(url, requests, clients, streams):
    """Over HTTP/2, so many streams at a time on each connection."""
    return h2load(url, "-n", str(requests), "-c", str(min(clients, requests)), "-m", str(streams),
                  protocol="--npn-list=h2")


def fixed_rate(url, rate, clients, seconds, log):
    """(2xx, others, times of answers in microseconds, sorted) at so many requests a second over all clients."""
    pathlib.Path(log).unlink(missing_ok=True)
    done, failed = h2load(url, "-n", str(rate * seconds), "-c", str(clients), "--rps", str(rate / clients),
                          "--log-file", str(log))
    return done, failed, sorted(int(line.split("\t")[2]) for line in pathlib.Path(log).read_text().splitlines())


def connection_each(url, requests, clients):
    """ab does what h2load does not: a new connection, in TLS with a full handshake, for each request."""
    command = ["ab", "-q", "-n", str(requests), "-c", str(min(clients, requests)), url]
    text = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    done = int(re.search(r"Complete requests:\s+(\d+)", text)[1])
    bad = [re.search(rf"{word}:\s+(\d+)", text) for word in ("Failed requests", "Non-2xx responses")]
    failed = sum(int(one[1]) for one in bad if one)
    return done - failed, requests - done + failed


def resumed_handshakes(port, clients=4):
    """(resumed and answered, others) in a second; openssl's client makes the best of each ticket."""
    command = f"openssl s_time -connect 127.0.0.1:{port} -reuse -www /small -time 1 -tls1_3".split()
    asked = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
             for _ in range(clients)]
    done = failed = 0
    for text in [one.communicate(timeout=60)[0] for one in asked]:
        total, size = map(int, re.search(r"(\d+) connections in \d+ real seconds, (\d+) bytes", text).groups())
        good = len(re.search(r"starting\n(r*)", text)[1]) if size > 128 else 0
        done, failed = done + good, failed + total - good
    return done, failed


def read_all(connection):
    answer = b""
    while part := connection.recv(65536):
        answer += part
    return answer


# -- connections that stay -------------------------------------------------------------------------------------------

def idle_connections(port, count, tls):
    """Connections that had one answer each and are left open."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    found = []
    for _ in range(count):
        s = socket.create_connection(("127.0.0.1", port), 10)
        if tls:
            s = context.wrap_socket(s, server_hostname="localhost")
        found.append(s)
        s.sendall(b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while b"x" * 128 not in answer:
            if not (part := s.recv(65536)):
                raise RuntimeError(f"closed after {len(found)} connections: {answer[:100]}")
            answer += part
    return found


class Steady:
    """Clients that ask on kept connections until stopped; what went wrong, and what a client could make good."""

    def __init__(self, port, threads=8):
        self.port = port
        self.done = self.failed = self.retried = 0
        self.is_over = False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.work) for _ in range(threads)]
        for one in self.threads:
            one.start()

    def ask(self, file):
        file.write(b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n")
        file.flush()
        head = b""
        while line := file.readline():
            head += line
            if line == b"\r\n":
                length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
                whole = len(file.read(length)) == length
                return "good" if whole and b" 200 " in head else "bad", b"connection: close" in head.lower()
        return "bad" if head else "closed", True

    def work(self):
        file, tries = None, 0
        while not self.is_over:
            outcome, must_close = "closed", True
            try:
                if file is None:
                    file = socket.create_connection(("127.0.0.1", self.port), 10).makefile("rwb")
                outcome, must_close = self.ask(file)
            except OSError:
                pass
            if must_close:
                file = None
            with self.lock:
                self.done += outcome == "good"
                self.retried += outcome == "closed"
                tries = tries + 1 if outcome == "closed" else 0
                self.failed += outcome == "bad" or tries > 2

    def wait_for(self, count, seconds=60):
        until = time.monotonic() + seconds
        while self.done < count and time.monotonic() < until:
            time.sleep(0.01)

    def stop(self):
        self.is_over = True
        for one in self.threads:
            one.join()
