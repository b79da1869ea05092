# SPDX-License-Identifier: BSD-2-Clause
"""The kernel says no: each system call of the daemon's request path fails, the first, the second, and so on.

tests/unit/engine/failing_calls.c, preloaded, does it; tests/unit/engine/test_calls.c does the same to the bare engine.
Here are the calls that only the daemon makes: accepting, TLS, logs, TCP. A fault that means "again" changes nothing
that a client sees; any other ends in a proper answer, a proper error or a visible end, soon, and touches nobody
else."""

import errno
import mmap
import os
import pathlib
import re
import struct
import subprocess
import time

import pytest

from lib.daemon import Weir
from lib.message import Closed
from lib.origin import AnsweringOrigin
from lib.patience import IS_TSAN, PATIENCE, eventually
from lib.program import need

SOURCES = pathlib.Path(os.environ["WEIR_TOP"]) / "tests" / "unit" / "engine"
BUDGET = 4.0  # seconds for each row: beyond, every third call, then every ninth
OWN_ERRORS = {400, 408, 500, 502, 503, 504}
BIG = b"0123456789abcdef" * 8192


def names(enum):
    """The members of an enum of failing_calls.h, in their order."""
    found = re.search(rf"enum {enum} {{(.*?)}};", (SOURCES / "failing_calls.h").read_text(), re.DOTALL)[1]
    return re.findall(r"\b[A-Z_]{4,}\b", re.sub(r"/\*.*?\*/", "", found))


CALLS, WAYS, OFTEN = names("call"), names("failing"), names("often")


class FailingCalls:
    """struct calls, shared with the daemon."""

    def __init__(self, folder):
        self.library = folder / "failing_calls.so"
        compiler = os.environ.get("WEIR_CC", "").split() or [need("cc")]
        made = subprocess.run([*compiler, "-shared", "-fPIC", "-O1", "-DFAILING_CALLS_PRELOADED", "-o", self.library,
                               SOURCES / "failing_calls.c", "-ldl"], capture_output=True, text=True, timeout=60)
        assert made.returncode == 0, made.stderr
        self.path = folder / "calls"
        self.path.write_bytes(bytes(4096))
        self.path.chmod(0o666)
        with open(self.path, "r+b") as file:
            self.shared = mmap.mmap(file.fileno(), 4096)

    def env(self):
        options = os.environ.get("ASAN_OPTIONS", "")
        return {"LD_PRELOAD": str(self.library), "WEIR_FAILING_CALLS": str(self.path),
                "ASAN_OPTIONS": f"{options}:verify_asan_link_order=0".lstrip(":")}

    def watch(self, pid):
        struct.pack_into("=I", self.shared, 4, pid)

    def set(self, call, way, error, often, n):
        struct.pack_into("=IIiIQQQ", self.shared, 8, CALLS.index(call), WAYS.index(way), error, OFTEN.index(often), n,
                         0, 0)
        struct.pack_into("=I", self.shared, 0, 1)

    def heal(self):
        """How many calls failed."""
        struct.pack_into("=I", self.shared, 0, 0)
        return struct.unpack_from("=Q", self.shared, 40)[0]


def origin_answer(request):
    if request.method == "GET" and request.target == "/big":
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BIG) + BIG
    if request.target == "/chunked":
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    if request.target == "/switch":
        return b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\npong"
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request.body) + request.body


CONFIGURATION = """workers 1; shutdown_timeout 5s; access_log access.log buffer=0;
    timeout header=3s body=3s send=3s idle=3s connect=3s response=3s;
    upstream u {{ server 127.0.0.1:{port} max_fails=0; keepalive 4 timeout=200ms; }}
    site plain.test {{ route /own {{ respond 200 own; }} route / {{ proxy u; }} }}
    site a.test {{ tls_certificate {certificate}; route /own {{ respond 200 own; }} route / {{ proxy u; }} }}"""


