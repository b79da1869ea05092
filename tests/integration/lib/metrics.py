# SPDX-License-Identifier: BSD-2-Clause
"""Figures in the text format of Prometheus, read strictly; promtool has the last word on the format."""

import re
import subprocess

from lib.program import need

SAMPLE = re.compile(r'([a-z_0-9]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[0-9.]+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"')
ESCAPES = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}


def unescaped(value):
    return re.sub(r"\\.", lambda match: ESCAPES[match[0]], value)


class Metrics:
    """metrics["weir_requests_total", "site=a.test", "code=2xx"]: the sample with exactly these labels."""

    def __init__(self, text):
        self.text = text if isinstance(text, str) else text.decode("utf-8")
        self.samples = {}
        self.kinds = {}
        for line in self.text.splitlines():
            if line.startswith("# TYPE "):
                name, kind = line.split(" ")[2:]
                assert name not in self.kinds, f"{name} stands twice"
                self.kinds[name] = kind
            if line.startswith("#"):
                continue
            found = SAMPLE.fullmatch(line)
            assert found, line
            labels = [f"{name}={unescaped(value)}" for name, value in LABEL.findall(found[2] or "")]
            key = (found[1], *sorted(labels))
            assert key not in self.samples, f"twice: {line}"
            self.samples[key] = float(found[3])

    def __getitem__(self, key):
        name, *labels = key if isinstance(key, tuple) else (key,)
        return self.samples[(name, *sorted(labels))]

    def all(self, name, *labels):
        """Values of all samples of that name that have these labels, and maybe others."""
        return [value for key, value in self.samples.items() if key[0] == name and set(labels) <= set(key[1:])]

    def sum(self, name, *labels):
        return sum(self.all(name, *labels))

    def buckets(self, name, *labels):
        """Of one histogram, as printed: (bound, count)."""
        found = []
        for key, value in self.samples.items():
            if key[0] == f"{name}_bucket" and set(labels) <= set(key[1:]):
                bound = next(label[3:] for label in key[1:] if label.startswith("le="))
                found.append((float(bound.replace("+Inf", "inf")), value))
        return found

    def check(self):
        """What promtool says; histograms' buckets rise to their count."""
        done = subprocess.run([need("promtool"), "check", "metrics"], input=self.text, capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 0 and not done.stdout and not done.stderr, done.stdout + done.stderr
        for name in [name for name, kind in self.kinds.items() if kind == "histogram"]:
            for key in [key for key in self.samples if key[0] == f"{name}_count"]:
                buckets = self.buckets(name, *key[1:])
                counts = [count for _, count in buckets]
                assert counts == sorted(counts) and [bound for bound, _ in buckets] == sorted(b for b, _ in buckets)
                assert counts[-1] == self.samples[key]
        return self


def metrics_of(weir):
    code, text = weir.ask("GET", "/v1/metrics")
    assert code == 200
    return Metrics(text)
