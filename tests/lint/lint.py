# SPDX-License-Identifier: BSD-2-Clause
"""What review should not have to look for: include direction, style of every line, file names, the tarball's list.

Prints TAP, one case a rule, each finding as a comment "# file:line: what". Reads the files git knows; in a tree without
git those of the release tarball, which make check lists in $WEIR_BUILD/tests/lint/distfiles. $WEIR_TOP is the tree.
"""

import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(os.environ.get("WEIR_TOP") or pathlib.Path(__file__).resolve().parents[2])
BUILD = pathlib.Path(os.environ["WEIR_BUILD"]) if os.environ.get("WEIR_BUILD") else None

# Layer -> server folders whose headers it may include (a file sees its own layer and those below).
MAY_INCLUDE = {
    "base": {"base"},
    "loop": {"base", "loop"},
    "net": {"base", "loop", "net"},
    "http": {"base", "http"},
    "config": {"base", "config"},
    "pipeline": {"base", "loop", "net", "http", "config", "pipeline"},
    "upstream": {"base", "loop", "net", "http", "config", "pipeline", "upstream"},
    "app": {"base", "loop", "net", "http", "config", "pipeline", "upstream", "app"},
}

# Folders that see only the value types of the SDK, and what else of it they may name: net implements its transports
# and takes struct weir_cidr from conf.h; config binds its directive tables. Layers not listed see all of it.
SDK_VALUES = {"abi.h"}
SDK_SEEN = {
    "base": SDK_VALUES,
    "loop": SDK_VALUES,
    "net": SDK_VALUES | {"conf.h", "conn.h"},
    "http": SDK_VALUES,
    "config": SDK_VALUES | {"conf.h"},
}

# A library lives behind one folder (or one file) of ours.
LIBRARY_HOMES = [
    (re.compile(r"event2/|event\.h$|evutil"), ("server/loop/",)),
    (re.compile(r"openssl/"), ("modules/tls/", "modules/auth/")),
    (re.compile(r"^crypt\.h$"), ("modules/auth/",)),
    (re.compile(r"^jansson\.h$"), ("modules/auth/", "modules/ratelimit/decisions.c")),
    (re.compile(r"zlib\.h$"), ("modules/gzip/",)),
    (re.compile(r"maxminddb"), ("modules/geoip/",)),
    (re.compile(r"pcre2"), ("server/app/house/regex.",)),
    (re.compile(r"^ares\.h$"), ("server/loop/resolver.",)),
    (re.compile(r"nghttp2/"), ("server/http/",)),
    (re.compile(r"dlfcn\.h$"), ("server/app/", "sdk/harness/")),
]

GENERATED = re.compile(
    r"^(configure~?|aclocal\.m4|config\.h\.in~?|Makefile\.in|m4/(libtool|lt[a-z~]*)\.m4|\.tarball-version)$"
    r"|^(build|build-aux|autom4te\.cache|\.git|_build|_inst)/|(^|/)__pycache__/|\.(o|lo|la|a|so|log|trs)$")
DATA = re.compile(r"^tests/(fuzz/corpus|config)/|\.(err|pem|bin|mmdb)$")
NEVER_SHIPPED = re.compile(r"^\.git(ignore|attributes)$|^\.github/")

