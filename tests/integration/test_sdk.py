# SPDX-License-Identifier: BSD-2-Clause
"""What an author of a module has: pkg-config, headers, a template; outside the tree, nothing else of weir's."""

import os
import re
import shutil
import subprocess

import pytest

from lib.daemon import Weir, run_weir
from lib.program import need

BUILD = os.environ.get("WEIR_BUILD", "")


@pytest.fixture(scope="session")
def installed(session_folder):
    """weir's development files, installed below a folder of their own; what pkg-config then needs."""
    need("pkg-config")
    root = session_folder / "installed"
    done = subprocess.run(["make", "-C", BUILD, "install-data", "install-exec", f"DESTDIR={root}"], capture_output=True,
                          text=True, timeout=300, env={name: value for name, value in os.environ.items()
                                                       if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")})
    assert done.returncode == 0, done.stderr[-3000:]
    found = next(root.rglob("weir-module.pc"))
    return dict(os.environ, PKG_CONFIG_PATH=str(found.parent), PKG_CONFIG_SYSROOT_DIR=str(root), MAKEFLAGS="",
                WEIR=os.environ["WEIR_BIN"], WEIR_TEMPLATE=str(next(root.rglob("weir/template"))))


def build(env, folder, *args):
    return subprocess.run(["make", "-C", str(folder), *args], env=env, capture_output=True, text=True, timeout=120)


@pytest.fixture
def hello(installed, folder):
    """`weir module new hello && make`: the folder with hello.so."""
    done = run_weir("module", "new", "hello", cwd=folder, env=installed)
    assert done.returncode == 0, done.stderr
    made = build(installed, folder / "hello")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "warning" not in made.stderr
    return folder / "hello"


def symbols(path, *how):
    done = subprocess.run([need("nm"), "-D", *how, str(path)], capture_output=True, text=True, check=True)
    return [line.split()[-1].partition("@")[0] for line in done.stdout.splitlines()]


def test_one_export_and_no_symbol_of_weir(hello):
    assert symbols(hello / "hello.so", "--defined-only", "--extern-only") == ["weir_module"]
    assert not [name for name in symbols(hello / "hello.so", "--undefined-only") if "weir" in name]


def test_it_is_checked_loads_and_works(hello, installed):
    done = run_weir("module", "check", hello / "hello.so")
    assert done.returncode == 0 and "hello" in done.stdout, done.stderr
    one = Weir(f'module {hello}/hello.so; hello "from $client_addr"; site a.test {{ respond 200 ok; }}'
               ' site b.test { hello "b"; respond 200 ok; }')
    try:
        one.start()
        assert one.get().get("X-hello") == "from 127.0.0.1"
        assert one.get(host="b.test").get("X-hello") == "b"
        assert "hello" in one.cli("modules").stdout
        one.reload(f"module {hello}/hello.so; site a.test {{ respond 200 ok; }}")
        assert not one.get().has("X-hello")
        one.stop()
    finally:
        one.abandon()


def test_the_templates_own_check(hello, installed):
    """`make check` of a new module, as its README says."""
    made = build(installed, hello, "check")
    assert made.returncode == 0, made.stdout + made.stderr


def numbers(installed):
    """ABI major and minor of the headers."""
    root = installed["PKG_CONFIG_SYSROOT_DIR"]
    text = "".join(open(os.path.join(folder, name)).read() for folder, _, names in os.walk(root) for name in names
                   if folder.endswith("include/weir") and name in ("abi.h", "module.h"))
    return [int(re.search(rf"#define WEIR_ABI_{which} (\d+)u\b", text)[1]) for which in ("MAJOR", "MINOR")]


def test_a_module_for_a_newer_minor_is_refused_naming_both(hello, installed):
    """The sentence tells what it needs and what this weir has."""
    major, minor = numbers(installed)
    source = hello / "hello.c"
    text = source.read_text()
    assert ".version" in text
    source.write_text(text.replace("WEIR_MODULE(hello,", f"WEIR_MODULE(hello, .abi_minor = {minor + 7},", 1))
    (hello / "hello.so").unlink()
    made = build(installed, hello, "CFLAGS=-O1 -Wno-override-init")
    assert made.returncode == 0, made.stdout + made.stderr
    for done in (run_weir("module", "check", hello / "hello.so"), run_weir("check", "-c", hello / "hello.conf")):
        assert done.returncode == 1
        assert f"{major}.{minor + 7}" in done.stdout + done.stderr and f"{major}.{minor}" in done.stdout + done.stderr


@pytest.mark.parametrize("content", [b"", b"not a library", b"\x7fELF" + b"\0" * 200])
def test_what_is_no_module_is_refused_with_a_sentence(folder, content):
    (folder / "x.so").write_bytes(content)
    (folder / "weir.conf").write_text(f"state_dir .;\nmodule {folder}/x.so;\n")
    for done in (run_weir("module", "check", folder / "x.so"), run_weir("check", "-c", folder / "weir.conf")):
        assert done.returncode == 1 and "x.so" in done.stdout + done.stderr


def test_a_library_that_is_no_module_is_refused(folder):
    (folder / "plain.c").write_text("int answer(void) { return 42; }\n")
    compiler = os.environ.get("WEIR_CC", "cc").split()
    subprocess.run([*compiler, "-shared", "-fPIC", "-o", str(folder / "plain.so"), str(folder / "plain.c")], check=True)
    done = run_weir("module", "check", folder / "plain.so")
    assert done.returncode == 1 and "weir_module" in done.stdout + done.stderr


def test_an_existing_folder_is_not_written_over(installed, folder):
    (folder / "hello").mkdir()
    (folder / "hello" / "hello.c").write_text("mine")
    done = run_weir("module", "new", "hello", cwd=folder, env=installed)
    assert done.returncode == 1 and (folder / "hello" / "hello.c").read_text() == "mine"


@pytest.mark.parametrize("name", ["Hello", "9lives", "a b", "../up", ""])
def test_names_that_no_module_may_have(installed, folder, name):
    done = run_weir("module", "new", name, cwd=folder, env=installed)
    assert done.returncode in (1, 2) and os.listdir(folder) == []


def test_a_module_that_was_replaced_on_disk_needs_a_restart(hello, installed):
    """What is loaded stays; the reload says so instead of half applying it."""
    text = f'module {hello}/hello.so; hello "%s"; site a.test {{ respond 200 ok; }}'
    one = Weir(text % "old")
    try:
        one.start()
        source = (hello / "hello.c").read_text()
        (hello / "hello.c").write_text(source.replace('.version = "0.1.0"', '.version = "0.2.0"'))
        shutil.copy(hello / "hello.so", hello / "kept.so")
        (hello / "hello.so").unlink()
        assert build(installed, hello).returncode == 0
        one.write(text % "new")
        done = one.cli("reload")
        said = done.stdout + done.stderr
        assert done.returncode == 1 and "hello" in said and ("restart" in said or "upgrade" in said)
        assert one.get().get("X-hello") == "old"
        one.stop()
    finally:
        one.abandon()
