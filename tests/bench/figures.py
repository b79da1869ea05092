# SPDX-License-Identifier: BSD-2-Clause
"""What the kernel knows about a process and its children."""
import pathlib


def family(pid):
    """pid and all its descendants."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                todo += [int(child) for child in task.read_text().split()]
            except OSError:
                pass
    return found


def cpu_ns(pid):
    """CPU time of all threads of the family so far."""
    total = 0
    for member in family(pid):
        for path in pathlib.Path(f"/proc/{member}/task").glob("*/schedstat"):
            try:
                total += int(path.read_text().split()[0])
            except OSError:
                pass
    return total


def resident_bytes(pid):
    """Private resident memory of the family."""
    total = 0
    for member in family(pid):
        try:
            for line in pathlib.Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    total += int(line.split()[1]) * 1024
        except OSError:
            pass
    return total
