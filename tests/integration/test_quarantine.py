# SPDX-License-Identifier: BSD-2-Clause
"""A module that crashes the server: service is back within a second, and the third time the module is out."""

import contextlib
import http.client
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from lib.daemon import MODULES, Weir
from lib.message import Closed
from lib.patience import IS_SANITIZED, SLOWNESS, eventually

HERE = pathlib.Path(__file__).parent
OPEN, CLOSED = "WEIR_FAIL_OPEN", "0"


def build(folder, place, flags=CLOSED, revision=0):
    """modules/ with crasher.so and the shipped modules beside it."""
    target = folder / "modules" / "crasher.so"
    if not target.parent.exists():
        target.parent.mkdir()
        for module in pathlib.Path(MODULES).glob("*.so"):
            os.symlink(module.resolve(), target.parent / module.name)
    made = subprocess.run([*os.environ.get("CC", "cc").split(), "-shared", "-fPIC", "-O1", "-Wl,-z,defs",
                           "-Wl,--build-id",
                           f"-I{HERE.parents[1]}/sdk/include", f"-DAT_{place}", f"-DFLAGS={flags}",
                           f"-DREVISION={revision}", "-o", f"{target}.new", str(HERE / "modules" / "crasher.c")],
                          capture_output=True, text=True, timeout=120)
    assert made.returncode == 0, made.stderr
    os.rename(f"{target}.new", target)


class Crashing(Weir):
    """A daemon with the crasher at /crash, and its origin; what a sanitizer says of crashes is no finding here."""

    def __init__(self, folder, url, everywhere=False, more=""):
        self.trigger = folder / "trigger"
        self.trigger.write_text("")
        self.trigger.chmod(0o666)
        text = (f"modules_dir {folder}/modules; module crasher; module headers; workers 2;"
                f"{'crasher on;' if everywhere else ''} {more}"
                f"upstream picked {{ server {url.removeprefix('http://')}; BALANCE }}"
                "site a.test { route /crash/ { crasher on; "
                f"response_header set X-Value \"v=$crasher_value\"; proxy {url}; }}"
                f" route /picked {{ proxy picked; }} route / {{ respond 200 calm; }} }}")
        text = text.replace("BALANCE", "balance crasher;" if self.balances else "")
        super().__init__(text, env={"WEIR_CRASHER": str(self.trigger)})

    balances = False

    def crash(self, how="segv", path="/crash/x"):
        """One crash by request; then until service is back."""
        before = self.server()
        client = self.connect()
        with contextlib.suppress(Closed, OSError):
            client.request("POST", path, f"X-Crash: {how}", body=b"hello")
            client.response()
        self.back(before)

    def back(self, before):
        """A second at most, whichever second of the three it is."""
        eventually(lambda: before not in self.servers(), "the server has crashed")
        began = time.monotonic()
        eventually(self.calm, "service is back")
        assert time.monotonic() - began < 1 * SLOWNESS

    def calm(self):
        try:
            return self.get("/calm").status in (200, 503)
        except (OSError, Closed):
            return False

    def quarantine(self):
        return {one["module"]: one for one in self.status()["quarantine"]}


@pytest.fixture
def crasher(folder, answering):
    """crasher(place, flags) starts a daemon with that build of the module."""
    started = []
    origin = answering()

    def start(place, flags=CLOSED, **how):
        build(folder, place, flags)
        made = type("One", (Crashing,), {"balances": place == "BALANCE"})(folder, origin.url, **how)
        started.append(made)
        return made.start()

    yield start
    for one in started:
        one.abandon()


BY_REQUEST = ["GUARD", "AUTH", "REWRITE", "SERVE", "REQ_BODY", "UP_HEAD", "UP_RSP", "STORE", "RSP_HEAD", "TRANSFORM",
              "ENCODE", "LOG", "TIMER", "JOB"]


