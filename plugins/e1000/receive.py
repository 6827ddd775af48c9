"""The receiver: frames from the network come into the buffers of the ring's descriptors (manual, section 3.2)."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from southbridge.component import Component
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

_DESCRIPTOR = struct.Struct("<QHHBBH")
_EN, _LPE, _SECRC = 1 << 1, 1 << 5, 1 << 26
_BUFFER_SIZES = (2048, 1024, 512, 256)


class Receive(Component):
    """The receiver. It has no memory of its own: a frame without room waits at the cable's other end."""

    device: E1000

    def from_network(self, frame: Frame, offload: Offload | None) -> bool:
        """A frame came by the cable. False: there are no descriptors for it."""
        card = self.device
        if not card.RCTL.value & _EN or not card.phy.link or card.loopback:
            return True
        return self._take(frame, offload, keep=True)

    def loop_back(self, frame: Frame) -> None:
        """A frame that was sent comes back. Without descriptors it is lost."""
        if self.device.RCTL.value & _EN:
            self._take(frame, None, keep=False)

    def _take(self, frame: Frame, offload: Offload | None, *, keep: bool) -> bool:
        """Puts a frame into memory, or not. False: it must wait, if it may (`keep`)."""
        card = self.device
        if len(frame) < SHORTEST:
            frame = bytes(frame).ljust(SHORTEST, b"\0")
        needed = self._size(frame)
        if not needed:
            return True
        tagged = int.from_bytes(frame[12:14], "big") == card.VET.value
        tag = int.from_bytes(frame[14:16], "big") if tagged else 0
        wanted, unsure = card.filters.takes(frame)
        if not wanted or (tagged and not card.filters.vlan_takes(tag)):
            self._count_all(frame)
            return True
        if frame[12:14] == PAUSE_TYPE and not card.RCTL.PMCF:
            self._pause(frame)
            return True
        status, errors, checksum = self._checks(frame, offload)
        data: Frame = frame
        if card.CTRL.VME and tagged:
            data = b"".join((frame[:12], frame[16:]))
            status |= VP
        if not card.RCTL.value & _SECRC:
            data = b"".join((data, zlib.crc32(frame).to_bytes(FCS, "little")))
        status |= PIF if unsure else 0
        stored = self._store(data, status, errors, checksum, tag if status & VP else 0, keep=keep)
        if stored:
            self._count_all(frame)
        if stored and stored > 0:
            card.count_received(len(frame), frame[0])
            if len(data) <= card.RSRPD.value:
                card.interrupts.cause(SRPD)
            card.interrupts.received()
        return bool(stored)

    def _size(self, frame: Frame) -> int:
        """The frame's length, or 0 if it is too long (RCTL.LPE)."""
        length = len(frame) + FCS
        if length > (LONGEST_LPE if self.device.RCTL.value & _LPE else LONGEST):
            self.device.count("ROC")
            self._count_all(frame)
            return 0
        return length

    def _count_all(self, frame: Frame) -> None:
        self.device.count("TPR")
        self.device.count_octets("TOR", len(frame) + FCS)

    def _pause(self, frame: Frame) -> None:
        """Flow control (IEEE 802.3, annex 31B): the network's end never sends faster than we take."""
        self._count_all(frame)
        if frame[14:16] != b"\0\1":
            self.device.count("FCRUC")
        else:
            self.device.count("XOFFRXC" if any(frame[16:18]) else "XONRXC")

    # --- checksums (3.2.9) ---------------------------------------------------------------------------------------

    def _checks(self, frame: Frame, offload: Offload | None) -> tuple[int, int, int]:
        """Status, errors, and the packet checksum."""
        control = self.device.RXCSUM
        checksum = 0
        if len(frame) > control.PCSS:
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

    def _store(self, data: Frame, status: int, errors: int, checksum: int, tag: int, *, keep: bool) -> int:
        """1: it is in memory; -1: it is lost; 0: it must wait."""
        card = self.device
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
            self._write(data, size, ring, head, needed, (status, errors, checksum, tag))
        except GuestMemoryError:
            card.PCI_STATUS.RECEIVED_MASTER_ABORT = 1
            self.guest_error(f"RDT: receive descriptor {head} or its buffer isn't memory (section 3.2.3)")
            return -1
        card.RDH.value = (head + needed) % ring
        threshold = ring >> card.RCTL.RDMTS + 1
        if free - needed <= threshold < free:
            card.interrupts.cause(RXDMT0)
        return 1

    def _valid(self, ring: int, head: int, tail: int, needed: int) -> bool:
        for name, index in (("RDH", head), ("RDT", tail)):
            if index >= ring:
                self.guest_error(f"{name} {index} beyond RDLEN/16 = {ring} (section 3.2.6)")
                return False
        if needed >= ring:
            self.guest_error(f"RDLEN: a packet needs {needed} descriptors of a ring of {ring} (section 3.2.6)")
            return False
        return True

    def _write(
        self, data: Frame, size: int, ring: int, head: int, needed: int, what: tuple[int, int, int, int]
    ) -> None:
        """All of the data first, so that no descriptor says that something is there before it is."""
        dma = self.device.dma
        base = self.device.RDBAH.value << 32 | self.device.RDBAL.value
        status, errors, checksum, tag = what
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
