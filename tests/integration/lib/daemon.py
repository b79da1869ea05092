# SPDX-License-Identifier: BSD-2-Clause
"""The real daemon in a folder of its own, and what one may ask it.

Weir(text).start() waits for READY=1 of sd_notify; stop() sends SIGTERM, and asserts exit status 0 and no report of a
sanitizer. Whatever the text does not say itself (ports, control, state_dir, error_log, modules_dir) is said for it."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from lib.client import Client
from lib.message import Closed
from lib.patience import PATIENCE, WEIR_BIN, eventually
from lib.ports import free_port

MODULES = os.environ.get("WEIR_MODULES", "")
SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:|"
                       r"assertion .* failed", re.IGNORECASE)

running = []  # daemons that were started and not stopped: their logs are shown when a test fails


def run_weir(*args, cwd=None, env=None, timeout=60):
    """One command of the command line; stdout and stderr as text."""
    return subprocess.run([WEIR_BIN, *map(str, args)], cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=timeout)


def is_gone(pid):
    """Whether a process has ended, waited for or not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def says(text, name):
    return re.search(rf"(^|[;{{}}])\s*{name}\s", text, re.MULTILINE) is not None


class ControlConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("weir", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Weir:
    def __init__(self, text="", files=None, env=None, modules=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-"))
        self.folder.chmod(0o755)
        self.config = self.folder / "weir.conf"
        self.control = str(self.folder / "control.sock")
        self.http_port, self.https_port = free_port(), free_port()
        self.env = dict(os.environ, **(env or {}))
        self.modules = modules
        self.process = None
        self.notify = self.listening = None
        self.notified = []
        self.told = threading.Condition()
        self.clients = []
        self.write(text, files)

    # -- files -----------------------------------------------------------------------------------------------------

    def write(self, text, files=None):
        """Replaces the configuration; other files by name."""
        for name, content in (files or {}).items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        ours = {"workers": "2", "http_port": self.http_port, "https_port": self.https_port, "modules_dir": MODULES,
                "control": self.control, "state_dir": self.folder / "state",
                "error_log": f"{self.folder / 'error.log'} info", "shutdown_timeout": "2s"}
        lines = [f"{name} {value};" for name, value in ours.items() if not says(text, name)]
        lines += [f"module {name};" for name in self.modules]
        self.config.write_text(" ".join(lines) + "\n" + text)

    def log(self):
        path = self.folder / "error.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stderr(self):
        path = self.folder / "stderr"
        return path.read_text(errors="replace") if path.exists() else ""

    # -- life ------------------------------------------------------------------------------------------------------

    def launch(self, command=None, **popen):
        """Starts the process, again maybe, without waiting until it is ready."""
        self._stop_listening()
        path = str(self.folder / "notify.sock")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.notified.clear()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(path)
        os.chmod(path, 0o777)
        with open(self.folder / "stderr", "ab") as err, open(self.folder / "stdout", "ab") as out:
            self.process = subprocess.Popen(command or [WEIR_BIN, "run", "-c", str(self.config)],
                                            env=dict(self.env, NOTIFY_SOCKET=path), stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=err, cwd=self.folder, **popen)
        self.listening = threading.Thread(target=self._listen_to_notifications, daemon=True)
        self.listening.start()
        threading.Thread(target=self._watch, args=(self.process,), daemon=True).start()
        running.append(self)
        return self

    def start(self, command=None, **popen):
        self.launch(command, **popen)
        self.wait_notified("READY=1")
        return self

    def _listen_to_notifications(self):
        """Service managers read at once; a daemon may wait for that."""
        while said := self.notify.recv(65536).decode():
            with self.told:
                self.notified.append(said)
                self.told.notify_all()

    def _stop_listening(self):
        """Closed once nobody reads: its number may be that of another daemon's socket then."""
        if self.listening:
            self.notify.shutdown(socket.SHUT_RDWR)
            self.listening.join()
        if self.notify:
            self.notify.close()
        self.notify = self.listening = None

    def _watch(self, process):
        """Whoever waits is told of the process's end as well."""
        process.wait()
        with self.told:
            self.told.notify_all()

    def wait_notified(self, state, patience=60):
        """Until the service manager is told so; fails when the process ends first."""
        def is_told():
            return any(state in said.split("\n") for said in self.notified)

        with self.told:
            self.told.wait_for(lambda: is_told() or self.process.returncode is not None, patience)
            assert is_told(), (f"weir did not say {state} (exit status {self.process.returncode}):\n"
                               f"{self.stderr()}{self.log()}")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, patience=PATIENCE * 2):
        """The exit status; kills what does not end by itself."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"weir did not stop within {patience} s") from None

    def kill(self):
        for pid in [*self.servers(), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE)

    def stop(self):
        """Ends it in order; what it said on the way is judged."""
        for client in self.clients:
            client.close()
        try:
            if self.process and self.process.poll() is None:
                self.terminate()
                self.wait()
            if self.process:
                assert self.process.returncode == 0, f"exit status {self.process.returncode}:\n{self.stderr()}"
                self.judge()
        finally:
            self.abandon()

    def judge(self):
        found = SANITIZER.search(self.stderr()) or SANITIZER.search(self.log())
        assert not found, f"{self.stderr()}\n{self.log()}"

    def abandon(self):
        """Ends it by force, if it still runs, and removes its folder."""
        if self.process and self.process.poll() is None:
            self.kill()
        self._stop_listening()
        while self in running:
            running.remove(self)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- processes -------------------------------------------------------------------------------------------------

    def servers(self):
        """Process ids of the servers that the supervisor has now (one, but for moments of change)."""
        found = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and b"--serve" in (stat.parent / "cmdline").read_bytes():
                    found.append(int(stat.parent.name))
        return found

    def server(self):
        return eventually(self.servers, "a server process")[0]

    def fds(self):
        return len(os.listdir(f"/proc/{self.server()}/fd"))

    def memory(self):
        """Resident bytes of the server."""
        status = pathlib.Path(f"/proc/{self.server()}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def forget_peak(self):
        """peak_memory() counts from now on."""
        pathlib.Path(f"/proc/{self.server()}/clear_refs").write_text("5")

    def peak_memory(self):
        """The most resident bytes that the server has had."""
        status = pathlib.Path(f"/proc/{self.server()}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    # -- the command line and the control socket -------------------------------------------------------------------

    def cli(self, *args, **how):
        return run_weir(args[0], "-c", self.config, *args[1:], cwd=self.folder, **how)

    def reload(self, text=None, files=None):
        """Writes a new configuration and makes it live."""
        if text is not None:
            self.write(text, files)
        done = self.cli("reload")
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def ask(self, method, path, headers=None):
        """(status, answer) of the control socket; JSON is decoded."""
        connection = ControlConnection(self.control)
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            content = answer.read()
            if answer.headers.get_content_type() == "application/json":
                content = json.loads(content)
            return answer.status, content
        finally:
            connection.close()

    def status(self):
        code, answer = self.ask("GET", "/v1/status")
        assert code == 200, answer
        return answer

    # -- clients ---------------------------------------------------------------------------------------------------

    def connect(self, port=None, address="127.0.0.1", **how):
        client = Client((address, port or self.http_port), **how)
        self.clients.append(client)
        return client

    def connect_tls(self, context, name="a.test", port=None, **how):
        return self.connect(port or self.https_port, tls=context, server_name=name, **how)

    def get(self, target="/", *fields, host="a.test", port=None):
        """The answer to one request on a connection of its own."""
        client = self.connect(port)
        try:
            return client.get(target, "Connection: close", *fields, host=host)
        finally:
            client.close()
            self.clients.remove(client)

    def try_get(self, *args, **how):
        """get(), or None while servers go and come: one that was killed may take a connection along."""
        with contextlib.suppress(OSError, Closed):
            return self.get(*args, **how)


@contextlib.contextmanager
def serving(text, files=None, **how):
    """A daemon for a with statement or a fixture of a whole module."""
    weir = Weir(text, files, **how)
    try:
        weir.start()
        yield weir
        weir.stop()
    finally:
        weir.abandon()


class Load:
    """Threads that ask again and again until told to stop; answers and failures are counted."""

    def __init__(self, ask, threads=4):
        self.answers = 0
        self.failures = []
        self._ask = ask
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def _run(self):
        while not self._over.is_set():
            try:
                self._ask()
                self.answers += 1
            except Exception as failure:  # judged by the test
                self.failures.append(failure)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE * 4)