@pytest.mark.parametrize("place", BY_REQUEST)
def test_a_hook_that_fails_closed(crasher, place):
    """Three strikes: its routes answer 503, others go on."""
    one = crasher(place, more="why_ring 9;")
    assert one.get("/crash/x").status == 200
    for _ in range(2):
        one.crash()
        assert one.quarantine() == {}
        assert one.get("/crash/x").status == 200
        assert one.get("/calm").text == "calm"
    one.crash()
    server = one.server()
    assert "3 crashes" in one.quarantine()["crasher"]["reason"]
    for _ in range(3):
        assert one.get("/crash/x", "X-Crash: segv").status == 503
        assert one.get("/calm", "X-Crash: segv").text == "calm"
    assert one.server() == server
    refused = eventually(lambda: one.ask("GET", "/v1/why?refused")[1]["requests"], "a refusal in the ring")[0]
    assert (refused["refused_by"], refused["reason"]) == ("crasher", "a module is in quarantine")
    assert "module crasher is in quarantine" in one.log() and "weir unquarantine crasher" in one.log()
    if not IS_SANITIZED:
        assert f"module crasher was running at {'GUARD' if place == 'TIMER' else place}" in one.log() or place == "JOB"
        assert "blamed (crasher.so+0x" in one.log()


@pytest.mark.parametrize("place", BY_REQUEST)
def test_a_hook_that_fails_open(crasher, place):
    """Three strikes: it is left out, its routes are served."""
    one = crasher(place, OPEN)
    for _ in range(3):
        one.crash()
    server = one.server()
    assert "crasher" in one.quarantine()
    answer = one.get("/crash/x", "X-Crash: segv")
    assert answer.status == 200 and answer.get("X-Value") in (None, "v=")
    assert one.get("/calm", "X-Crash: segv").text == "calm"
    assert one.server() == server


@pytest.mark.parametrize("flags, then", [(OPEN, 200), (CLOSED, 503)])
def test_identify(crasher, flags, then):
    one = crasher("IDENTIFY", flags, everywhere=True)
    for _ in range(3):
        one.crash(path="/calm")
    server = one.server()
    assert "crasher" in one.quarantine()
    assert one.get("/calm", "X-Crash: segv").status == then
    assert one.server() == server


def crash_without_request(one):
    before = one.server()
    one.trigger.write_text("x\n")
    with contextlib.suppress(OSError, Closed):
        one.get("/calm")
    one.back(before)


@pytest.mark.parametrize("flags, then", [(OPEN, 200), (CLOSED, 503)])
def test_accept(crasher, flags, then):
    one = crasher("ACCEPT", flags, everywhere=True)
    for _ in range(3):
        crash_without_request(one)
    assert "crasher" in one.quarantine()
    one.trigger.write_text("x\n")
    assert one.get("/calm").status == then
    assert one.trigger.read_text() == "x\n"


def test_preface(crasher):
    """What a PREFACE hook would have read is not understood without it: connections are closed."""
    one = crasher("PREFACE", OPEN, everywhere=True)
    for _ in range(3):
        crash_without_request(one)
    assert one.get("/calm").text == "calm"


def test_preface_that_fails_closed(crasher):
    one = crasher("PREFACE", CLOSED, everywhere=True)

    def calm():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return one.servers() and one.status()["workers"] == 2

    one.calm = calm
    for _ in range(3):
        crash_without_request(one)
    eventually(lambda: "crasher" in one.quarantine(), "quarantine")
    client = one.connect()
    assert client.is_closed()


def test_a_variable(crasher):
    """Its value is missing, nothing else."""
    one = crasher("VARIABLE")
    assert one.get("/crash/x").get("X-Value") == "v=calm"
    for _ in range(3):
        one.crash()
    server = one.server()
    assert "crasher" in one.quarantine()
    answer = one.get("/crash/x", "X-Crash: segv")
    assert answer.status == 200 and answer.get("X-Value") in (None, "v=")
    assert one.server() == server


def test_a_timer_of_a_thread(crasher):
    one = crasher("THREAD_TIMER")
    for _ in range(3):
        crash_without_request(one)
    eventually(lambda: "crasher" in one.quarantine(), "quarantine")
    one.trigger.write_text("x\n")
    assert one.get("/crash/x").status == 200
    assert one.trigger.read_text() == "x\n"


