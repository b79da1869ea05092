# SPDX-License-Identifier: BSD-2-Clause
"""How long to wait for what must come: nothing here sleeps for a fixed time, everything ends.

Units: seconds. PATIENCE bounds each single wait; SLOWNESS stretches promises about time in builds with sanitizers."""

import os
import pathlib
import select
import time

WEIR_BIN = os.environ.get("WEIR_BIN", "")


def is_built_with(sanitizer):
    program = pathlib.Path(WEIR_BIN)
    return bool(WEIR_BIN) and program.exists() and f"__{sanitizer}_init".encode() in program.read_bytes()


IS_TSAN = is_built_with("tsan")
IS_SANITIZED = IS_TSAN or is_built_with("asan")
SLOWNESS = 4 if IS_SANITIZED else 1
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
