"""Processor time of processes, from /proc: microseconds that a process and its children have used."""

import os
from collections.abc import Iterable
from pathlib import Path

TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")


def used_us(pid: int) -> float:
    """Returns what a process, its live children and those it has reaped have used."""
    return sum(_ticks(one) for one in _family(pid)) * TICK_US


def _family(pid: int) -> Iterable[int]:
    yield pid
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and _fields(int(path.name))[1:2] == [str(pid)]:
            yield from _family(int(path.name))


def _fields(pid: int) -> list[str]:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _ticks(pid: int) -> int:
    fields = _fields(pid)
    # utime, stime, and what reaped children used (cutime, cstime).
    return sum(int(fields[index]) for index in (11, 12, 13, 14)) if fields else 0
