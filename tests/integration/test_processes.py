# SPDX-License-Identifier: BSD-2-Clause
"""Supervisor and server: starting, stopping, crashing, privileges, logs, the control socket."""

import contextlib
import json
import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from lib.client import Client
from lib.daemon import WEIR_BIN, Load, Weir, is_gone, run_weir
from lib.patience import SLOWNESS, eventually
from lib.ports import free_port
from lib.program import curl

OK = "site a.test { respond 200 ok; } site _ { respond 200 ok; }"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give privileges away")


@pytest.fixture
def crashing():
    """weir(text) of daemons that are made to crash: what a sanitizer says of that is no finding."""
    started = []

    def start(text, **how):
        started.append(Weir(text, **how))
        return started[-1].start()

    yield start
    for one in started:
        one.abandon()


def identity(pid):
    status = open(f"/proc/{pid}/status").read()
    return {name: value.split() for name, value in re.findall(r"^(\w+):\s*(.*)$", status, re.MULTILINE)}


def states_of_threads(pid):
    return [open(f"/proc/{pid}/task/{task}/stat").read().rpartition(")")[2].split()[0]
            for task in os.listdir(f"/proc/{pid}/task")]


# -- stopping ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "command", "control"])
def test_stop(weir, how):
    one = weir(OK)
    assert one.get().text == "ok"
    server = one.server()
    if how == "command":
        assert one.cli("stop").returncode == 0
    elif how == "control":
        assert one.ask("POST", "/v1/stop")[0] == 202
    else:
        one.process.send_signal(getattr(signal, how))
    assert one.wait() == 0
    assert not os.path.exists(f"/proc/{server}")
    assert not os.path.exists(one.control)


def is_refused(port):
    """Whether nobody listens: each worker shuts its own door in its own time, so one that is open a moment longer is
    no fault."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionError:
        return True
    return False


def test_sigterm_lets_running_requests_end(weir, origin):
    """No new connections; what runs is finished; then the end."""
    one = weir(f"shutdown_timeout 60s; site a.test {{ proxy {origin.url}; }}")
    idle, busy = one.connect(), one.connect()
    idle.request()
    first = origin.take()
    first.request()
    first.reply()
    idle.response()
    busy.request()
    source = origin.take()
    source.request()
    source.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
    assert busy.head().status == 200

    one.terminate()
    assert idle.is_closed()
    eventually(lambda: is_refused(one.http_port), "no worker takes connections any more")
    assert one.process.poll() is None
    source.send(b"def")
    assert busy.exactly(6) == b"abcdef"
    assert busy.is_closed()
    assert one.wait() == 0


def test_sigterm_waits_no_longer_than_it_may(weir, origin):
    one = weir(f"shutdown_timeout 500ms; site a.test {{ proxy {origin.url}; }}")
    client = one.connect()
    client.request()
    origin.take().request()
    began = time.monotonic()
    one.terminate()
    assert one.wait() == 0
    assert 0.4 < time.monotonic() - began < 3 * SLOWNESS
    assert client.is_closed()


def test_a_second_sigterm_stops_at_once(weir, origin):
    one = weir(f"shutdown_timeout 60s; site a.test {{ proxy {origin.url}; }}")
    client = one.connect()
    client.request()
    origin.take().request()
    one.terminate()
    one.wait_notified("STOPPING=1")
    assert one.process.poll() is None
    began = time.monotonic()
    one.terminate()
    assert one.wait() == 0
    assert time.monotonic() - began < 3 * SLOWNESS


def test_a_server_without_its_supervisor_ends(crashing):
    one = crashing(OK)
    server = one.server()
    one.process.kill()
    one.process.wait()
    eventually(lambda: is_gone(server), "the server ends")


# -- crashes -----------------------------------------------------------------------------------------------------------


def answered(one, text):
    response = one.try_get()
    return response is not None and response.text == text


def test_a_crash_under_load_is_over_within_a_second(crashing):
    """kill -SEGV: new connections are served by a new server, behind the same addresses."""
    one = crashing(OK)
    server = one.server()
    with Load(lambda: one.get().status) as load:
        eventually(lambda: load.answers > 50, "answers under load")
        os.kill(server, signal.SIGSEGV)
        began = time.monotonic()
        eventually(lambda: one.servers() and one.servers() != [server], "a new server")

        eventually(lambda: answered(one, "ok"), "an answer")
        assert time.monotonic() - began < 1 * SLOWNESS
        answers = load.answers
        eventually(lambda: load.answers > answers + 50, "load goes on")
    assert not any(isinstance(failure, ConnectionRefusedError) for failure in load.failures)
    assert one.process.poll() is None
    eventually(lambda: f"server {server} ended" in one.log(), "word of it")


def test_connections_that_wait_during_a_crash_are_served(crashing):
    """They stand in the queue of a socket that the supervisor keeps."""
    one = crashing(OK)
    server = one.server()
    os.kill(server, signal.SIGSTOP)
    eventually(lambda: all(state == "T" for state in states_of_threads(server)), "the server stands still")
    waiting = [Client(("127.0.0.1", one.http_port)) for _ in range(20)]
    for client in waiting:
        client.request()
    os.kill(server, signal.SIGKILL)
    for client in waiting:
        assert client.response().text == "ok"
        client.close()
    one.terminate()
    assert one.wait() == 0


def test_the_control_socket_and_the_logs_survive_a_crash(crashing):
    one = crashing("module access-log; access_log access.log;" + OK)
    former = one.server()
    os.kill(former, signal.SIGKILL)
    eventually(lambda: former not in one.servers(), "the former server is gone")
    eventually(lambda: answered(one, "ok"), "an answer")
    assert one.status()["draining"] is False
    one.reload("module access-log; access_log access.log; site a.test { respond 200 new; }")
    assert one.get().text == "new"
    one.terminate()
    assert one.wait() == 0
    assert '"GET / HTTP/1.1" 200' in (one.folder / "access.log").read_text()


def test_a_reload_is_what_a_new_server_starts_with(crashing):
    one = crashing("site a.test { respond 200 old; }")
    one.reload("site a.test { respond 200 new; }")
    one.write("broken")
    os.kill(one.server(), signal.SIGKILL)
    eventually(lambda: answered(one, "new"), "the configuration that was live")


# -- the service manager -----------------------------------------------------------------------------------------------


def test_the_service_manager_is_told(weir):
    """sd_notify(3): ready once connections are served, stopping when it stops."""
    one = weir(OK)
    assert any("READY=1" in said.split("\n") for said in one.notified)
    assert one.get().text == "ok"
    one.terminate()
    one.wait_notified("STOPPING=1")
    assert one.wait() == 0


def test_a_broken_configuration_does_not_start(folder):
    (folder / "weir.conf").write_text("site a.test { respnd; }\n")
    done = run_weir("run", "-c", folder / "weir.conf")
    assert done.returncode == 1 and "weir.conf:1:15: error:" in done.stderr


def test_socket_activation():
    """sd_listen_fds(3): an inherited socket serves the address it is bound to; connections made before are answered."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    early = Client(("127.0.0.1", port)).request()
    one = Weir(f"site a.test {{ listen 127.0.0.1:{port}; respond 200 activated; }}")
    try:
        script = (f"import os, sys; os.dup2({listener.fileno()}, 3); os.environ.update(LISTEN_FDS='1', "
                  "LISTEN_PID=str(os.getpid())); os.execv(sys.argv[1], sys.argv[1:])")
        one.start([sys.executable, "-c", script, WEIR_BIN, "run", "-c", str(one.config)],
                  pass_fds=[listener.fileno(), 3])
        assert early.response().text == "activated"
        for _ in range(10):
            assert one.get(port=port).text == "activated"
        one.reload(f"site a.test {{ listen 127.0.0.1:{port}; respond 200 reloaded; }}")
        assert one.get(port=port).text == "reloaded"
        one.stop()
    finally:
        one.abandon()
        early.close()
        listener.close()