def test_thread_up(crasher):
    """It would keep the server from starting for ever."""
    one = crasher("THREAD_UP")
    one.trigger.write_text("x\n" * 1000)
    os.kill(one.server(), signal.SIGKILL)

    def is_without_it():
        """Asked while servers come and go."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return one.calm() and "crasher" in one.quarantine()

    eventually(is_without_it, "a server without it")
    assert len(one.trigger.read_text()) >= 2 * (1000 - 6)
    assert one.get("/crash/x").status == 200


@pytest.mark.skipif(IS_SANITIZED, reason="blame by address needs weir's own handler")
def test_a_balancer(crasher):
    one = crasher("BALANCE")
    assert one.get("/picked").status == 200
    for _ in range(3):
        one.crash(path="/picked")
    server = one.server()
    assert "crasher" in one.quarantine()
    assert one.get("/picked", "X-Crash: segv").status == 503
    assert one.get("/crash/x").status == 200 and one.server() == server


def test_a_crash_in_a_library_is_suspected(crasher):
    """abort() is libc's code, but the module was running."""
    one = crasher("GUARD")
    for _ in range(3):
        one.crash("abort")
    assert "crasher" in one.quarantine() and one.get("/crash/x").status == 503
    if not IS_SANITIZED:
        assert "SIGABRT" in one.quarantine()["crasher"]["reason"]


def test_crashes_of_nobody_are_no_strikes(crasher):
    one = crasher("GUARD")
    for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL):
        before = one.server()
        os.kill(before, number)
        eventually(lambda: one.servers() not in ([], [before]), "a new server")
        eventually(one.calm, "service is back")
    assert one.quarantine() == {} and "strike" not in one.log()


def out(one):
    for _ in range(3):
        one.crash()
    assert "crasher" in one.quarantine() and one.get("/crash/x").status == 503


def test_it_outlives_servers_and_reloads_but_not_weir(crasher):
    one = crasher("GUARD")
    out(one)
    os.kill(one.server(), signal.SIGKILL)
    eventually(lambda: one.calm() and one.get("/crash/x").status == 503, "a new server in quarantine")
    assert one.cli("reload").returncode == 0
    assert one.get("/crash/x").status == 503
    shown = one.cli("status").stdout
    assert "quarantine" in shown and "crasher: 3 crashes" in shown and "weir unquarantine crasher" in shown
    one.terminate()
    assert one.wait() == 0
    one.start()
    assert one.get("/crash/x").status == 200 and one.quarantine() == {}


def test_a_replaced_file_and_a_reload_end_it(crasher, folder):
    one = crasher("GUARD")
    out(one)
    server = one.server()
    assert one.cli("reload").returncode == 0 and one.servers() == [server] and one.get("/crash/x").status == 503
    build(folder, "GUARD", CLOSED, revision=1)
    done = one.cli("reload")
    assert done.returncode == 0, done.stderr
    eventually(lambda: len(one.servers()) == 1 and one.server() != server, "a new server alone")
    assert one.quarantine() == {} and one.get("/crash/x").status == 200
    for _ in range(2):
        one.crash()
        assert one.quarantine() == {}
    one.crash()
    assert "crasher" in one.quarantine()


def test_a_reinstalled_file_of_the_same_build_changes_nothing(crasher, folder):
    one = crasher("GUARD")
    out(one)
    library = folder / "modules" / "crasher.so"
    shutil.copy(library, folder / "copy")
    os.rename(folder / "copy", library)
    one.cli("reload")
    assert one.get("/crash/x").status == 503 and "crasher" in one.quarantine()


def test_unquarantine(crasher):
    one = crasher("GUARD")
    assert one.cli("unquarantine", "crasher").returncode == 1
    out(one)
    assert one.cli("unquarantine", "nobody").returncode == 1
    assert one.cli("unquarantine", "../x").returncode == 2
    done = one.cli("unquarantine", "crasher")
    assert done.returncode == 0, done.stderr
    assert one.get("/crash/x").status == 200 and one.quarantine() == {}
    out(one)


def test_no_strikes_for_modules_that_are_not_running(crasher):
    """Its crashes are its own: the other modules of the request stay."""
    one = crasher("RSP_HEAD")
    out(one)
    assert list(one.quarantine()) == ["crasher"]
