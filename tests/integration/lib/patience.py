# SPDX-License-Identifier: BSD-2-Clause
"""How long to wait for what must come: nothing here sleeps for a fixed time, everything ends.

Units: seconds. PATIENCE bounds each single wait; SLOWNESS stretches promises about time in builds with sanitizers."""

import os
import pathlib
import select
import time

WEIR_BIN = os.environ.get("WEIR_BIN", "")


def is_sanitized():
    if not WEIR_BIN or not pathlib.Path(WEIR_BIN).exists():
        return False
    program = pathlib.Path(WEIR_BIN).read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program


SLOWNESS = 4 if is_sanitized() else 1
PATIENCE = 15.0


def eventually(condition, what, patience=PATIENCE):
    """The first true value of condition(), asked again and again; fails with `what` when none comes."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {patience} s: {what}"
        select.select([], [], [], 0.01)
