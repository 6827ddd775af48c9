"""A DMA channel: addresses, counts and mode (Intel 8237A, 231466)."""

from __future__ import annotations

from southbridge.component import Component, State

VERIFY, TO_MEMORY, FROM_MEMORY = 0, 1, 2
"""Transfer types; the datasheet calls what goes to memory a write."""
CASCADED = 3
"""The mode in which a channel only passes another controller's requests on."""
SIZE = 0x1_0000
"""Of a counter: addresses wrap within it, and the page stays."""


class Channel(Component):
    """One of the four of a controller."""

    base_address: int = State(0, keep=True, ge=0, le=0xFFFF)
    base_count: int = State(0, keep=True, ge=0, le=0xFFFF)
    address: int = State(0, keep=True, ge=0, le=0xFFFF)
    count: int = State(0, keep=True, ge=0, le=0xFFFF, doc="Transfers that are left, less one; FFFFh: none.")
    mode: int = State(0, ge=0, le=0xFF)

    @property
    def type(self) -> int:
        """In which direction it moves."""
        return self.mode >> 2 & 3

    @property
    def reloads(self) -> bool:
        """Autoinitialize."""
        return bool(self.mode & 0x10)

    @property
    def descends(self) -> bool:
        """Addresses go down."""
        return bool(self.mode & 0x20)

    @property
    def cascaded(self) -> bool:
        """It moves nothing itself."""
        return self.mode >> 6 == CASCADED

    def set_byte(self, register: int, high: bool, value: int) -> None:
        """A byte of the address (`register` 0) or count (1): it goes to the base and to the current one."""
        name = "count" if register else "address"
        shift = 8 if high else 0
        for each in (f"base_{name}", name):
            setattr(self, each, getattr(self, each) & 0xFF00 >> shift | value << shift)

    def byte(self, register: int, high: bool) -> int:
        """A byte of the current address or count."""
        value = self.count if register else self.address
        return value >> 8 if high else value & 0xFF

    def advance(self, units: int) -> bool:
        """`units` were moved, no more than were left. Whether that was terminal count."""
        self.address = (self.address + (-units if self.descends else units)) % SIZE
        ended = units == self.count + 1
        self.count = (self.count - units) % SIZE
        if ended and self.reloads:
            self.address, self.count = self.base_address, self.base_count
        return ended
