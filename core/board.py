"""Small things on a PC's board that devices share: the A20 gate, the memory map as firmware is told of it, modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from .units import MiB

MODULES = 8
"""How many sockets for memory modules there are: one for each DRAM row of the 82441FX."""
SMALLEST_MODULE = 8 * MiB
LARGEST_MODULE = 128 * MiB


class MemoryRange(NamedTuple):
    """A range of the guest-physical map as firmware is told of it (e820 types: 1 RAM, 2 reserved)."""

    start: int
    size: int
    kind: int = 1


@dataclass(repr=False, eq=False)
class A20Gate:
    """Address line 20: open while any of its sources opens it (port 92h, the keyboard controller)."""

    changed: Callable[[bool], None]
    _sources: dict[str, bool] = field(default_factory=dict)
    _enabled: bool = True

    @property
    def enabled(self) -> bool:
        """Whether the line passes."""
        return self._enabled

    def set(self, source: str, level: bool) -> None:
        """`source` opens or closes the gate, for its part."""
        self._sources[source] = level
        enabled = any(self._sources.values())
        if enabled != self._enabled:
            self._enabled = enabled
            self.changed(enabled)


def memory_modules(size: int) -> list[int]:
    """The sizes of the memory modules that are `size` bytes together, one for each DRAM row.

    Each has a power of two, from 8 to 128 MiB, as long as sockets are left; the last one has the rest.
    """
    modules: list[int] = []
    while size > 0:
        module = min(1 << size.bit_length() - 1, LARGEST_MODULE)
        rest = size - module
        if len(modules) == MODULES - 1 or rest < SMALLEST_MODULE:
            module = size
        modules.append(module)
        size -= module
    return modules