def test_daemonised(folder):
    """`-d`: the command returns when the server is ready."""
    port, control = free_port(), folder / "control.sock"
    (folder / "weir.conf").write_text(f"control {control}; state_dir {folder}; error_log {folder}/error.log;\n"
                                      f"site a.test {{ listen 127.0.0.1:{port}; respond 200 ok; }}\n")
    done = subprocess.run([WEIR_BIN, "run", "-c", str(folder / "weir.conf"), "-d"], timeout=60, cwd="/",
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    assert done.returncode == 0
    client = Client(("127.0.0.1", port))
    try:
        assert client.get().text == "ok"
    finally:
        client.close()
        assert run_weir("stop", "-c", folder / "weir.conf").returncode == 0
    eventually(lambda: not control.exists(), "the daemon ends")


# -- privileges --------------------------------------------------------------------------------------------------------


@needs_root
def test_privileges_are_dropped(weir):
    """The server is `nobody` without any capability; the supervisor keeps what new ports and keys need."""
    nobody = pwd.getpwnam("nobody")
    one = weir("user nobody; module access-log; access_log access.log;" + OK)
    server, supervisor = identity(one.server()), identity(one.process.pid)
    assert server["Uid"] == [str(nobody.pw_uid)] * 4 and server["Gid"] == [str(nobody.pw_gid)] * 4
    assert server["Groups"] in ([], [str(nobody.pw_gid)])
    assert int(server["CapEff"][0], 16) == int(server["CapPrm"][0], 16) == int(server["CapAmb"][0], 16) == 0
    assert server["NoNewPrivs"] == ["1"]
    assert supervisor["Uid"][1] == "0"
    assert one.get().text == "ok"


@needs_root
def test_what_needs_privilege_still_works_behind_the_drop(weir, certificates):
    """Keys that only root may read, logs in folders that only root may write."""
    os.chmod(certificates.path("a.key"), 0o600)
    one = weir(f"user nobody; access_log access.log; tls_certificate {certificates['a']};"
               " site a.test { respond 200 ok; }", modules=["tls", "access-log"])
    assert one.connect_tls(certificates.client()).get().text == "ok"
    os.rename(one.folder / "access.log", one.folder / "access.old")
    one.process.send_signal(signal.SIGUSR1)
    eventually((one.folder / "access.log").exists, "a new log")
    one.reload(f"user nobody; access_log second.log; tls_certificate {certificates['a']};"
               " site a.test { respond 200 reloaded; }")
    assert one.connect_tls(certificates.client()).get().text == "reloaded"
    eventually((one.folder / "second.log").exists, "a log that came with the reload")


@needs_root
def test_a_warning_when_root_serves(weir):
    one = weir(OK)
    assert len(re.findall(r"warn.*root", one.log() + one.stderr())) == 1


def test_an_unknown_user_is_an_error(folder):
    (folder / "weir.conf").write_text("user nosuchuser;\nstate_dir .;\n")
    done = run_weir("check", "-c", folder / "weir.conf")
    assert done.returncode == 1 and ":1:6: error:" in done.stdout + done.stderr


# -- logs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["signal", "control"])
def test_logs_are_opened_again(weir, how):
    one = weir("module access-log; access_log access.log;" + OK)
    client = one.connect()
    for target in ("/before", "/next"):  # once this one is answered, that one's line is in the buffer
        assert client.get(target).status == 200
    for name in ("access.log", "error.log"):
        os.rename(one.folder / name, one.folder / f"{name}.old")
    if how == "signal":
        one.process.send_signal(signal.SIGUSR1)
    else:
        assert one.cli("reopen").returncode == 0
    for name in ("access.log", "error.log"):
        eventually((one.folder / name).exists, f"a new {name}")
    eventually(lambda: one.get("/after").status == 200 and "GET /after" in (one.folder / "access.log").read_text(),
               "a line in the new log")
    one.terminate()
    assert one.wait() == 0
    assert "GET /before" in (one.folder / "access.log.old").read_text()
    assert "GET /before" not in (one.folder / "access.log").read_text()


# -- the control socket ------------------------------------------------------------------------------------------------


def test_the_control_socket_speaks_http_and_json_to_curl(weir):
    one = weir("module gzip;" + OK)
    assert stat.S_IMODE(os.stat(one.control).st_mode) == 0o600
    status = json.loads(curl("--unix-socket", one.control, "http://weir/v1/status").stdout)
    assert status["workers"] == 2 and status["draining"] is False
    modules = curl("--unix-socket", one.control, "http://weir/v1/modules").stdout
    assert b"gzip" in modules
    refused = curl("--unix-socket", one.control, "-o", "/dev/null", "-w", "%{http_code}", "http://weir/v1/nothing")
    assert refused.stdout == b"404"
    wrong = curl("--unix-socket", one.control, "-o", "/dev/null", "-w", "%{http_code}", "http://weir/v1/reload")
    assert wrong.stdout == b"405"


def test_browsers_have_no_way_to_the_control_socket(weir):
    one = weir("site a.test { respond 200 old; }")
    assert one.ask("POST", "/v1/stop", headers={"Origin": "http://evil.test"})[0] == 403
    assert one.get().text == "old"


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"GET /v1/status HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
                                  b"GET /v1/status HTTP/1.1\r\nX: " + b"x" * 40000])
