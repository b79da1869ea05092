# SPDX-License-Identifier: BSD-2-Clause
"""docs/writing-a-module.md, done as it says: its code built with its own commands, loaded, and asked.

Blocks of the page are told by what stands behind their opening fence: `c FILE` (blocks of one file are joined),
`sh build MODULE` (a command line), `weir FILE` (a configuration), `console FILE` (a session with the server that FILE
configures: "$ command", then exactly what it prints; in its folder, and with a port of this test for 8080)."""

import os
import pathlib
import re
import subprocess

import pytest

from lib.daemon import Weir
from lib.patience import WEIR_BIN, eventually
from lib.ports import free_port
from lib.program import need

TOP = pathlib.Path(os.environ["WEIR_TOP"])
BUILD = pathlib.Path(os.environ["WEIR_BUILD"])
PAGE = TOP / "docs" / "writing-a-module.md"


def blocks(kind):
    """{name: text} of the page's blocks of one kind."""
    found = {}
    for name, text in re.findall(rf"^```{kind} (\S+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        found[name] = f"{found[name]}\n{text}" if name in found else text
    return found


SOURCES, COMMANDS, CONFIGURATIONS, SESSIONS = map(blocks, ("c", "sh build", "weir", "console"))


def test_every_code_block_of_the_page_is_used():
    """A block that no test below takes would be a claim that nobody checks."""
    openings = re.findall(r"^```(\S.*)$", PAGE.read_text(), re.MULTILINE)
    assert [one for one in openings if not re.fullmatch(r"(c|sh build|weir|console) \S+", one)] == []
    assert sorted(SOURCES) == [f"{name}.c" for name in sorted(COMMANDS)]
    assert sorted(CONFIGURATIONS) == sorted(SESSIONS)
    assert {"hello", "tally", "rot13", "motd", "notice"} <= set(COMMANDS)


def shell(command, folder, env=None):
    return subprocess.run(["sh", "-c", command], cwd=folder, env=dict(os.environ, **(env or {})),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="session")
def pkg_config_path(session_folder):
    """This build's weir-module.pc, pointing at the headers of this tree."""
    folder = session_folder / "pkgconfig"
    folder.mkdir()
    text = (BUILD / "sdk" / "weir-module.pc").read_text()
    text, count = re.subn(r"^includedir=.*$", f"includedir={TOP / 'sdk' / 'include'}", text, flags=re.MULTILINE)
    assert count == 1
    (folder / "weir-module.pc").write_text(text)
    return str(folder)


@pytest.fixture(scope="session")
def modules(session_folder, pkg_config_path):
    """The page's modules, built; each file by its name."""
    need("cc")
    need("pkg-config")
    folder = session_folder / "writing-a-module"
    folder.mkdir()
    for name, text in SOURCES.items():
        (folder / name).write_text(text)
    for name, command in COMMANDS.items():
        done = shell(command, folder, {"PKG_CONFIG_PATH": pkg_config_path})
        assert done.returncode == 0 and not done.stderr, f"{name}: {done.stderr}"
    return {f"{name}.so": (folder / f"{name}.so").read_bytes() for name in COMMANDS}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_modules_export_one_symbol_and_import_none_of_weir(modules, folder, name):
    (folder / f"{name}.so").write_bytes(modules[f"{name}.so"])
    done = subprocess.run([need("nm"), "-D", folder / f"{name}.so"], capture_output=True, text=True, timeout=60,
                          check=True)
    symbols = [line.split()[-2:] for line in done.stdout.splitlines()]
    assert [symbol for kind, symbol in symbols if kind not in "Uwv"] == ["weir_module"]
    assert [symbol for kind, symbol in symbols if kind == "U" and "weir" in symbol] == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_module_check_takes_them(modules, folder, name):
    (folder / f"{name}.so").write_bytes(modules[f"{name}.so"])
    done = shell(f"'{WEIR_BIN}' module check ./{name}.so", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert name in done.stdout


def session(text):
    """[(command, expected output)]"""
    steps = []
    for line in text.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    return steps


@pytest.mark.parametrize("name", sorted(SESSIONS))
def test_session(modules, name):
    """Each command of the page prints what the page says."""
    need("curl")
    text, port = CONFIGURATIONS[name], str(free_port())
    steps = session(SESSIONS[name])
    is_served = any("curl" in command for command, _ in steps)
    weir = Weir(text.replace("8080", port), modules)
    (weir.folder / name).write_text(text.replace("8080", port))
    programs = weir.folder / "bin"
    programs.mkdir()
    (programs / "weir").symlink_to(WEIR_BIN)
    env = {"PATH": f"{programs}:{os.environ['PATH']}"}
    try:
        if is_served:
            weir.start()
        for command, expected in steps:
            done = shell(command.replace("8080", port), weir.folder, env)
            printed = (done.stdout + done.stderr).replace("\r", "").splitlines()
            assert printed == expected, command
        weir.stop()
    finally:
        weir.abandon()


def test_counts_of_tally_outlive_a_reload(modules):
    """The page says so: a dictionary is the process's."""
    limit = "module ./tally.so; tally_limit {}; site _ {{ respond 200 \"seen $tally_seen\"; }}"
    weir = Weir(limit.format(1), modules)
    try:
        weir.start()
        assert [weir.get().status for _ in range(2)] == [200, 429]
        weir.reload(limit.format(5))
        assert weir.get().text == "seen 3"
        weir.stop()
    finally:
        weir.abandon()


def test_rot13_turns_large_bodies_in_both_framings(modules, answering):
    """More than a hook's room, with a length and without one: every byte once, in order."""
    text = b"The quick brown fox jumps over the lazy dog. " * 20000
    turned = text.translate(bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                                            b"NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm"))

    def answer(request):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
        if request.target == "/length":
            return head + b"Content-Length: %d\r\n\r\n" % len(text) + text
        return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(text) + text + b"\r\n0\r\n\r\n"

    origin = answering(answer)
    weir = Weir(f"module ./rot13.so; rot13 on; site _ {{ proxy {origin.url}; }}", modules)
    try:
        weir.start()
        assert weir.get("/length").body == turned
        assert weir.get("/chunked").body == turned
        weir.stop()
    finally:
        weir.abandon()


def test_motd_lets_go_of_clients_that_leave(modules):
    """The job ends although its request has gone: drop is called, nothing else, and the next client is served."""
    weir = Weir("module ./motd.so; site _ { motd message.txt; }", {**modules, "message.txt": "hi"})
    try:
        weir.start()
        for _ in range(50):
            weir.connect().request("GET", "/").reset()
        assert weir.get().text == "hi"
        weir.stop()
    finally:
        weir.abandon()


def test_notice_outlives_a_restart_and_says_why_it_was_not_fetched(modules):
    """A command, a job and a fetch, none of them for a request."""
    text = f"module ./notice.so; notice_from http://127.0.0.1:{free_port()} every=1s; site _ {{ respond 204; }}"
    weir = Weir(text, modules)
    try:
        weir.start()
        assert weir.cli("notice", "set", "mind the step").returncode == 0
        assert weir.get().get("X-Notice") == "mind the step"
        eventually(lambda: [note["text"] for note in weir.status()["notes"] if note["subject"] == "source"]
                   == ["not fetched: connection refused"], "the reason in the status")
        path = weir.folder / "state" / "notice" / "text"
        eventually(lambda: path.exists() and path.read_text() == "mind the step", "the line in the file")
        weir.terminate()
        weir.wait()
        (weir.folder / "notify.sock").unlink()
        weir.notified.clear()
        weir.start()
        assert weir.get().get("X-Notice") == "mind the step"
        assert weir.cli("notice", "show").stdout == "mind the step\n"
        refused = weir.cli("notice", "sing")
        assert refused.returncode == 1 and refused.stderr == "usage: weir notice show | set TEXT\n"
        weir.stop()
    finally:
        weir.abandon()
