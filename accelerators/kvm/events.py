"""Guest writes that don't make the CPU leave the guest: doorbells and coalesced writes; for those to tails of rings see
`southbridge.tail_doorbells`.

A write to a doorbell register signals an eventfd (KVM_IOEVENTFD); a thread then tells the device. Writes to a coalesced
range are queued in a ring that the kernel shares with us (KVM_REGISTER_COALESCED_MMIO), and served before the next
exit. Which registers are such the devices declare (`Io.doorbells`, `Io.coalesced`).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from southbridge.eventfds import EventWatch
from southbridge.memory.regions import Io, Section
from southbridge.memory.space import AddressSpace
from southbridge.tail_doorbells import TailDoorbells, Zone, tail_zones

from . import ioctls as k
from .structures import CoalescedZone, IoEventFd
from .vm import Vm

if TYPE_CHECKING:
    from southbridge.machine import Machine

REST = 50e-6
"""Seconds. Waking a thread costs the guest three times what its write to a doorbell does: so not for each of many."""

FAR = 16
"""Descriptors of a ring that are worth an exit."""

RING_FIRST, RING_LAST = 0, 1
"""Doublewords of the ring: what is to be served next, and where the kernel puts the next one."""
_HEAD, _ENTRY, _PAGE = 8, 24, 4096
_WRITE = struct.Struct("<QIIQ")
"""An entry, struct kvm_coalesced_mmio: address, length in bytes, whether it is a port, value."""
RING_SIZE = (_PAGE - _HEAD) // _ENTRY


@dataclass(frozen=True)
class Doorbell:
    """A place where a write of `width` bytes is a doorbell of `region`."""

    ports: bool
    address: int
    width: int
    region: Io
    offset: int


class Events:
    """The doorbells and coalesced ranges of a virtual machine. Used with the machine's lock held."""

    def __init__(self, vm: Vm, machine: Machine) -> None:
        self._vm = vm
        self._machine = machine
        self._watch = EventWatch(machine.lock, "doorbells", REST)
        self._doorbells: dict[Doorbell, int] = {}
        """With their event descriptors."""
        self.zones: dict[Zone, None] = {}
        """The coalesced ranges: ports or memory, address, size. While there are none, nothing is in the ring."""
        self.tails = TailDoorbells(machine.lock, self._coalesce, self.flush, FAR)
        self._ring: memoryview | None = None
        self._page = vm.check(k.CAP_COALESCED_MMIO)
        self._coalesces = (bool(self._page and vm.check(k.CAP_COALESCED_PIO)), bool(self._page))
        """Ports; memory."""

    @property
    def ring_offset(self) -> int:
        """Where the ring is in each vCPU's memory; 0: there is none."""
        return self._page * _PAGE

    def use_ring(self, ring: memoryview) -> None:
        """The ring, through one of the vCPUs' memory: they all show the same."""
        self._ring = ring

    def lose_ring(self, ring: memoryview) -> None:
        """That memory goes away."""
        if self._ring is ring:
            self._ring = None

    def close(self) -> None:
        """Delivers what waits, and ends."""
        self.deliver()
        self.tails.close()
        self._watch.close()
        for descriptor in self._doorbells.values():
            os.close(descriptor)
        self._doorbells.clear()
        self._ring = None

    # --- following the map ---------------------------------------------------------------------------------------

    def follow(self, memory: Iterable[Section], ports: Iterable[Section]) -> None:
        """The address spaces look like this now."""
        memory, ports = list(memory), list(ports)
        self.deliver()
        self.tails.follow(list(tail_zones(memory)) if self._coalesces[1] else [])
        wanted = dict.fromkeys((*_doorbells(memory, False), *_doorbells(ports, True)))
        for doorbell in [doorbell for doorbell in self._doorbells if doorbell not in wanted]:
            self._unhang(doorbell)
        for doorbell in wanted:
            if doorbell not in self._doorbells:
                self._hang(doorbell)
        zones = dict.fromkeys((*_zones(memory, False), *_zones(ports, True)))
        tails = self.tails.addresses.values()
        for zone in [zone for zone in self.zones if zone not in zones and zone not in tails]:
            self._coalesce(zone, False)
        for zone in zones:
            if zone not in self.zones and self._coalesces[not zone[0]]:
                self._coalesce(zone, True)

    def _hang(self, doorbell: Doorbell) -> None:
        descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            self._request_doorbell(doorbell, descriptor, 0)
        except OSError:  # this KVM can't: the write leaves the guest as any other
            os.close(descriptor)
            return
        self._doorbells[doorbell] = descriptor
        self._watch.add(descriptor, lambda: self._ring_bell(doorbell))

    def _unhang(self, doorbell: Doorbell) -> None:
        descriptor = self._doorbells.pop(doorbell)
        self._request_doorbell(doorbell, descriptor, k.IOEVENTFD_DEASSIGN)
        self._watch.remove(descriptor)
        os.close(descriptor)

    def _request_doorbell(self, doorbell: Doorbell, descriptor: int, flags: int) -> None:
        flags |= k.IOEVENTFD_PIO if doorbell.ports else 0
        self._vm.set(k.KVM_IOEVENTFD, IoEventFd(0, doorbell.address, doorbell.width, descriptor, flags))

    def _coalesce(self, zone: Zone, on: bool) -> bool:
        """Begins or ends to coalesce the writes there; says whether KVM did that."""
        ports, address, size = zone
        if on:
            self.zones[zone] = None
        try:
            request = k.KVM_REGISTER_COALESCED_MMIO if on else k.KVM_UNREGISTER_COALESCED_MMIO
            self._vm.set(request, CoalescedZone(address, size, ports))
        except OSError:
            self.zones.pop(zone, None)
            return False
        if not on:
            self.zones.pop(zone, None)
        return True

    # --- delivery ------------------------------------------------------------------------------------------------

    def deliver(self) -> None:
        """The devices learn of all that the guest wrote up to now."""
        self.flush()
        self._watch.deliver_all()

    def flush(self) -> bool:
        """The devices learn of all coalesced writes; of several to one tail, of the last. Whether there were any."""
        ring = self._ring
        if ring is None:
            return False
        machine, tails, words = self._machine, self.tails.addresses, ring[:_HEAD].cast("I")
        any_there = False
        while words[RING_FIRST] != words[RING_LAST]:
            first = words[RING_FIRST] % RING_SIZE
            address, length, ports, value = _WRITE.unpack_from(ring, _HEAD + first * _ENTRY)
            following = (first + 1) % RING_SIZE
            words[RING_FIRST] = following
            any_there = True
            more = address in tails and following != words[RING_LAST]
            if more and _WRITE.unpack_from(ring, _HEAD + following * _ENTRY)[:2] == (address, length):
                continue
            space = machine.ports if ports else machine.memory
            if length in (1, 2, 4, 8):
                space.write(address, length, value)
            else:
                _write_bytes(space, address, length, value)
        return any_there

    def _ring_bell(self, doorbell: Doorbell) -> None:
        region = doorbell.region
        if region.broken:
            return
        try:
            region.write(doorbell.offset, doorbell.width, 0)
        except Exception as error:  # a device's code may raise anything
            space = self._machine.ports if doorbell.ports else self._machine.memory
            space.on_fault(region, doorbell.offset, error)


def _write_bytes(space: AddressSpace, address: int, length: int, value: int) -> None:
    for at in range(min(length, 8)):
        space.write(address + at, 1, value >> 8 * at)


def _doorbells(sections: Iterable[Section], ports: bool) -> Iterator[Doorbell]:
    for section in sections:
        region = section.region
        if isinstance(region, Io):
            for offset, width in region.doorbells():
                if (address := section.address_of(offset, width)) is not None:
                    yield Doorbell(ports, address, width, region, offset)


def _zones(sections: Iterable[Section], ports: bool) -> Iterator[tuple[bool, int, int]]:
    for section in sections:
        region = section.region
        if isinstance(region, Io):
            for offsets in region.coalesced():
                start = max(section.start + offsets.start - section.offset, section.start)
                stop = min(section.start + offsets.stop - section.offset, section.end)
                if start < stop:
                    yield ports, start, stop - start
