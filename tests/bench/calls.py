# SPDX-License-Identifier: BSD-2-Clause
"""System calls for each request, by strace, in runs of their own: a traced proxy's CPU time means nothing."""
import collections
import re
import shutil
import signal
import subprocess
import tempfile

import figures


def count(scenario, proxy, requests):
    """{call: how often per unit}; empty without strace."""
    if not shutil.which("strace"):
        return {}
    with tempfile.NamedTemporaryFile("r") as out:
        family = figures.family(proxy.pid)
        pids = [word for pid in family for word in ("-p", str(pid))]
        tracer = subprocess.Popen(["strace", "-f", "-c", "-o", out.name, *pids], stderr=subprocess.PIPE, text=True)
        attached = 0
        while attached < len(family):
            line = tracer.stderr.readline()
            if not line:
                return {}
            attached += "attached" in line
        done, _ = scenario.load(proxy, requests)
        tracer.send_signal(signal.SIGINT)
        tracer.communicate()
        found = collections.Counter()
        for line in out.read().splitlines():
            words = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
            if words and words[2] != "total":
                found[words[2]] += int(words[1])
    units = max(1, done * scenario.units)
    return {name: number / units for name, number in found.most_common() if number / units >= 0.02}
