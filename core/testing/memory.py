"""Guest memory for benches: in one piece, or mapped through small windows within a small budget."""

from __future__ import annotations

from ..errors import GuestMemoryError
from ..hookspecs import hookimpl
from ..memory.guest import FlatGuestMemory, Mapping
from ..memory.space import AddressSpace
from ..units import KiB

WINDOW = 64 * KiB
WINDOWS = 8


class FlatBenchMemory(FlatGuestMemory):
    """All of guest memory can be mapped at once."""


class WindowedBenchMemory(FlatGuestMemory):
    """A mapping ends at the next multiple of 64 KiB, its bytes are a copy until it is given back, and there are few.

    So a device that keeps a mapping, uses it after unmapping, or takes its length for granted, fails.
    """

    def __init__(self, space: AddressSpace) -> None:
        super().__init__(space)
        self._mapped: dict[int, Mapping] = {}

    @hookimpl
    def memory_map(self, address: int, length: int, write: bool) -> Mapping:
        """See hookspecs."""
        if len(self._mapped) >= WINDOWS:
            raise GuestMemoryError(address, f"more than {WINDOWS} mappings are held")
        part = min(length, WINDOW - address % WINDOW)
        real = super().memory_map(address, part, write)
        copied = memoryview(bytearray(real.view))
        mapping = Mapping(address, copied if write else copied.toreadonly(), write)
        self._mapped[id(mapping)] = mapping
        return mapping

    @hookimpl
    def memory_unmap(self, mapping: Mapping, written: int) -> None:
        """See hookspecs."""
        del self._mapped[id(mapping)]
        if mapping.writable and written:
            self.memory_write(mapping.address, mapping.view[:written])
        mapping.view.release()

    @property
    def held(self) -> int:
        """How many mappings were not given back."""
        return len(self._mapped)
