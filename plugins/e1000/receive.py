"""The receiver: frames from the network come into the buffers of the ring's descriptors (manual, section 3.2)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from southbridge.component import Component, timer
from southbridge.errors import GuestMemoryError
from southbridge.net import Frame, Offload
from southbridge.net.packets import ip_header_good, layers, ones_sum, transport_good

from .filters import PAUSE_TYPE
from .registers import RXDMT0, RXO, SRPD

if TYPE_CHECKING:
    from .device import E1000

DESCRIPTOR = 16
SHORTEST, FCS, TAG = 60, 4, 4
LONGEST, LONGEST_LPE = 1522, 16_384
"""With the frame check sequence, and a VLAN tag."""

DD, EOP, IXSM, VP, TCPCS, IPCS, PIF = 0x01, 0x02, 0x04, 0x08, 0x20, 0x40, 0x80
"""A descriptor's status (section 3.2.3.1)."""
TCPE, IPE = 0x20, 0x40
"""Its errors (section 3.2.3.2)."""

BATCH, FEWEST = 64, 2
"""Of how many frames a run is made."""

SOON = 30_000
"""Nanoseconds between telling a network that waits of a few descriptors, and of a few more."""

_DESCRIPTOR = struct.Struct("<QHHBBH")
_REST = struct.Struct("<HHBBH")
_EN, _LPE, _SECRC = 1 << 1, 1 << 5, 1 << 26
_BUFFER_SIZES = (2048, 1024, 512, 256)


class Ready(NamedTuple):
    """A frame as it is stored, and what its descriptor says of it."""

    data: Frame
    status: int
    errors: int
    checksum: int
    tag: int
    length: int
    """The frame's, as it came."""
    destination: int
    """The first byte of its destination."""


class _Stored:
    """Frames that are in memory."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        """Of the frames as they came."""
        self.destinations = bytearray()
        """The first bytes of their destinations."""
        self.smallest = LONGEST_LPE
        """The least that a descriptor says."""
        self.seen = 0
        """How many frames a run has dealt with, those that weren't wanted included."""

    def add(self, length: int, destination: int, stored: int) -> None:
        """One more, of which `stored` bytes are in memory."""
        self.lengths.append(length)
        self.destinations.append(destination)
        self.smallest = min(self.smallest, stored)


