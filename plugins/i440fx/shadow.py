"""Shadow memory: what answers between C0000h and FFFFFh (82441FX datasheet, PAM registers).

Thirteen segments, each of which sends reads and writes, separately, to RAM or on to the bus.
"""

from __future__ import annotations

from functools import partial

from southbridge.memory.regions import Alias, Container, Io, Ram, Region
from southbridge.memory.space import AddressSpace
from southbridge.units import KiB

READ = 1
WRITE = 2

SEGMENTS = [
    (0xF0000, 64 * KiB),
    *((0xC0000 + 16 * KiB * index, 16 * KiB) for index in range(12)),
]
"""Base and size of each segment, in the order of the registers: PAM0's high half, PAM1's low half, its high half..."""


class Segment:
    """`size` bytes at `base`, in `memory`: served by `ram`, or by what is on `bus` there."""

    def __init__(self, memory: Container, ram: Ram, bus: AddressSpace, base: int, size: int) -> None:
        self._memory = memory
        self._ram = ram
        self._bus = bus
        self._base = base
        self._size = size
        self._mode = 0
        self._shown: Region | None = None
        name = f"shadow {base:05x}"
        self._shadow = Alias(name, ram, base, size)
        self._read_only = Ram(f"{name} (read only)", ram.block, base, size, readonly=True, on_write=self._write_bus)

    def select(self, mode: int) -> None:
        """Sends reads to RAM if `mode` has READ, writes if it has WRITE."""
        if mode == self._mode:
            return
        self._mode = mode
        if self._shown is not None:
            self._memory.remove(self._shown)
        self._shown = self._region(mode)
        if self._shown is not None:
            self._memory.add(self._base, self._shown)

    def _region(self, mode: int) -> Region | None:
        if mode == READ | WRITE:
            return self._shadow
        if mode == READ:
            return self._read_only
        return self._write_only() if mode == WRITE else None

    def _write_only(self) -> Container:
        """What is on the bus now, but with stores going to RAM: how firmware copies a ROM into the RAM under it."""
        base, end = self._base, self._base + self._size
        container = Container(f"shadow {base:05x} (write only)", self._size)
        sections = [section for section in self._bus.sections if section.end > base and section.start < end]
        for section in sections:
            if isinstance(section.region, Ram):
                start, stop = max(section.start, base), min(section.end, end)
                offset = section.block_offset + start - section.start
                write = partial(self._store, start - base)
                name = f"{section.region.name} (read only)"
                rom = Ram(name, section.block, offset, stop - start, readonly=True, on_write=write)
                container.add(start - base, rom)
        others = Io("bus (read only)", self._size, self._read_bus, partial(self._store, 0), widths=(1, 2, 4, 8))
        container.add(0, others, priority=-1)
        return container

    def _read_bus(self, offset: int, size: int) -> int:
        return self._bus.read(self._base + offset, size)

    def _write_bus(self, offset: int, size: int, value: int) -> None:
        self._bus.write(self._base + offset, size, value)

    def _store(self, start: int, offset: int, size: int, value: int) -> None:
        block, at = self._ram.block, self._base + start + offset
        block.view[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        block.mark_dirty(at, size)


def modes(registers: list[int]) -> list[int]:
    """The mode of each of `SEGMENTS`, from the values of PAM0 to PAM6."""
    halves = [half for value in registers for half in (value & 3, value >> 4 & 3)]
    return halves[1:]