class Stand:
    """The daemon with its calls in our hands, and a mix of requests."""

    def __init__(self, folder, certificates):
        self.calls = FailingCalls(folder)
        self.tls = certificates.client(alpn=["http/1.1"])
        self.origin = AnsweringOrigin(origin_answer)
        self.weir = Weir(CONFIGURATION.format(port=self.origin.port, certificate=certificates["a"]),
                         env=self.calls.env(), modules=["tls", "access-log"])
        try:
            self.weir.start()
        except BaseException:
            self.weir.abandon()
            raise
        self.server = self.weir.server()
        self.calls.watch(self.server)
        for _ in range(3):
            self.play(True)
        self.fds = self.settled_fds()

    def stop(self):
        try:
            self.weir.stop()
        finally:
            self.weir.abandon()
            self.origin.stop()

    def settled_fds(self):
        """Descriptors once no connection is left, of clients or kept to the origin."""
        eventually(lambda: self.weir.status()["connections"] == 0, "the connections are over")
        last, since = self.weir.fds(), time.monotonic()
        while time.monotonic() - since < 0.3:
            now = self.weir.fds()
            if now != last:
                last, since = now, time.monotonic()
        return last

    # -- the mix ---------------------------------------------------------------------------------------------------

    def requests(self):
        """(what it is, connects, sends, method, body that must come)."""
        plain, tls = self.weir.connect, lambda: self.weir.connect_tls(self.tls)
        get = b"GET %s HTTP/1.1\r\nHost: plain.test\r\n\r\n"
        secret = b"GET %s HTTP/1.1\r\nHost: a.test\r\n\r\n"
        body = b"b" * 3000
        yield "kept alive", plain, [get % b"/own", get % b"/own", get % b"/own"], [b"own"] * 3
        yield "proxied", plain, [get % b"/big", get % b"/chunked"], [BIG, b"hello world"]
        yield "with bodies", plain, [
            b"POST /echo HTTP/1.1\r\nHost: plain.test\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
            b"PUT /echo HTTP/1.1\r\nHost: plain.test\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        ], [body, b"abcde"]
        yield "switched", plain, [b"GET /switch HTTP/1.1\r\nHost: plain.test\r\nConnection: upgrade\r\n"
                                  b"Upgrade: websocket\r\n\r\n"], [b"pong"]
        yield "TLS", tls, [secret % b"/own", secret % b"/big"], [b"own", BIG]

    def converse(self, connect, sent, bodies, exact):
        """The answers until one ends the connection; what is not as it must be fails."""
        client = None
        try:
            client = connect()
            for request, body in zip(sent, bodies):
                client.send(request)
                answer = client.head()
                if answer.status == 101:
                    assert client.exactly(4) == body
                    return
                client.body(answer)
                if answer.status in OWN_ERRORS and not exact:
                    return
                assert answer.status == 200 and answer.body == body
        except TimeoutError:
            raise AssertionError("no answer and no end") from None
        except (Closed, OSError):
            assert not exact
        finally:
            if client:
                client.close()
                self.weir.clients.remove(client)

    def play(self, exact):
        for what, connect, sent, bodies in self.requests():
            try:
                self.converse(connect, sent, bodies, exact)
            except AssertionError as wrong:
                raise AssertionError(f"{what}: {wrong}") from wrong

    def play_with(self, call, way, error, often, n, exact):
        """How many calls failed; afterwards all is well."""
        self.calls.set(call, way, error, often, n)
        try:
            self.play(exact)
        finally:
            failed = self.calls.heal()
        self.converse(self.weir.connect, [b"GET /big HTTP/1.1\r\nHost: plain.test\r\n\r\n"], [BIG], True)
        assert self.weir.servers() == [self.server], "the server ended"
        return failed


@pytest.fixture(scope="module")
def stand(session_folder, certificates):
    if IS_TSAN:
        pytest.skip("ThreadSanitizer must stand first in front of libc")
    folder = session_folder / "failing-calls"
    folder.mkdir()
    one = Stand(folder, certificates)
    yield one
    one.stop()


UNSEEN = [
    ("CALL_READ", "FAILS", "EAGAIN"), ("CALL_READ", "FAILS", "EINTR"), ("CALL_READ", "ONE_BYTE", None),
    ("CALL_WRITE", "FAILS", "EAGAIN"), ("CALL_WRITE", "FAILS", "EINTR"), ("CALL_WRITE", "ONE_BYTE", None),
    ("CALL_ACCEPT", "FAILS", "EAGAIN"), ("CALL_ACCEPT", "FAILS", "EINTR"), ("CALL_ACCEPT", "FAILS", "ECONNABORTED"),
    ("CALL_ACCEPT", "FAILS", "EMFILE"), ("CALL_ACCEPT", "FAILS", "ENFILE"), ("CALL_ACCEPT", "FAILS", "ENOBUFS"),
    ("CALL_ACCEPT", "FAILS", "ENOMEM"), ("CALL_CONNECT", "FAILS_AFTER", "EINTR"),
    ("CALL_SET_OPTION", "FAILS", "ENOBUFS"), ("CALL_SHUTDOWN", "FAILS_AFTER", "ENOTCONN"),
    ("CALL_CLOSE", "FAILS_AFTER", "EINTR"), ("CALL_CLOSE", "FAILS_AFTER", "EIO"),
    ("CALL_WAIT", "FAILS", "EINTR"), ("CALL_POLL", "FAILS", "EINTR"), ("CALL_LOG", "FAILS", "EINTR"),
    ("CALL_LOG", "FAILS", "ENOSPC"), ("CALL_LOG", "FAILS", "EIO"), ("CALL_LOG", "ONE_BYTE", None),
]

BREAKING = [
    ("CALL_READ", "FAILS", "ECONNRESET"), ("CALL_READ", "FAILS", "ETIMEDOUT"), ("CALL_READ", "FAILS", "ENOMEM"),
    ("CALL_WRITE", "FAILS", "EPIPE"), ("CALL_WRITE", "FAILS", "ECONNRESET"), ("CALL_WRITE", "FAILS", "ENOBUFS"),
    ("CALL_SOCKET", "FAILS", "EMFILE"), ("CALL_SOCKET", "FAILS", "ENFILE"), ("CALL_SOCKET", "FAILS", "ENOMEM"),
    ("CALL_CONNECT", "FAILS", "ECONNREFUSED"), ("CALL_CONNECT", "FAILS", "EADDRNOTAVAIL"),
    ("CALL_CONNECT", "FAILS", "ETIMEDOUT"), ("CALL_SOCKET_ERROR", "TELLS_ERROR", "ECONNREFUSED"),
    ("CALL_SOCKET_ERROR", "TELLS_ERROR", "ETIMEDOUT"), ("CALL_SOCKET_ERROR", "FAILS", "ENOBUFS"),
    ("CALL_WATCH", "FAILS", "ENOMEM"), ("CALL_WATCH", "FAILS", "ENOSPC"),
]


def fail_each(stand, call, way, error, exact):
    """One call at a time, until there is none left to fail; then all from one on, and every other."""
    number = getattr(errno, error) if error else 0
    began, n, step = time.monotonic(), 0, 1
    while stand.play_with(call, way, number, "ONCE", n, exact):
        n += step
        step = 3 ** int((time.monotonic() - began) / BUDGET)
    if call not in ("CALL_WAIT", "CALL_ACCEPT") and error != "EAGAIN":
        stand.play_with(call, way, number, "EVERY_OTHER", 0, exact)
    if not exact:
        stand.play_with(call, way, number, "EVER_AFTER", 0, exact)
    eventually(lambda: stand.settled_fds() <= stand.fds, f"descriptors are back at {stand.fds}", PATIENCE)
    assert n > 0 or call == "CALL_POLL", "no such call was made"


@pytest.mark.parametrize("call, way, error", UNSEEN)
def test_what_means_again_changes_nothing(stand, call, way, error):
    fail_each(stand, call, way, error, True)


@pytest.mark.parametrize("call, way, error", BREAKING)
def test_what_breaks_ends_properly(stand, call, way, error):
    fail_each(stand, call, way, error, False)
