"""Running a command until its output says something, and noting when."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 60.0


@dataclass
class Watched:
    """When each marker appeared, in seconds after `start`, and what the process's memory was at the end, in bytes."""

    seconds: dict[bytes, float]
    resident: int


def watch(command: Sequence[str], markers: Sequence[bytes], *, start: float | None = None) -> Watched:
    """Runs `command` until its standard output had all `markers`, in this order, then ends it."""
    start = time.perf_counter() if start is None else start
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    try:
        seconds = watch_descriptor(process.stdout.fileno(), markers, start, command[0])
        return Watched(seconds, resident(process.pid))
    finally:
        process.kill()
        process.communicate()


def watch_descriptor(descriptor: int, markers: Sequence[bytes], start: float, whom: str) -> dict[bytes, float]:
    """When each of `markers` was read from `descriptor`, in seconds after `start`."""
    seen = b""
    seconds: dict[bytes, float] = {}
    waiting = list(markers)
    while waiting:
        left = start + PATIENCE - time.perf_counter()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise SystemExit(f"{whom}: no {waiting[0]!r} within {PATIENCE:.0f} s; it said {seen[-200:]!r}")
        chunk = os.read(descriptor, 65536)
        now = time.perf_counter() - start
        if not chunk:
            raise SystemExit(f"{whom} ended before {waiting[0]!r}; it said {seen[-200:]!r}")
        seen += chunk
        while waiting and waiting[0] in seen:
            seconds[waiting[0]] = now
            seen = seen[seen.index(waiting[0]) + len(waiting[0]) :]
            waiting.pop(0)
    return seconds


def resident(pid: int) -> int:
    """The memory of process `pid` that is in use, in bytes."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(fields["VmRSS"].split()[0]) * 1024
