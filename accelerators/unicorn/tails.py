"""Tail doorbells (`Io.tail_doorbells`): while a guest rings one again and again, machine code puts the values by
(`thunks`, `memory_write`), which takes some nanoseconds instead of microseconds.

The device learns of the last one before the CPU's next access of any other kind, when the CPU comes out of the guest,
from a thread that looks every so often (`southbridge.tail_doorbells`), and at once if it has moved far.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from southbridge.memory.regions import Section
from southbridge.tail_doorbells import TailDoorbells, Zone, tail_zones

from .thunks import NO_TAIL, TAIL_ADDRESS, TAIL_KNOWN, TAIL_LAST, TAIL_LIMIT, TAIL_WORDS, TAILS, tail_table

if TYPE_CHECKING:
    from southbridge.machine import Machine
    from southbridge.memory.regions import Region

TAIL_SIZE = 4
"""Bytes of those that can be put by."""
_LOW = 0xFFFF_FFFF


class Coalesced(NamedTuple):
    """A doorbell whose writes are put by."""

    zone: Zone
    region: Region | None
    """What answers there."""


class Tails:
    """Those of one CPU. With the machine's lock held."""

    def __init__(self, machine: Machine, when_out: Callable[[Callable[[], None]], None]) -> None:
        """`when_out` has something done while the CPU is outside the guest."""
        self._memory = machine.memory
        self._when_out = when_out
        self._table = tail_table()
        self._seen = [0] * TAILS
        """The last words of the table that were looked at."""
        self.coalesced: list[Coalesced] = []
        """As they are in the table."""
        self.doorbells = TailDoorbells(machine.lock, self._coalesce, self.flush, TAIL_LIMIT, self._delivered_by_cpu)
        self._delivered = False

    def use(self, table: array[int]) -> None:
        """The table is this one, an empty one."""
        self._table = table

    def follow(self, sections: Iterable[Section]) -> None:
        """Guest memory looks like this now."""
        self.doorbells.follow([zone for zone in tail_zones(sections) if zone[2] == TAIL_SIZE])

    def close(self) -> None:
        """Ends the thread."""
        self.doorbells.close()

    def before_write(self, address: int, size: int, value: int) -> None:
        """The CPU is about to write: what was put by comes before that, or is overtaken by it."""
        self.flush(address if size == TAIL_SIZE else None)
        for number, tail in enumerate(self.coalesced):
            if tail.zone[1] == address:
                self._table[number * TAIL_WORDS + TAIL_KNOWN] = value & _LOW
                self._delivered = True

    def _delivered_by_cpu(self) -> bool:
        """Whether the CPU delivered some itself, since this was last asked."""
        delivered, self._delivered = self._delivered, False
        return delivered

    def flush(self, but: int | None = None) -> bool:
        """The devices learn what was put by; not that at the address `but`. Whether there was anything."""
        table, any_there = self._table, False
        for number, tail in enumerate(self.coalesced):
            at = number * TAIL_WORDS
            last = table[at + TAIL_LAST]
            if last == self._seen[number]:
                continue
            any_there = True
            self._seen[number] = last
            table[at + TAIL_KNOWN] = last & _LOW
            address = tail.zone[1]
            section = self._memory.find(address)
            if address != but and section is not None and section.region is tail.region:
                self._memory.write(address, TAIL_SIZE, last & _LOW)
        return any_there

    def _coalesce(self, zone: Zone, on: bool) -> bool:
        if not on:
            self._when_out(partial(self._change, zone, None))
            return True
        if len(self.coalesced) == TAILS:
            return False
        section = self._memory.find(zone[1])
        self._change(zone, None if section is None else section.region)
        return True

    def _change(self, zone: Zone, region: Region | None) -> None:
        """One more, or one less if there is no region. On the CPU's thread or while that is outside the guest."""
        self.flush()
        self.coalesced[:] = [tail for tail in self.coalesced if tail.zone != zone]
        if region is not None:
            self.coalesced.append(Coalesced(zone, region))
        for number in range(TAILS):
            at = number * TAIL_WORDS
            address = self.coalesced[number].zone[1] if number < len(self.coalesced) else NO_TAIL
            self._table[at + TAIL_ADDRESS], self._table[at + TAIL_LAST] = address, 0
            self._table[at + TAIL_KNOWN] = 0
            self._seen[number] = 0
