# SPDX-License-Identifier: BSD-2-Clause
"""Each abuse of HTTP/2 against a live server, as fast as it goes, with a well-behaved client beside it that notices
nothing; `pytest -s` prints the figures. WEIR_ABUSE_SECONDS: how long each (0.5)."""

import json
import os
import re
import statistics
import subprocess
import sys
import time

import pytest

from lib import http2, http2_attacker
from lib.patience import IS_SANITIZED, PATIENCE, eventually
from lib.program import start_named_nginx

MB = 1024 * 1024
SECONDS = float(os.environ.get("WEIR_ABUSE_SECONDS", "0.5"))
CONNECTIONS = 16
MEMORY = CONNECTIONS * (20 if not IS_SANITIZED else 60) * MB  # more than before: what each connection may hold


def counted(house, kinds):
    """Connections that were ended for one of the kinds."""
    text = house.get("/metrics").body.decode()
    found = re.findall(rf'^weir_http2_abuses_total\{{kind="(?:{kinds})"\}} (\d+)$', text, re.MULTILINE)
    assert len(found) == len(kinds.split("|")), text
    return sum(map(int, found))


class Neighbour:
    """One connection for all its requests; each is answered rightly, or it says so."""

    def __init__(self, house):
        self.client = http2.connect(house)

    def ask(self):
        """Seconds that one answer of weir's own and one of the origin took together."""
        began = time.monotonic()
        assert self.client.get("/own").body == b"own"
        assert self.client.get("/page").body == b"neighbour"
        assert not self.client.goaway_frame
        return time.monotonic() - began

    def ask_for(self, seconds, going=lambda: True):
        taken, end = [], time.monotonic() + seconds
        while len(taken) < 6 or (time.monotonic() < end and going()):
            taken.append(self.ask())
        return taken


@pytest.fixture(scope="module")
def quiet(session_folder):
    """The neighbour's origin: what attackers do to theirs is not weir's to mend."""
    one = start_named_nginx(session_folder / "neighbour", "neighbour")
    yield one
    one.stop()


@pytest.mark.parametrize("kind", http2_attacker.KINDS)
def test_a_neighbour_notices_nothing(weir, nginx, quiet, kind):
    (nginx.www / "large.bin").write_bytes(b"x" * 10 * MB)
    house = weir(f"workers 2; timeout body=5s send=5s;\nsite _ {{ proxy {nginx.url}; "
                 f"route = /own {{ respond 200 own; }} route = /page {{ proxy {quiet.url}; }} "
                 "route = /metrics { metrics; } }")
    neighbour = Neighbour(house)
    alone = neighbour.ask_for(min(SECONDS, 4))
    before = house.memory()
    house.forget_peak()
    attack = subprocess.Popen([sys.executable, http2_attacker.__file__, kind, str(house.http_port), str(SECONDS),
                               str(CONNECTIONS)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        beside = neighbour.ask_for(SECONDS + PATIENCE, lambda: attack.poll() is None)
        said = attack.communicate(timeout=PATIENCE)[0]
    finally:
        attack.kill()
        attack.wait()
    done, peak = json.loads(said), house.peak_memory()
    print(f"\n| {kind} | {done['connections']} | {done['frames']:,} | {before / MB:.1f} | {peak / MB:.1f} | "
          f"{statistics.median(alone) * 1000:.2f} | {statistics.median(beside) * 1000:.2f} | {max(alone) * 1000:.0f} | "
          f"{statistics.quantiles(beside, n=100)[98] * 1000:.1f} | {max(beside) * 1000:.0f} |")
    assert peak < before + MEMORY
    kinds = http2_attacker.KINDS[kind][2]
    assert kinds is None or counted(house, kinds) > 0
    eventually(lambda: house.status()["connections"] <= 1, "they are all gone", PATIENCE * 2)
    neighbour.ask()
