"""What the ways to start a kernel have in common: what they are asked, and what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..board import MemoryRange
from ..x86 import X86State
from .elf import Elf
from .memory import Room


@dataclass
class Request:
    """What a kernel is to be started with. `memory_map` is what it is told; `room` is what of that is still free."""

    memory_map: Sequence[MemoryRange]
    room: Room
    initrd: bytes = b""
    cmdline: bytes = b""
    rsdp: int = 0
    """Where ACPI's root pointer is; 0: there is none."""
    a20: bool = True
    tables: list[tuple[int, bytes]] = field(default_factory=list)
    """What lies in memory besides: addresses and bytes."""


@dataclass(frozen=True)
class MapPlace:
    """Where a kernel looks for the memory map: a firmware's own may be put there in place of ours.

    Entries as E820 gives them, 20 bytes, are at `ranges`, `stride` apart; at `count` is their number, 32 bits, and at
    `size` how many bytes they are, 16 bits; 0: nowhere.
    """

    ranges: int
    stride: int
    count: int = 0
    size: int = 0


@dataclass
class Start:
    """The CPU's first state, and what is to be in memory: `zeros` are ranges, addresses and sizes."""

    state: X86State
    memory_map: MapPlace
    pieces: list[tuple[int, bytes | memoryview]] = field(default_factory=list)
    zeros: list[tuple[int, int]] = field(default_factory=list)


class CannotStart(Exception):
    """A kernel can't be started so. `what` is the description's key that is wrong."""

    def __init__(self, what: str, message: str) -> None:
        self.what = what
        super().__init__(message)


def check_cmdline(cmdline: bytes, longest: int) -> None:
    """Raises CannotStart for a command line of more than `longest` bytes."""
    if len(cmdline) > longest:
        raise CannotStart("cmdline", f"it has {len(cmdline)} characters; this kernel takes {longest}")


def load_segments(elf: Elf, start: Start, request: Request, size: int = 0) -> None:
    """Has the segments of `elf` loaded where they say. What lies between them is the kernel's too, and `size` bytes in
    all at least. Raises DoesNotFit.
    """
    request.room.take("kernel", elf.start, max(elf.end - elf.start, size))
    for segment in elf.segments:
        start.pieces.append((segment.address, segment.data))
        if segment.size > len(segment.data):
            start.zeros.append((segment.address + len(segment.data), segment.size - len(segment.data)))
