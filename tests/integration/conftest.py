# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures: the daemon, origins, real programs, certificates. Each ends what it started."""

import pathlib
import resource
import shutil
import tempfile

import pytest

from lib import daemon
from lib.browser import Browser
from lib.certificates import Certificates
from lib.daemon import Weir
from lib.origin import AnsweringOrigin, Origin
from lib.patience import WEIR_BIN, eventually
from lib.program import start_nginx, start_prometheus

DESCRIPTORS = 8192  # floods need more than shells give by default


def pytest_configure(config):
    if not WEIR_BIN or not pathlib.Path(WEIR_BIN).exists():
        raise pytest.UsageError("WEIR_BIN names no program: run this by make check, or see docs/testing.md")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS:
        most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the daemons said."""
    report = (yield).get_result()
    if report.failed:
        for weir in [one for one in daemon.running if one.config.exists()]:
            report.sections.append((f"{weir.config}", weir.config.read_text()[:3000]))
            report.sections.append(("its error log", weir.log()[-1500:]))
            report.sections.append(("its stderr", weir.stderr()[-12000:]))


@pytest.fixture
def weir():
    """weir(text, files, ...) starts a daemon; several may run."""
    started = []

    def start(text, files=None, **how):
        started.append(Weir(text, files, **how))
        return started[-1].start()

    yield start
    try:
        for one in started:
            one.stop()
    finally:
        for one in started:
            one.abandon()


@pytest.fixture
def origin():
    """An origin that the test plays itself."""
    one = Origin()
    yield one
    one.stop()


@pytest.fixture
def answering():
    """answering(answer) starts an origin that answers by itself."""
    started = []

    def start(*args, **how):
        started.append(AnsweringOrigin(*args, **how))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def folder():
    """A short path, as unix sockets need."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def session_folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir-tests-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def certificates(session_folder):
    path = session_folder / "certificates"
    path.mkdir()
    return Certificates(path)


@pytest.fixture(scope="session")
def chromium(session_folder, certificates):
    folder = session_folder / "browser"
    folder.mkdir()
    one = Browser(folder, certificates.path("ca.crt"))
    yield one
    one.stop()


@pytest.fixture
def browser(chromium):
    """A page of the one Chromium, without anything of the tests before."""
    return chromium.new_page()


def program(start, folder, *args):
    folder.mkdir()
    one = start(folder, *args)
    yield one
    one.stop()


@pytest.fixture(scope="session")
def nginx(session_folder):
    """nginx; .www is what it serves, .bodies what was sent to /sink."""
    folder = session_folder / "nginx"
    (folder / "www").mkdir(parents=True)
    one = start_nginx(folder)
    one.www, one.bodies = folder / "www", folder / "body"
    (one.www / "index.html").write_text("<!doctype html><title>nginx</title>" + "<p>hello from nginx</p>" * 200)
    yield one
    one.stop()


@pytest.fixture(scope="session")
def prometheus(session_folder):
    yield from program(start_prometheus, session_folder / "prometheus")


class Stage:
    """A daemon with one worker in front of an origin that the test plays; client() is a new connection to it."""

    def __init__(self, weir, origin):
        self.weir, self.origin = weir, origin
        self.opened = []

    def client(self, **how):
        client = self.weir.connect(**how)
        self.opened.append(client)
        return client

    def exchange(self, client, sent, reply):
        """Sends bytes, replies with bytes: (the request that the origin saw, the answer that the client saw)."""
        client.send(sent)
        connection = self.origin.take()
        request = connection.request()
        connection.send(reply)
        return request, client.response(to=request.method)

    def clear(self):
        """No connection of this test reaches into the next one: resets, as a closed one could be merely half closed."""
        for client in self.opened:
            client.reset()
        self.opened.clear()
        eventually(lambda: self.weir.status()["connections"] == 0, "the test's connections are over")
        self.origin.close_all()


@pytest.fixture(scope="module")
def module_stage():
    origin = Origin()
    try:
        with daemon.serving(f"workers 1;\nsite _ {{ proxy {origin.url}; }}") as weir:
            yield Stage(weir, origin)
    finally:
        origin.stop()


@pytest.fixture
def stage(module_stage):
    yield module_stage
    module_stage.clear()
