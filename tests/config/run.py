# SPDX-License-Identifier: BSD-2-Clause
"""`weir check` on files: good/ must bind, bad/NAME.conf must fail with exactly the words of bad/NAME.err.

Also: the shipped conf.d, each module's runnable example, and every complete configuration in the documentation.
In an .err file the path of the .conf is written as its bare name. Prints TAP.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

TOP = pathlib.Path(os.environ["WEIR_TOP"])
HERE = TOP / "tests" / "config"
WEIR = os.environ["WEIR_BIN"]
MODULES = pathlib.Path(os.environ["WEIR_MODULES"])


def check(scratch, path):
    """Exit status and output of `weir check` for one file, with the modules of this build."""
    ours = {"modules_dir": MODULES, "state_dir": scratch / "state"}
    said = [f"{name} {value};\n" for name, value in ours.items() if f"{name} " not in path.read_text()]
    main = scratch / "main.conf"
    main.write_text("".join(said) + f"include {path};\n")
    done = subprocess.run([WEIR, "check", "-c", str(main)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, cwd=scratch)
    return done.returncode, done.stdout + done.stderr


def missing_modules(text):
    names = re.findall(r"^\s*module\s+([a-z0-9-]+)\s*;", text, re.MULTILINE)
    return [name for name in names if not (MODULES / f"{name}.so").exists() and (TOP / "modules" / name).is_dir()]


def binds(scratch, path):
    status, output = check(scratch, path)
    return [] if status == 0 else [f"exit status {status}", *output.splitlines()]


def fails_as_told(scratch, path):
    status, output = check(scratch, path)
    shown = output.replace(f"{path.parent}/", "")
    expected = path.with_suffix(".err").read_text()
    if status == 1 and shown == expected:
        return []
    return [f"exit status {status}, expected 1 and:", *expected.splitlines(), "got:", *shown.splitlines()]


def in_scratch(scratch, text, name):
    """A copy whose absolute paths lie in the scratch folder, for examples that name /etc and /var; data files that
    modules have for examples lie beside it, and in fixtures/, as beside the module's own."""
    path = scratch / name
    (scratch / "fixtures").mkdir(exist_ok=True)
    for data in TOP.glob("modules/*/fixtures/*"):
        for place in (scratch, scratch / "fixtures"):
            if not (place / data.name).exists():
                (place / data.name).symlink_to(data)
    path.write_text(re.sub(r"/(etc|var/log)/weir", str(scratch), text))
    return path


def documented(path):
    """Fenced blocks marked ```weir are whole configurations."""
    blocks = re.findall(r"^```weir\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    return [(f"{path.relative_to(TOP)} block {number}", block) for number, block in enumerate(blocks, 1)]


def cases():
    for path in sorted(HERE.glob("good/*.conf")):
        yield f"good/{path.name}", path.read_text(), lambda scratch, path=path: binds(scratch, path)
    for path in sorted(HERE.glob("bad/*.conf")):
        yield f"bad/{path.name}", path.read_text(), lambda scratch, path=path: fails_as_told(scratch, path)
    examples = [(str(path.relative_to(TOP)), path.read_text()) for path in sorted(TOP.glob("modules/*/*.conf"))]
    shipped = "\n".join(path.read_text() for path in sorted(TOP.glob("conf.d/*.conf")) if path.name != "weir.conf")
    examples.append(("conf.d", shipped))
    for path in [TOP / "README.md", *sorted(TOP.glob("docs/**/*.md")), *sorted(TOP.glob("modules/*/*.md"))]:
        examples += documented(path)
    for name, text in examples:
        yield name, text, lambda scratch, text=text: binds(scratch, in_scratch(scratch, text, "example.conf"))


def has_check():
    """False for a program that does not know the command yet: it then takes a file that cannot be for a good one."""
    done = subprocess.run([WEIR, "check", "-c", "/nonexistent/weir.conf"], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=60, check=False)
    return done.returncode != 0


def main():
    if not has_check():
        print("1..0 # SKIP this weir has no check command")
        return
    count = 0
    for count, (name, text, judge) in enumerate(cases(), 1):
        absent = missing_modules(text)
        if absent:
            print(f"ok {count} - {name} # SKIP module not built: {' '.join(absent)}")
            continue
        with tempfile.TemporaryDirectory(prefix="weir-config-") as scratch:
            findings = judge(pathlib.Path(scratch))
        for finding in findings:
            print(f"# {finding}")
        print(f"{'not ok' if findings else 'ok'} {count} - {name}", flush=True)
    print(f"1..{count}" if count else "1..0 # SKIP no configuration to check")


if __name__ == "__main__":
    sys.exit(main())
