# SPDX-License-Identifier: BSD-2-Clause
"""Servers and binaries that change while clients are served; processes that are killed at any moment."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import threading
import time

import pytest

from lib.client import Client
from lib.daemon import WEIR_BIN, Load, Weir, is_gone
from lib.patience import IS_TSAN, SLOWNESS, eventually

OK = "site a.test { respond 200 ok; } site _ { respond 200 ok; }"


class Upgradable(Weir):
    """Runs a copy of the program, which a test may replace."""

    def __init__(self, text, **how):
        super().__init__(text, **how)
        self.program = self.folder / "weir"
        self.install(WEIR_BIN)

    def install(self, source):
        new = self.folder / "weir.new"
        shutil.copy(source, new)
        new.chmod(0o755)
        os.rename(new, self.program)

    def start(self, **popen):
        return super().start([str(self.program), "run", "-c", str(self.config)], **popen)

    def upgrade(self):
        before = self.server()
        done = self.cli("upgrade")
        assert done.returncode == 0, done.stdout + done.stderr
        return before


@pytest.fixture
def upgradable():
    started = []

    def start(text, **how):
        started.append(Upgradable(text, **how))
        return started[-1].start()

    yield start
    try:
        for one in started:
            one.stop()
    finally:
        for one in started:
            one.abandon()


@pytest.fixture
def killed():
    """Daemons that are killed: what a sanitizer says of that is no finding."""
    started = []

    def start(text, **how):
        started.append(Weir(text, **how))
        return started[-1]

    yield start
    for one in started:
        one.abandon()


class KeepAlive:
    """A client that keeps its connection as long as the answers allow it: the next request goes on a new one only when
    the last answer said so. Anything else is a failure."""

    def __init__(self, weir, body=b"ok", pause=0.0):
        self.weir, self.body, self.pause, self.local = weir, body, pause, threading.local()

    def __call__(self):
        client = getattr(self.local, "client", None) or Client(("127.0.0.1", self.weir.http_port))
        self.local.client = None
        answer = client.get()
        assert answer.status == 200 and answer.body == self.body
        if answer.get("Connection") == "close":
            client.close()
        else:
            self.local.client = client
        if self.pause:
            time.sleep(self.pause)


def once(weir):
    client = Client(("127.0.0.1", weir.http_port))
    try:
        assert client.get("/", "Connection: close").body == b"ok"
    finally:
        client.close()


def exe(pid):
    return os.readlink(f"/proc/{pid}/exe")


# -- upgrades ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["command", "SIGUSR2"])
def test_an_upgrade(upgradable, how):
    """Another binary serves, and supervises, in the process that was there."""
    one = upgradable(OK)
    assert one.get().text == "ok"
    supervisor, before = one.process.pid, one.server()
    one.install(WEIR_BIN)
    assert exe(supervisor).endswith("(deleted)") and exe(before).endswith("(deleted)")
    if how == "command":
        assert one.cli("upgrade").returncode == 0
    else:
        one.process.send_signal(signal.SIGUSR2)
    eventually(lambda: before not in one.servers() and len(one.servers()) == 1, "the new server alone")
    eventually(lambda: exe(supervisor) == str(one.program), "the supervisor is the new binary")
    assert exe(one.server()) == str(one.program) and one.process.poll() is None
    assert one.get().text == "ok" and one.status()["pid"] == one.server()
    one.reload("site a.test { respond 200 reloaded; }")
    assert one.get().text == "reloaded"
    server = one.server()
    os.kill(server, signal.SIGKILL)
    eventually(lambda: one.servers() not in ([], [server]), "a crash after an upgrade is got over")
    assert one.get().text == "reloaded"


@pytest.mark.parametrize("kind", ["kept alive", "kept alive, with pauses", "connection per request"])
def test_no_request_fails_during_upgrades(upgradable, kind):
    one = upgradable(OK + "shutdown_timeout 10s;")
    ask = {"kept alive": KeepAlive(one), "kept alive, with pauses": KeepAlive(one, pause=0.05),
           "connection per request": lambda: once(one)}[kind]
    with Load(ask, threads=6) as load:
        for _ in range(5):
            answers = load.answers
            eventually(lambda seen=answers: load.answers > seen + 40, "load goes on")
            one.install(WEIR_BIN)
            before = one.upgrade()
            eventually(lambda gone=before: gone not in one.servers(), "the former server ends", patience=30)
    assert load.failures == []


def test_no_request_fails_during_reloads_and_upgrades_at_once(upgradable):
    one = upgradable(OK + "shutdown_timeout 10s;")
    over = threading.Event()

    def reload():
        while not over.is_set():
            one.cli("reload")  # may be refused while a new server takes over

    reloading = threading.Thread(target=reload)
    with Load(KeepAlive(one), threads=3) as load:
        reloading.start()
        try:
            upgrades = 0
            while upgrades < 4:
                upgrades += one.cli("upgrade").returncode == 0
        finally:
            over.set()
            reloading.join()
        answers = load.answers
        eventually(lambda: load.answers > answers + 40, "load goes on")
    assert load.failures == []


def test_answers_and_tunnels_that_run_are_finished_by_the_former_server(upgradable, origin):
    """Requests end as they should; tunnels live on, until shutdown_timeout at most."""
    one = upgradable(f"shutdown_timeout 3s; site a.test {{ proxy {origin.url}; }}")
    slow, tunnel = one.connect(), one.connect()
    slow.request()
    source = origin.take()
    source.request()
    source.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
    assert slow.head().status == 200
    tunnel.request("GET", "/", "Connection: Upgrade", "Upgrade: websocket")
    far = origin.take()
    far.request()
    far.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert tunnel.head().status == 101

    asked = time.monotonic()
    before = one.upgrade()
    began = time.monotonic()
    assert before in one.servers()
    source.send(b"def")
    assert slow.exactly(6) == b"abcdef" and slow.is_closed()
    tunnel.send(b"hello")
    assert far.exactly(5) == b"hello"
    fresh = one.connect()
    fresh.request()
    served = origin.take()
    served.request()
    served.reply(body=b"new")
    assert fresh.response().body == b"new"
    assert tunnel.is_closed()
    assert time.monotonic() - asked > 2 and time.monotonic() - began < 4 * SLOWNESS + 2
    eventually(lambda: before not in one.servers(), "the former server ends")


def is_stopped(task):
    return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_connections_in_the_queue_go_to_the_new_server(upgradable):
    one = upgradable(OK)
    before = one.server()
    os.kill(before, signal.SIGSTOP)
    tasks = pathlib.Path(f"/proc/{before}/task")
    eventually(lambda: all(is_stopped(task) for task in tasks.iterdir()), "it stands still")
    try:
        waiting = [Client(("127.0.0.1", one.http_port)).request() for _ in range(20)]
        one.process.send_signal(signal.SIGUSR2)
        for client in waiting:
            assert client.response().text == "ok"
            client.close()
    finally:
        os.kill(before, signal.SIGCONT)
    eventually(lambda: before not in one.servers(), "the former server ends")


@pytest.mark.parametrize("what", ["no program", "not executable", "another program", "one that fails to serve"])
def test_a_binary_that_cannot_take_over(upgradable, what):
    """The former one goes on, and whoever asked is told why."""
    one = upgradable(OK)
    before = one.server()
    script = one.folder / "weir.new"
    if what == "one that fails to serve":
        script.write_text(f'#!/bin/sh\n[ "$1" = --serve ] && exit 3\nexec {WEIR_BIN} "$@"\n')
    else:
        script.write_text("#!/bin/sh\nexit 0\n" if what == "not executable" else "no program\n")
    script.chmod(0o644 if what == "not executable" else 0o755)
    if what == "another program":
        shutil.copy(shutil.which("false"), script)
    os.rename(script, one.program)
    done = one.cli("upgrade")
    assert done.returncode == 1 and done.stderr.strip(), done.stderr
    assert ("exit status 3" if what == "one that fails to serve" else "cannot take over") in done.stderr
    assert one.servers() == [before] and one.get().text == "ok"
    one.install(WEIR_BIN)
    one.upgrade()
    assert one.get().text == "ok"


def test_a_configuration_that_is_broken_when_it_is_upgraded(upgradable):
    one = upgradable(OK)
    before = one.server()
    one.write("site a.test { respnd; }")
    done = one.cli("upgrade")
    assert done.returncode == 1 and "respnd" in done.stderr
    assert one.servers() == [before] and one.get().text == "ok"


def test_an_upgrade_takes_the_configuration_on_the_disk(upgradable):
    """Also what a reload may not change."""
    one = upgradable(OK)
    one.write(f"modules_dir {one.folder}; site a.test {{ respond 200 new; }}")
    assert one.cli("reload").returncode == 1
    one.upgrade()
    assert one.get().text == "new"
    one.write("workers 3; site a.test { respond 200 newer; }")
    done = one.cli("upgrade")
    assert done.returncode == 1 and "needs a restart" in done.stderr and one.get().text == "new"


def test_modules_replaced_on_the_disk_come_with_an_upgrade(upgradable, folder):
    from lib.daemon import MODULES
    modules = folder / "modules"
    modules.mkdir()
    shutil.copy(pathlib.Path(MODULES) / "headers.so", modules / "headers.so")
    one = upgradable(f"modules_dir {modules}; module headers; response_header set X-A b; {OK}")
    shutil.copy(modules / "headers.so", modules / "new")
    os.rename(modules / "new", modules / "headers.so")
    done = one.cli("reload")
    assert done.returncode == 1 and "weir upgrade" in done.stderr
    one.upgrade()
    assert one.get().get("X-A") == "b" and one.cli("reload").returncode == 0


def test_whoever_waited_for_an_upgrade_meets_the_new_server(upgradable):
    """The former one's doors are shut when the command returns, those of its control socket too."""
    one = upgradable("workers 4; site a.test { respond 200 0; }")
    for number in range(1, 6):
        one.write(f"workers 4; site a.test {{ respond 200 {number}; }}")
        before = one.upgrade()
        assert one.status()["pid"] != before
        assert {one.get().text for _ in range(20)} == {str(number)}


