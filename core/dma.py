"""A device's own access to guest memory, through the memory hooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .errors import GuestMemoryError
from .memory.guest import Mapping

if TYPE_CHECKING:
    from .device import Device


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
        self._check("read", address)
        try:
            return self._device.machine.hooks.memory_read(address, length)
        except GuestMemoryError as error:
            raise self._refused("read", error) from None

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Stores `data` at `address`; all of it, or nothing."""
        self._check("write", address)
        try:
            self._device.machine.hooks.memory_write(address, data)
        except GuestMemoryError as error:
            raise self._refused("write", error) from None

    @contextmanager
    def map(self, address: int, length: int, *, write: bool = False) -> Iterator[memoryview]:
        """Host access to at least one and at most `length` bytes at `address`, inside the `with` block.

        The view may be shorter than asked for: go on behind its end. With `write`, the whole view counts as changed.
        """
        self._check("map", address)
        hooks = self._device.machine.hooks
        try:
            mapping: Mapping = hooks.memory_map(address, length, write)
        except GuestMemoryError as error:
            raise self._refused("map", error) from None
        try:
            yield mapping.view
        finally:
            hooks.memory_unmap(mapping, len(mapping) if write else 0)

    def _check(self, what: str, address: int) -> None:
        if not self.enabled:
            raise self._refused(what, GuestMemoryError(address, "bus mastering is off"))

    def _refused(self, what: str, error: GuestMemoryError) -> GuestMemoryError:
        self._device.guest_error(f"DMA {what}: {error}")
        return error
