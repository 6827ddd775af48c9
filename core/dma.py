"""A device's own access to guest memory, through the memory hooks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .errors import GuestMemoryError
from .memory.guest import Mapping

if TYPE_CHECKING:
    from .device import Device
    from .hooks import MachineHooks


Bytes = bytes | bytearray | memoryview


class Mapped:
    """Guest memory that is mapped: the view in a `with` statement, whose end unmaps it."""

    __slots__ = ("_hooks", "_mapping")

    def __init__(self, hooks: MachineHooks, mapping: Mapping) -> None:
        self._hooks = hooks
        self._mapping = mapping

    def __enter__(self) -> memoryview:
        return self._mapping.view

    def __exit__(self, *error: object) -> None:
        mapping = self._mapping
        self._hooks.memory_unmap(mapping, len(mapping) if mapping.writable else 0)


class Dma:
    """Reads and writes guest memory for one device.

    Only memory: an access to another device's registers, or to its own, is refused, so that no device is entered
    through its own DMA.

    All methods raise GuestMemoryError, after a guest error, where there is no memory (or only ROM, to write).
    """

    __slots__ = ("_device", "enabled")

    def __init__(self, device: Device) -> None:
        self._device = device
        self.enabled = True
        """False while a PCI device may not master the bus."""

    def read(self, address: int, length: int) -> bytes:
        """`length` bytes at `address`."""
        if not self.enabled:
            raise self._is_off("read", address)
        try:
            return self._device.machine.hooks.memory_read(address, length)
        except GuestMemoryError as error:
            raise self._refused("read", error) from None

    def write(self, address: int, data: Bytes) -> None:
        """Stores `data` at `address`; all of it, or nothing."""
        if not self.enabled:
            raise self._is_off("write", address)
        try:
            self._device.machine.hooks.memory_write(address, data)
        except GuestMemoryError as error:
            raise self._refused("write", error) from None

    def write_several(self, pieces: Iterator[tuple[int, Bytes]]) -> None:
        """Stores pieces, addresses and data, in order: each is in memory before the next one is taken. The piece that
        raises is the last that is taken.
        """
        hooks, enabled = self._device.machine.hooks, self.enabled
        try:
            if enabled and hooks.memory_write_several(pieces):
                return
            for address, data in pieces:
                if not enabled:
                    raise GuestMemoryError(address, "bus mastering is off")
                hooks.memory_write(address, data)
        except GuestMemoryError as error:
            raise self._refused("write", error) from None

    def map(self, address: int, length: int, *, write: bool = False) -> Mapped:
        """Host access to at least one and at most `length` bytes at `address`, for a `with` block.

        The view may be shorter than asked for: go on behind its end. With `write`, the whole view counts as changed.
        """
        if not self.enabled:
            raise self._is_off("map", address)
        hooks = self._device.machine.hooks
        try:
            mapping: Mapping = hooks.memory_map(address, length, write)
        except GuestMemoryError as error:
            raise self._refused("map", error) from None
        return Mapped(hooks, mapping)

    def _is_off(self, what: str, address: int) -> GuestMemoryError:
        return self._refused(what, GuestMemoryError(address, "bus mastering is off"))

    def _refused(self, what: str, error: GuestMemoryError) -> GuestMemoryError:
        self._device.guest_error(f"DMA {what}: {error}")
        return error