C_FILE = re.compile(r"\.[ch](\.in)?$")
CODE_FILE = re.compile(r"\.([ch](\.in)?|py|sh|mk|am|ac|m4|conf)$|^dev$|^\.ci/run$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
VAGUE_NAME = re.compile(r"(^|[^a-z])(util|utils|misc|helper|helpers|common|manager)([^a-z]|$)", re.IGNORECASE)


def git_files():
    """The tracked files, or None where there is no usable git checkout."""
    if not (TOP / ".git").exists():
        return None
    command = ["git", "-c", f"safe.directory={TOP}", "-C", str(TOP), "ls-files", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        return None
    return [name for name in listed.split("\0") if name and (TOP / name).is_file()]


def shipped_entries():
    """Files and folders that make dist packs, relative to the tree; None outside make check."""
    if BUILD is None:
        return None
    entries = (BUILD / "tests/lint/distfiles").read_text().split()
    # make writes them with the way to the source tree before them, or without it.
    paths = (BUILD / name if name.startswith("..") else TOP / name for name in entries)
    return {os.path.relpath(os.path.realpath(path), os.path.realpath(TOP)) for path in paths}


def files_below(entries):
    for path in (TOP / entry for entry in entries):
        yield from ([path] if path.is_file() else path.rglob("*"))


def untracked_tree():
    names = (path.relative_to(TOP).as_posix() for path in files_below(SHIPPED or ["."]) if path.is_file())
    return [name for name in names if not GENERATED.search(name)]


SHIPPED = shipped_entries()
TRACKED = git_files()
FILES = sorted(set(TRACKED if TRACKED is not None else untracked_tree()))
TEXT = {}
for file_name in FILES:
    if not DATA.search(file_name):
        TEXT[file_name] = (TOP / file_name).read_text(encoding="utf-8", errors="replace").splitlines()


def includes(files):
    for name in files:
        for number, line in enumerate(TEXT[name], 1):
            match = INCLUDE.match(line)
            if match:
                yield name, number, match[1] == '"', match[2]


def include_direction():
    """a file includes its own layer and lower ones; modules include <weir/...> alone"""
    for name, number, quoted, target in includes(n for n in TEXT if C_FILE.search(n)):
        parts = name.split("/")
        where = f"{name}:{number}"
        if parts[0] == "server" and len(parts) > 2:
            yield from server_include(where, parts[1], quoted, target)
        elif name.startswith("sdk/include/"):
            if quoted or not (target.startswith("weir/") or is_freestanding(target)):
                yield f"{where}: an SDK header includes <weir/...> and plain C headers only, not {target}"
        elif parts[0] == "modules":
            beside = (TOP / name).parent / target
            if quoted and not beside.is_file():
                yield f"{where}: a module includes <weir/...>, its library and its own files, not \"{target}\""


def server_include(where, layer, quoted, target):
    folder, slash, header = target.partition("/")
    if quoted and target == "config.h":
        return
    if quoted and not slash:
        yield f"{where}: write \"{layer}/{target}\", from server/"
    elif quoted and folder not in MAY_INCLUDE.get(layer, ()):
        yield f"{where}: {layer}/ may not include {folder}/ (architecture: own layer and lower ones)"
    elif not quoted and folder == "weir" and header not in SDK_SEEN.get(layer, {header}):
        yield f"{where}: {layer}/ may not include <{target}>"


def is_freestanding(target):
    return target in {"inttypes.h", "limits.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "string.h"}


def library_home():
    """each library is included in its one home"""
    for name, number, quoted, target in includes(n for n in TEXT if C_FILE.search(n) and not n.startswith("tests/")):
        for pattern, homes in LIBRARY_HOMES:
            if not quoted and pattern.match(target) and not name.startswith(homes):
                yield f"{name}:{number}: <{target}> belongs in {' or '.join(homes)}"


def opening():
    """every source begins with its SPDX line; a header, or a source that stands behind none, says what lives here"""
    for name, lines in TEXT.items():
        if not CODE_FILE.search(name) or name.endswith(".conf") or name.startswith("sdk/template/"):
            continue
        if not any("SPDX-License-Identifier: BSD-2-Clause" in line for line in lines[:2]):
            yield f"{name}:1: no SPDX line"
        if C_FILE.search(name) and not name.startswith("tests/") and not has_own_header(name):
            if len(lines) < 2 or not lines[1].startswith("/* " + name.split("/")[-1].removesuffix(".in") + ":"):
                yield f"{name}:2: no comment \"/* {name.split('/')[-1]}: what lives here\""


def has_own_header(name):
    """A source that includes a header of its folder is described there."""
    folders = {target.rpartition("/")[0].rpartition("/")[2] for _, _, quoted, target in includes([name]) if quoted}
    return name.endswith(".c") and not folders.isdisjoint({"", name.split("/")[-2]})


def lines_fit():
    """at most 120 columns, no tab in C, no white space at a line's end, a newline at the file's end"""
    for name, lines in TEXT.items():
        code = CODE_FILE.search(name)
        for number, line in enumerate(lines, 1):
            if code and len(line.expandtabs(8)) > 120:
                yield f"{name}:{number}: {len(line.expandtabs(8))} columns"
            if C_FILE.search(name) and "\t" in line:
                yield f"{name}:{number}: tab"
            if line != line.rstrip():
                yield f"{name}:{number}: white space at the end"
        raw = (TOP / name).read_bytes()
        if code and raw and not raw.endswith(b"\n"):
            yield f"{name}:{len(lines)}: no newline at the end"


def names_say_something():
    """no util, misc, helper, common or manager among file names"""
    for name in FILES:
        if VAGUE_NAME.search(name) and not DATA.search(name):
            yield f"{name}: a name that says nothing of what lives there"


def tarball_is_whole():
    """every tracked file is in the release tarball"""
    for name in TRACKED:
        parents = (str(parent) for parent in pathlib.PurePosixPath(name).parents)
        if name not in SHIPPED and not SHIPPED.intersection(parents) and not NEVER_SHIPPED.search(name):
            yield f"{name}: not in the tarball; add it to EXTRA_DIST in the local.mk of its folder"


def main():
    rules = [include_direction, library_home, opening, lines_fit, names_say_something, tarball_is_whole]
    failed = 0
    for number, rule in enumerate(rules, 1):
        if rule is tarball_is_whole and (TRACKED is None or SHIPPED is None):
            print(f"ok {number} - {rule.__doc__} # SKIP needs a git checkout and make check")
            continue
        findings = list(rule())
        for finding in findings:
            print(f"# {finding}")
        print(f"{'not ok' if findings else 'ok'} {number} - {rule.__doc__}")
        failed += bool(findings)
    print(f"1..{len(rules)}")
    # Under make check the lines above speak for themselves; on its own the status must.
    return 0 if BUILD else int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