class Receive(Component):
    """The receiver. It has no memory of its own: a frame without room waits at the cable's other end."""

    device: E1000

    _told = -SOON
    """When a network that waited was told last that there are descriptors."""

    def from_network(self, frame: Frame, offload: Offload | None) -> bool:
        """A frame came by the cable. False: there are no descriptors for it."""
        self.device.wakeup.look_at(frame)
        return not self._listens or self._take(frame, offload, keep=True)

    def several_from_network(self, frames: Sequence[Frame], offload: Offload | None) -> int:
        """The same for several, of which the first so many were taken."""
        if self.device.wakeup.armed:
            for frame in frames:
                self.device.wakeup.look_at(frame)
        if not self._listens:
            return len(frames)
        done = 0
        while done < len(frames):
            taken = self._take_run(frames[done : done + BATCH], offload)
            done += taken
            if done < len(frames) and not taken:
                if not self._take(frames[done], offload, keep=True):
                    break
                done += 1
        return done

    def tail_written(self) -> None:
        """The driver gave descriptors. A network that waits for some is told, but not of each by itself."""
        card = self.device
        if not card.port.refused or self.go_on.pending:
            return
        now, ring = self.clock.now(), card.RDLEN.value >> 4
        if now < self._told + SOON and ring and (card.RDT.value - card.RDH.value) % ring < BATCH:
            self.go_on.after(ns=SOON)
        else:
            self._told = now
            card.port.ready()

    @timer
    def go_on(self) -> None:
        """The network is told."""
        self._told = self.clock.now()
        self.device.port.ready()

    @property
    def _listens(self) -> bool:
        card = self.device
        return bool(card.RCTL.value & _EN) and card.phy.link and not card.loopback

    def loop_back(self, frame: Frame) -> None:
        """A frame that was sent comes back. Without descriptors it is lost."""
        if self.device.RCTL.value & _EN:
            self._take(frame, None, keep=False)

    # --- one frame -----------------------------------------------------------------------------------------------

    def _take(self, frame: Frame, offload: Offload | None, *, keep: bool) -> bool:
        """Puts a frame into memory, or not. False: it must wait, if it may (`keep`)."""
        ready = self._ready(frame, offload)
        if ready is None:
            return True
        stored = self._store(ready, keep=keep)
        if stored:
            self._count_all(ready.length)
        if stored > 0:
            told = _Stored()
            told.add(ready.length, ready.destination, len(ready.data))
            self._tell(told)
        return bool(stored)

    def _ready(self, frame: Frame, offload: Offload | None) -> Ready | None:
        """What is to be stored; None for a frame that isn't for this card."""
        card = self.device
        if len(frame) < SHORTEST:
            frame = bytes(frame).ljust(SHORTEST, b"\0")
        length = len(frame)
        if length + FCS > LONGEST and not (card.RCTL.value & _LPE and length + FCS <= LONGEST_LPE):
            card.count("ROC")
            self._count_all(length)
            return None
        kind = int.from_bytes(frame[12:14], "big")
        tagged = kind == card.VET.value
        tag = int.from_bytes(frame[14:16], "big") if tagged else 0
        wanted, unsure = card.filters.takes(frame)
        if not wanted or (tagged and not card.filters.vlan_takes(tag)):
            self._count_all(length)
            return None
        if kind == PAUSE_TYPE and not card.RCTL.PMCF:
            self._pause(frame)
            return None
        status, errors, checksum = self._checks(frame, offload)
        data: Frame = frame
        if tagged and card.CTRL.VME:
            data = b"".join((frame[:12], frame[16:]))
            status |= VP
        if not card.RCTL.value & _SECRC:
            data = b"".join((data, zlib.crc32(frame).to_bytes(FCS, "little")))
        status |= PIF if unsure else 0
        return Ready(data, status, errors, checksum, tag if status & VP else 0, length, frame[0])

    def _tell(self, stored: _Stored) -> None:
        """These are in memory."""
        card = self.device
        card.count_received(stored.lengths, stored.destinations)
        if card.RSRPD.value and stored.smallest <= card.RSRPD.value:
            card.interrupts.cause(SRPD)
        card.interrupts.received()

    # --- runs of frames, each of which has room in one buffer -----------------------------------------------------

    def _take_run(self, frames: Sequence[Frame], offload: Offload | None) -> int:
        """Stores frames, from the first on, with one fetch of descriptors and one write-back; says how many."""
        card = self.device
        ring, head, tail = card.RDLEN.value >> 4, card.RDH.value, card.RDT.value
        if not (head < ring and tail < ring) or len(frames) < FEWEST:
            return 0
        free = (tail - head) % ring
        count = min(free, ring - head, len(frames))
        if not count:
            return 0
        base = (card.RDBAH.value << 32 | card.RDBAL.value) + head * DESCRIPTOR
        stored = _Stored()
        try:
            written = bytearray(card.dma.read(base, count * DESCRIPTOR))
            self._store_run(frames, offload, written, stored)
        except GuestMemoryError:
            self._unreachable(head + len(stored.lengths))
            stored.seen = max(stored.seen, 1)
        number = len(stored.lengths)
        if number:
            try:
                card.dma.write(base, memoryview(written)[: number * DESCRIPTOR])
            except GuestMemoryError:
                self._unreachable(head)
                return stored.seen
            card.RDH.value = (head + number) % ring
            self._check_threshold(ring, free, number)
            card.count("TPR", number)
            card.count_octets("TOR", sum(stored.lengths) + FCS * number)
            self._tell(stored)
        return stored.seen

    def _store_run(self, frames: Sequence[Frame], offload: Offload | None, written: bytearray, stored: _Stored) -> None:
        """Puts frames into the buffers of the fetched descriptors, and what is to be `written` back into these."""
        card = self.device
        write, exact, unusual = card.dma.write, card.filters.destinations, (card.VET.value, PAUSE_TYPE)
        strips, checks = card.RCTL.value & _SECRC, card.RXCSUM.value
        status, errors, checksum, tag = IXSM, 0, 0, 0
        most = self.buffer_size - FCS
        at, end = 0, len(written)
        for frame in frames:
            length = len(frame)
            if at == end or length > most:
                break
            stored.seen += 1
            header = bytes(frame[:14])
            if (
                header[:6] in exact
                and SHORTEST <= length <= LONGEST - FCS
                and header[12] << 8 | header[13] not in unusual
            ):
                if checks:
                    status, errors, checksum = self._checks(frame, offload)
                data = frame if strips else b"".join((frame, zlib.crc32(frame).to_bytes(FCS, "little")))
            else:
                ready = self._ready(frame, offload)
                if ready is None:
                    continue
                data, status, errors, checksum, tag, length, _ = ready
            write(int.from_bytes(written[at : at + 8], "little"), data)
            _REST.pack_into(written, at + 8, len(data), checksum, status | DD | EOP, errors, tag)
            stored.add(length, header[0], len(data))
            at += DESCRIPTOR
            status, errors, checksum, tag = IXSM, 0, 0, 0

    # --- counting, flow control -----------------------------------------------------------------------------------

    def _count_all(self, length: int) -> None:
        self.device.count("TPR")
        self.device.count_octets("TOR", length + FCS)

    def _pause(self, frame: Frame) -> None:
        """Flow control (IEEE 802.3, annex 31B): the network's end never sends faster than we take."""
        self._count_all(len(frame))
        if frame[14:16] != b"\0\1":
            self.device.count("FCRUC")
        else:
            self.device.count("XOFFRXC" if any(frame[16:18]) else "XONRXC")

    # --- checksums (3.2.9) ---------------------------------------------------------------------------------------

    def _checks(self, frame: Frame, offload: Offload | None) -> tuple[int, int, int]:
        """Status, errors, and the packet checksum: of all of the packet (PCSS 0) it isn't computed."""
        control = self.device.RXCSUM
        if not control.value:
            return IXSM, 0, 0
        checksum = 0
        if 0 < control.PCSS < len(frame):
            value = ~ones_sum(memoryview(frame)[control.PCSS :]) & 0xFFFF
            checksum = (value & 0xFF) << 8 | value >> 8
        if not control.value & 0x700:
            return IXSM, 0, checksum
        found = layers(frame)
        if found is None or (found.version == 6 and not control.IPV6OFL):
            return IXSM, 0, checksum
        status = errors = 0
        if control.IPOFL and found.version == 4:
            status |= IPCS
            errors |= 0 if ip_header_good(frame, found) else IPE
        if control.TUOFL:
            status |= TCPCS
            known = offload is not None and offload.checksum_good
            errors |= 0 if known or transport_good(frame, found) else TCPE
        return status, errors, checksum

    # --- the ring ------------------------------------------------------------------------------------------------

    @property
    def buffer_size(self) -> int:
        """Of each descriptor's buffer, in bytes."""
        control = self.device.RCTL
        size = _BUFFER_SIZES[control.BSIZE]
        return size * 16 if control.BSEX and control.BSIZE else size

    def _store(self, ready: Ready, *, keep: bool) -> int:
        """1: it is in memory; -1: it is lost; 0: it must wait."""
        card = self.device
        data = ready.data
        ring, head, tail = card.RDLEN.value >> 4, card.RDH.value, card.RDT.value
        size = self.buffer_size
        needed = -(-len(data) // size)
        if not self._valid(ring, head, tail, needed):
            return -1
        free = (tail - head) % ring
        if free < needed:
            card.count("RNBC")
            if keep:
                return 0
            card.count("MPC")
            card.interrupts.cause(RXO)
            return -1
        try:
            self._write(ready, size, ring, head, needed)
        except GuestMemoryError:
            self._unreachable(head)
            return -1
        card.RDH.value = (head + needed) % ring
        self._check_threshold(ring, free, needed)
        return 1

    def _unreachable(self, descriptor: int) -> None:
        self.device.PCI_STATUS.RECEIVED_MASTER_ABORT = 1
        self.guest_error(f"RDT: receive descriptor {descriptor} or its buffer isn't memory (section 3.2.3)")

    def _check_threshold(self, ring: int, free: int, used: int) -> None:
        """RXDMT0, when so few descriptors are left for the first time."""
        threshold = ring >> self.device.RCTL.RDMTS + 1
        if free - used <= threshold < free:
            self.device.interrupts.cause(RXDMT0)

    def _valid(self, ring: int, head: int, tail: int, needed: int) -> bool:
        for name, index in (("RDH", head), ("RDT", tail)):
            if index >= ring:
                self.guest_error(f"{name} {index} beyond RDLEN/16 = {ring} (section 3.2.6)")
                return False
        if needed >= ring:
            self.guest_error(f"RDLEN: a packet needs {needed} descriptors of a ring of {ring} (section 3.2.6)")
            return False
        return True

    def _write(self, ready: Ready, size: int, ring: int, head: int, needed: int) -> None:
        """All of the data first, so that no descriptor says that something is there before it is."""
        dma = self.device.dma
        base = self.device.RDBAH.value << 32 | self.device.RDBAL.value
        data, status, errors, checksum, tag, *_ = ready
        view = memoryview(data)
        places: list[tuple[int, bytes]] = []
        for number in range(needed):
            place = base + (head + number) % ring * DESCRIPTOR
            address = int.from_bytes(dma.read(place, 8), "little")
            piece = view[number * size : (number + 1) * size]
            dma.write(address, piece)
            last = number == needed - 1
            its = (status & ~IXSM if not last else status) | DD | (EOP if last else 0)
            written = _DESCRIPTOR.pack(address, len(piece), checksum, its, errors if last else 0, tag)
            places.append((place, written))
        for place, written in places:
            dma.write(place, written)
