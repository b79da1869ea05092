# SPDX-License-Identifier: BSD-2-Clause
"""pytest plugin: one TAP line per case on the descriptor $WEIR_TAP_FD."""

import os

out = os.fdopen(int(os.environ.get("WEIR_TAP_FD", "1")), "w", buffering=1, closefd=False)
count = 0


def emit(ok, name, note=""):
    global count
    count += 1
    print(f"{'ok' if ok else 'not ok'} {count} - {name}{note}", file=out)


def pytest_runtest_logreport(report):
    name = report.nodeid.replace("#", "_")
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
        emit(True, name, f" # SKIP {reason}".replace("\n", " "))
    elif report.failed:
        emit(False, name if report.when == "call" else f"{name} ({report.when})")
        for line in report.longreprtext.splitlines():
            print(f"# {line}", file=out)
    elif report.when == "call":
        emit(True, name)


def pytest_collectreport(report):
    if report.failed:
        emit(False, f"{report.nodeid} (collection)")
        for line in report.longreprtext.splitlines():
            print(f"# {line}", file=out)


def pytest_sessionfinish():
    print(f"1..{count}" if count else "1..0 # SKIP no integration test of that name", file=out)
