"""Guest programs, and running a command until its output says something, and noting when."""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 60.0


def assembled(folder: Path, name: str, *defines: str) -> Path:
    """The disk image in `folder` of the guest program `name`."""
    image, guests = folder / f"{'-'.join((name, *defines))}.img", Path(__file__).parent / "guests"
    options = [f"-I{guests}/", *(f"-D{define}" for define in defines)]
    subprocess.run(["nasm", "-f", "bin", *options, "-o", str(image), str(guests / f"{name}.asm")], check=True)
    return image


@dataclass
class Memory:
    """A process's memory, in bytes: what it uses, the most it ever used, and what is the guest's RAM of the former."""

    resident: int
    peak: int
    guest: int = 0

    @property
    def beyond(self) -> int:
        """What it uses beyond the guest's."""
        return self.resident - self.guest


@dataclass
class Watched:
    """When each marker appeared, in seconds after `start`; the process's CPU time until then, and memory at the end."""

    seconds: dict[bytes, float]
    memory: Memory
    cpu: dict[bytes, float]


def watch(
    command: Sequence[str], markers: Sequence[bytes], *, start: float | None = None, guest: int | None = None
) -> Watched:
    """Runs `command` until its standard output had all `markers`, in this order, then ends it.

    `guest` is the size of the guest's RAM, if its part of the memory is wanted.
    """
    # Whoever installed Southbridge has its bytecode, even if it isn't written where this runs.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter() if start is None else start
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    try:
        cpu: dict[bytes, float] = {}
        seconds = watch_descriptor(
            process.stdout.fileno(), markers, start, command[0], seen=lambda it: cpu.update({it: cpu_time(process.pid)})
        )
        return Watched(seconds, memory(process.pid, guest), cpu)
    finally:
        process.kill()
        process.communicate()


def watch_descriptor(
    descriptor: int,
    markers: Sequence[bytes],
    start: float,
    whom: str,
    *,
    seen: Callable[[bytes], None] = lambda marker: None,
) -> dict[bytes, float]:
    """When each of `markers` was read from `descriptor`, in seconds after `start`; `seen` is told of each."""
    text = b""
    seconds: dict[bytes, float] = {}
    waiting = list(markers)
    while waiting:
        left = start + PATIENCE - time.perf_counter()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise SystemExit(f"{whom}: no {waiting[0]!r} within {PATIENCE:.0f} s; it said {text[-200:]!r}")
        chunk = os.read(descriptor, 65536)
        now = time.perf_counter() - start
        if not chunk:
            raise SystemExit(f"{whom} ended before {waiting[0]!r}; it said {text[-200:]!r}")
        text += chunk
        while waiting and waiting[0] in text:
            seconds[waiting[0]] = now
            text = text[text.index(waiting[0]) + len(waiting[0]) :]
            seen(waiting.pop(0))
    return seconds


def memory(pid: int, guest: int | None = None) -> Memory:
    """The memory of process `pid`. The guest's RAM is the smallest mapping that is large enough:
    Linux joins neighbours.
    """
    status = _kibibytes(Path(f"/proc/{pid}/status").read_text())
    inside = 0
    if guest is not None:
        mappings = Path(f"/proc/{pid}/smaps").read_text().split("\nVmFlags")
        large = [found for found in map(_kibibytes, mappings) if found.get("Size", 0) >= guest]
        inside = min(large, key=lambda found: found["Size"])["Rss"]
    return Memory(status["VmRSS"], status["VmHWM"], inside)


def cpu_time(pid: int) -> float:
    """What process `pid` used of CPUs, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _kibibytes(text: str) -> dict[str, int]:
    """The lines of the form "name: number kB", in bytes."""
    return {name: int(number) * 1024 for name, number in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
