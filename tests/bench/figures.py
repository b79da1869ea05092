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


def fields_of(pid, file):
    """{field: kB} of a file such as /proc/PID/status; empty when the process is gone."""
    found = {}
    try:
        for line in pathlib.Path(f"/proc/{pid}/{file}").read_text().splitlines():
            words = line.split()
            if len(words) == 3 and words[2] == "kB":
                found[words[0].rstrip(":")] = int(words[1])
    except OSError:
        pass
    return found


def resident_bytes(pid):
    """Private resident memory of the family."""
    maps = [fields_of(member, "smaps_rollup") for member in family(pid)]
    return 1024 * sum(one.get("Private_Clean", 0) + one.get("Private_Dirty", 0) for one in maps)


def proportional_bytes(pid):
    """Resident memory of the family, pages that several processes share counted once among them (Pss)."""
    return 1024 * sum(fields_of(member, "smaps_rollup").get("Pss", 0) for member in family(pid))


def begin_peak(pid):
    """What peak_bytes tells begins now."""
    for member in family(pid):
        try:
            pathlib.Path(f"/proc/{member}/clear_refs").write_text("5")
        except OSError:
            pass


def peak_bytes(pid):
    """Most resident memory since begin_peak, program text and other files' pages left out."""
    total = 0
    for member in family(pid):
        status = fields_of(member, "status")
        total += max(0, status.get("VmHWM", 0) - status.get("RssFile", 0))
    return 1024 * total