def test_the_control_socket_is_strict_too(weir, sent):
    one = weir(OK)
    client = Client(one.control)
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
            client.send(sent)
        assert client.head().status in (400, 431)
    finally:
        client.close()
    assert one.status()["workers"] == 2


def test_status_by_the_command_line(weir):
    one = weir(OK)
    for how in (["-c", one.config], ["-s", one.control]):
        done = run_weir("status", *how)
        assert done.returncode == 0 and "2" in done.stdout, done.stderr


def test_a_control_socket_belongs_to_one_server(weir):
    """A second one does not take it away."""
    one = weir(OK)
    second = run_weir("run", "-c", one.config)
    assert second.returncode == 1 and ("control.sock" in second.stderr or "in use" in second.stderr)
    assert one.get().text == "ok" and one.status()["workers"] == 2


def test_a_control_socket_left_behind_is_no_obstacle(crashing):
    one = crashing(OK)
    one.kill()
    assert os.path.exists(one.control)
    again = crashing(f"control {one.control};{OK}")
    again.control = one.control
    assert again.status()["workers"] == 2


def test_control_off(weir):
    one = weir("control off;" + OK)
    assert one.get().text == "ok"
    assert not [name for name in os.listdir(one.folder) if name == "control.sock"]


def test_connections_of_many_clients_are_spread_over_workers(weir):
    one = weir("workers 2;" + OK)
    clients = [one.connect() for _ in range(40)]
    assert [client.get().text for client in clients] == ["ok"] * 40
    status = one.status()
    assert status["connections"] >= 40 and status["requests"] >= 40
