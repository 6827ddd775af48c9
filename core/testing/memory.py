"""Guest memory for benches: in one piece, or mapped through small windows within a small budget."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import GuestMemoryError
from ..hookspecs import hookimpl
from ..memory.guest import FlatGuestMemory, Mapping
from ..memory.space import AddressSpace
from ..units import KiB
from .meter import OutOfBounds

WINDOW = 64 * KiB
WINDOWS = 8


class BenchMemory(FlatGuestMemory):
    """Guest memory that counts what devices do to it."""

    def __init__(self, space: AddressSpace) -> None:
        super().__init__(space)
        self.accesses = 0
        """How often a device read, wrote or mapped."""
        self.moved = 0
        """How many bytes."""
        self.limit: int | None = None
        """Of the bytes; OutOfBounds is raised beyond it."""

    @property
    def held(self) -> int:
        """How many mappings were not given back, where they are counted."""
        return 0

    @hookimpl
    def memory_read(self, address: int, length: int) -> bytes:
        """See hookspecs."""
        self._count(length)
        return super().memory_read(address, length)

    @hookimpl
    def memory_write(self, address: int, data: bytes | memoryview) -> None:
        """See hookspecs."""
        self._count(len(data))
        super().memory_write(address, data)

    @hookimpl
    def memory_write_several(self, pieces: Iterator[tuple[int, bytes | memoryview]]) -> bool:
        """See hookspecs."""
        return super().memory_write_several(self._counted(pieces))

    def _counted(self, pieces: Iterator[tuple[int, bytes | memoryview]]) -> Iterator[tuple[int, bytes | memoryview]]:
        for address, data in pieces:
            self._count(len(data))
            yield address, data

    @hookimpl
    def memory_map(self, address: int, length: int, write: bool) -> Mapping:
        """See hookspecs."""
        mapping = super().memory_map(address, length, write)
        self._count(len(mapping))
        return mapping

    def _count(self, length: int) -> None:
        self.accesses += 1
        self.moved += length
        if self.limit is not None and self.moved > self.limit:
            raise OutOfBounds(f"more than {self.limit:,} bytes of DMA for one access")


class FlatBenchMemory(BenchMemory):
    """All of guest memory can be mapped at once."""


class WindowedBenchMemory(BenchMemory):
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
