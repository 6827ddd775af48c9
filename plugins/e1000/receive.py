"""The receiver: frames from the network come into the buffers of the ring's descriptors (manual, section 3.2)."""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from southbridge.component import Component, timer
from southbridge.errors import GuestMemoryError
from southbridge.net import Frame, Offload
from southbridge.net.packets import TCP, UDP, ip_header_good, layers, ones_sum, transport_good

from .filters import PAUSE_TYPE
from .registers import RXDMT0, RXO, SRPD

if TYPE_CHECKING:
    from .device import E1000

DESCRIPTOR = 16
SHORTEST, HEADER, FCS, TAG = 60, 14, 4, 4
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
_LENGTH = 0xFFFF
_IPV4 = b"\x08\0\x45"
"""The type, and the header's version and length of five words."""
_EN, _LPE, _SECRC = 1 << 1, 1 << 5, 1 << 26
_BUFFER_SIZES = (2048, 1024, 512, 256)


def _rest(status: int, errors: int, checksum: int) -> int:
    """The second half of the descriptor of a whole packet, but for its length and tag."""
    return checksum << 16 | (status | DD | EOP) << 32 | errors << 40


def _is_plain(frame: Frame) -> bool:
    """Whether it is TCP or UDP in a whole IPv4 packet whose header has no options."""
    return frame[12:15] == _IPV4 and frame[23] in (TCP, UDP) and not (frame[20] & 0x3F or frame[21])


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


class _Run:
    """Frames that are stored together, each in one buffer, and what is written into their descriptors."""

    def __init__(self, descriptors: bytes) -> None:
        self._words = array("Q", descriptors)
        self.addresses = self._words[::2]
        """The buffers'."""
        self.rests: list[int] = []
        """The second halves of the descriptors of those that are in memory."""
        self.lengths: list[int] = []
        """Of these frames, as they came."""
        self.destinations = bytearray()
        """The first bytes of their destinations."""
        self.seen = 0
        """How many frames it has dealt with, those that weren't wanted included."""

    def drop(self) -> None:
        """The last one isn't in memory after all."""
        del self.rests[-1], self.lengths[-1], self.destinations[-1]

    def written(self) -> memoryview:
        """The descriptors of those that are in memory."""
        end = 2 * len(self.rests)
        self._words[1:end:2] = array("Q", self.rests)
        return memoryview(self._words)[:end].cast("B")


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
        return bool(card.RCTL.value & _EN) and card.phy.link and not card.loopback and not card.asleep

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
            self._tell([ready.length], bytes([ready.destination]), len(ready.data))
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

    def _tell(self, lengths: list[int], destinations: bytes | bytearray, smallest: int) -> None:
        """These are in memory; the least that a descriptor says is `smallest`."""
        card = self.device
        card.count_received(lengths, destinations)
        if card.RSRPD.value and smallest <= card.RSRPD.value:
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
        try:
            run = _Run(card.dma.read(base, count * DESCRIPTOR))
        except GuestMemoryError:
            self._unreachable(head)
            return 1
        try:
            card.dma.write_several(self._pieces(frames, offload, run))
        except GuestMemoryError:
            run.drop()
            self._unreachable(head + len(run.rests))
        number = len(run.rests)
        if not number:
            return run.seen
        try:
            card.dma.write(base, run.written())
        except GuestMemoryError:
            self._unreachable(head)
            return run.seen
        card.RDH.value = (head + number) % ring
        self._check_threshold(ring, free, number)
        card.count("TPR", number)
        card.count_octets("TOR", sum(run.lengths) + FCS * number)
        self._tell(run.lengths, run.destinations, min(rest & _LENGTH for rest in run.rests) if card.RSRPD.value else 0)
        return run.seen

    def _pieces(self, frames: Sequence[Frame], offload: Offload | None, run: _Run) -> Iterator[tuple[int, Frame]]:
        """What is to be stored of frames, and where, one by one: the next is looked at when the last is in memory."""
        card = self.device
        exact, unusual = card.filters.destinations, (card.VET.value.to_bytes(2, "big"), PAUSE_TYPE.to_bytes(2, "big"))
        strips, checks = card.RCTL.value & _SECRC, card.RXCSUM.value
        most = self.buffer_size - FCS
        usual, longest, known = _rest(IXSM, 0, 0), min(LONGEST - FCS, most), b""
        good = self._if_good(offload)
        note_rest, note_length, note_destination = run.rests.append, run.lengths.append, run.destinations.append
        room = len(run.addresses)
        for frame in frames:
            length = len(frame)
            if len(run.rests) == room or length > most:
                return
            run.seen += 1
            header = bytes(frame[:HEADER])
            rest, data = usual, frame
            if header != known and header[:6] in exact and header[12:] not in unusual:
                known = header  # the next ones are most likely like that
            if header == known and SHORTEST <= length <= longest:
                if checks:
                    rest = good if good and _is_plain(frame) else _rest(*self._checks(frame, offload))
                if not strips:
                    data = b"".join((frame, zlib.crc32(frame).to_bytes(FCS, "little")))
            else:
                ready = self._ready(frame, offload)
                if ready is None:
                    continue
                data, length = ready.data, ready.length
                rest = _rest(ready.status, ready.errors, ready.checksum) | ready.tag << 48
            note_length(length)
            note_destination(header[0])
            address = run.addresses[len(run.rests)]
            note_rest(rest | len(data))
            yield address, data

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

    def _if_good(self, offload: Offload | None) -> int:
        """What the descriptors of plain packets say whose checksums the network has found right; 0 if it hasn't."""
        control = self.device.RXCSUM
        if offload is None or not offload.checksum_good or control.PCSS or not (control.IPOFL or control.TUOFL):
            return 0
        return _rest((IPCS if control.IPOFL else 0) | (TCPCS if control.TUOFL else 0), 0, 0)

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