def test_draining_goes_on_in_the_next_server(upgradable):
    one = upgradable(OK)
    assert one.cli("drain").returncode == 0
    one.upgrade()
    assert one.status()["draining"] is True
    assert one.get().get("Connection") == "close"
    assert one.cli("undrain").returncode == 0
    assert one.status()["draining"] is False
    one.upgrade()
    assert one.status()["draining"] is False


def figures(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return len(os.listdir(f"/proc/{pid}/fd")), int(re.search(r"VmRSS:\s+(\d+)", status)[1])


def test_twenty_upgrades_leak_nothing(upgradable):
    # AddressSanitizer keeps what was freed; with little of that, what grows is what was not freed.
    options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
    one = upgradable(OK + "shutdown_timeout 1s;", env={"ASAN_OPTIONS": options.lstrip(":")})

    def upgrade():
        begun, before = one.log().count("supervises from now on"), one.upgrade()
        eventually(lambda: before not in one.servers(), "the former server ends")
        eventually(lambda: one.log().count("supervises from now on") > begun, "the supervisor is the new binary")
        assert one.get().text == "ok"

    for _ in range(3):
        upgrade()
    supervisor, server = figures(one.process.pid), figures(one.server())
    for _ in range(17):
        upgrade()
    eventually(lambda: figures(one.process.pid)[0] <= supervisor[0] and figures(one.server())[0] <= server[0],
               "no more descriptors than before")
    if not IS_TSAN:  # whose shadow of memory grows with what has been touched
        eventually(lambda: figures(one.process.pid)[1] < supervisor[1] * 1.1 + 1024 and
                   figures(one.server())[1] < server[1] * 1.1 + 2048, "no more memory than before")


# -- killed at any moment ----------------------------------------------------------------------------------------------


def text(one):
    response = one.try_get()
    return response and response.text


def served(one):
    return text(one) == "ok"


@pytest.mark.parametrize("step", [0, 1, 2, 4, 8])
def test_a_server_killed_while_it_starts(killed, step):
    """Whatever it was about to do: the next one serves. Before it was ever ready, weir ends and says so."""
    one = killed(OK).start()
    for _ in range(2):
        before = one.server()
        os.kill(before, signal.SIGKILL)
        fresh = eventually(lambda gone=before: [pid for pid in one.servers() if pid != gone], "a new server")[0]
        time.sleep(step * 0.004)
        with contextlib.suppress(ProcessLookupError):
            os.kill(fresh, signal.SIGKILL)
        gone = (before, fresh)
        eventually(lambda: served(one) and one.servers() and one.servers()[0] not in gone, "service")
    assert one.process.poll() is None


def test_a_server_killed_during_reloads(killed):
    """Either configuration is served in the end, whole; and the next reload works."""
    one = killed(OK).start()
    for step in range(5):
        server = one.server()
        one.process.send_signal(signal.SIGHUP)
        time.sleep(step * 0.015)
        os.kill(server, signal.SIGKILL)
        eventually(lambda gone=server: served(one) and one.servers() not in ([], [gone]), "service")
    eventually(lambda: one.cli("reload").returncode == 0, "a reload that works")


def test_a_reload_asked_for_while_no_server_runs_is_made_up_for(killed):
    one = killed(OK).start()
    one.write("site a.test { respond 200 late; }")
    os.kill(one.server(), signal.SIGKILL)
    one.process.send_signal(signal.SIGHUP)
    eventually(lambda: text(one) == "late", "the new configuration")


def test_a_server_killed_under_load(killed):
    one = killed(OK).start()
    with Load(lambda: once(one), threads=4) as load:
        for _ in range(5):
            answers = load.answers
            eventually(lambda seen=answers: load.answers > seen + 30, "load goes on")
            os.kill(one.server(), signal.SIGKILL)
    assert not any(isinstance(failure, ConnectionRefusedError) for failure in load.failures)


def test_a_server_killed_while_it_drains(killed, origin):
    """It was about to go anyway: weir ends."""
    one = killed(f"shutdown_timeout 60s; site a.test {{ proxy {origin.url}; }}").start()
    client = one.connect().request()
    origin.take().request()
    server = one.server()
    one.terminate()
    one.wait_notified("STOPPING=1")
    os.kill(server, signal.SIGKILL)
    assert one.wait() == 0
    assert client.is_closed()


@pytest.mark.parametrize("whom", ["the former", "the next"])
@pytest.mark.parametrize("step", range(5))
def test_a_server_killed_while_another_takes_over(killed, whom, step):
    one = killed(OK + "shutdown_timeout 1s;").start()
    before = one.server()
    one.process.send_signal(signal.SIGUSR2)
    if whom == "the next":
        seen = eventually(lambda: [pid for pid in one.servers() if pid != before], "the next server")
        time.sleep(step * 0.008)
        with contextlib.suppress(ProcessLookupError):
            os.kill(seen[0], signal.SIGKILL)
    else:
        time.sleep(step * 0.03)
        with contextlib.suppress(ProcessLookupError):
            os.kill(before, signal.SIGKILL)
    eventually(lambda: served(one) and len(one.servers()) == 1, "one server serves", patience=30)
    assert one.process.poll() is None
    eventually(lambda: one.cli("upgrade").returncode == 0 and served(one), "an upgrade that works")


def test_a_killed_supervisor_takes_its_servers_along(killed):
    """Also those that a former binary of it has started."""
    one = killed(OK + "shutdown_timeout 1s;").start()
    assert one.cli("upgrade").returncode == 0
    servers = one.servers()
    one.process.kill()
    one.process.wait()
    eventually(lambda: all(is_gone(pid) for pid in servers), "the servers end")


def test_crashes_in_a_row_are_backed_off_from(killed):
    one = killed(OK).start()
    starts = 0
    began = time.monotonic()
    while starts < 6:
        for pid in one.servers():
            os.kill(pid, signal.SIGKILL)
            starts += 1
            eventually(lambda gone=pid: gone not in one.servers(), "it is gone")
    eventually(lambda: "server keeps ending: next start in 500 ms" in one.log(), "word of it")
    assert time.monotonic() - began > 1
    eventually(lambda: served(one), "service")
