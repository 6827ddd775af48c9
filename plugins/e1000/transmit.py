"""The transmitter: descriptors from the ring become packets for the network (manual, sections 3.3 to 3.5).

Each turn fetches descriptors in batches, each of which is copied once, and writes back those that ask for it. What one
turn does is bounded: a ring with more work goes on a little later, at about the speed of the wire.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Annotated

from southbridge.annotations import Length, Within
from southbridge.component import Component, State, timer
from southbridge.errors import GuestMemoryError
from southbridge.net import Frame, Gso, Takes

from .offloads import Context, checksums, insert_checksum, segments, unsegmented
from .registers import TXD_LOW, TXQE

if TYPE_CHECKING:
    from .batches import Run
    from .device import E1000

DESCRIPTOR = 16
BATCH = 256
"""Descriptors that are fetched at once. The hardware keeps 64, but a fetch costs it less."""
FEWEST = 8
"""From here on a run of plain packets is worth its trouble."""
TURN_DESCRIPTORS, TURN_BYTES = 1024, 1 << 20
"""What one turn does."""
DESCRIPTOR_NS, BYTE_NS = 500, 8
"""How long the rest waits then, for each of them."""

RAPID_NS, RAPID_TAILS, RAPID_PACKETS = 100_000, 32, 8
"""Writes to TDT that are no further apart, and so many of them, each of which has no more descriptors, are a driver's
that tells of each packet by itself.
"""
SOON, TOGETHER = 50_000, 128
"""These are seen to after so many nanoseconds, or once so many descriptors wait."""

EOP, IFCS, IC_TSE, RS, DEXT, VLE, IDE = 0x01, 0x02, 0x04, 0x08, 0x20, 0x40, 0x80
"""Bits of a descriptor's command (sections 3.3.3.1 and 3.3.7.1). Bit 2 is IC, or in a data descriptor TSE."""
DD = 0x01
IXSM, TXSM = 0x01, 0x02
STATUS_BYTE = 12

SHORTEST, HEADER = 60, 14
LONGEST = 16_288
"""A packet that isn't segmented must fit into the packet buffer."""
LONGEST_IP = 65_535
LONGEST_SEGMENTED = LONGEST_IP + 240
MOST_SEGMENTS = 1024

_QUADWORDS = struct.Struct("<QQ")
Quadword = Annotated[int, Within(0, (1 << 64) - 1)]
HeldFrame = Annotated[bytes, Length(0, LONGEST_SEGMENTED)]


class Transmit(Component):
    """What the transmitter remembers from one descriptor to the next."""

    device: E1000

    packet: bytes = State(b"", max_length=LONGEST_SEGMENTED, doc="What came of a packet that isn't complete.")
    begun: bool = State(False, doc="A descriptor of it came.")
    bad: bool = State(False, doc="It can't be sent: it is too long, or not in memory.")
    options: int = State(0, ge=0, le=0xFF, doc="POPTS of its first data descriptor.")
    segmented: bool = State(False, doc="TSE of its first data descriptor.")
    checksum_context: list[Quadword] = State([0, 0], min_length=2, max_length=2, doc="The last context without TSE.")
    segment_context: list[Quadword] = State([0, 0], min_length=2, max_length=2, doc="The last context with TSE.")
    held: list[HeldFrame] = State([], max_length=MOST_SEGMENTS, doc="Frames that the network had no room for.")

    _busy = False
    _last_tail = _rapid = 0
    """When TDT was written last, and about how often before that in quick succession."""
    _known_tail = 0
    """What was written."""

    _runs: type[Run] | None = None

    # --- the ring ------------------------------------------------------------------------------------------------

    def prepare(self) -> type[Run]:
        """Imports what runs of packets need: that takes a while, which shouldn't be in the middle of traffic."""
        from .batches import Run

        self._runs = Run
        return Run

    def run(self) -> None:
        """Goes on with the ring, as far as the network takes what comes of it."""
        if self._busy or not self.device.TCTL.value & 2 or self.device.asleep:
            return
        self._busy = True
        try:
            if self._send_held():
                self._walk()
        finally:
            self._busy = False

    def tail_written(self) -> None:
        """The driver goes on. What comes in quick succession, as of a driver that tells of each packet by itself, is
        seen to together, a little later.
        """
        now, card = self.clock.now(), self.device
        ring, tail = card.TDLEN.value >> 4, card.TDT.value
        more = (tail - self._known_tail) % ring if ring else 0
        rapid = now - self._last_tail < RAPID_NS and more <= RAPID_PACKETS
        self._rapid = min(self._rapid + 1, 2 * RAPID_TAILS) if rapid else max(self._rapid - 4, 0)
        self._last_tail, self._known_tail = now, tail
        if self._rapid < RAPID_TAILS or more > RAPID_PACKETS:
            self.run()
            return
        if not ring or (card.TDT.value - card.TDH.value) % ring >= TOGETHER:
            self.run()
        if not self.go_on.pending:
            self.go_on.after(ns=SOON)

    @timer
    def go_on(self) -> None:
        """The next turn."""
        self.run()

    def _walk(self) -> None:
        card = self.device
        ring, head, tail = card.TDLEN.value >> 4, card.TDH.value, card.TDT.value
        if head == tail or not self._valid(ring, head, tail):
            return
        base = card.TDBAH.value << 32 | card.TDBAL.value
        self._reports = self._delayed = 0
        self._bytes = 0
        self._parts = [self.packet] if self.packet else []
        before, left = (tail - head) % ring, TURN_DESCRIPTORS
        while head != tail and left > 0 and self._bytes < TURN_BYTES and not self.held:
            count = min((tail if tail > head else ring) - head, BATCH, left)
            try:
                raw = card.dma.read(base + head * DESCRIPTOR, count * DESCRIPTOR)
                done = self._run_of_plain(raw, base, head) or self._batch(raw, base, head, count)
            except GuestMemoryError:
                self._unreachable(f"TDT: transmit descriptors from {head} on are not in memory (section 3.4)")
                break
            head = (head + done) % ring
            card.TDH.value = head
            left -= done
        self.packet = b"".join(self._parts)
        self._parts = []
        self._tell(before, (tail - head) % ring, left)

    def _valid(self, ring: int, head: int, tail: int) -> bool:
        for name, index in (("TDH", head), ("TDT", tail)):
            if index >= ring:
                self.guest_error(f"{name} {index} beyond TDLEN/16 = {ring} (section 3.4)")
                return False
        return True

    def _tell(self, before: int, remaining: int, left: int) -> None:
        card = self.device
        causes = 0
        if not remaining:
            causes |= TXQE
            if self.begun:
                last = (card.TDT.value or card.TDLEN.value >> 4) - 1
                self.guest_error(f"TDT: descriptor {last} without EOP is the last before the tail (section 3.3.3)")
        elif not self.held and (left <= 0 or self._bytes >= TURN_BYTES):
            used = TURN_DESCRIPTORS - left
            self.go_on.after(ns=used * DESCRIPTOR_NS + self._bytes * BYTE_NS)
        low = 8 * card.TXDCTL.LWTHRESH
        if low and remaining < low <= before:
            causes |= TXD_LOW
        if causes:
            card.interrupts.cause(causes)
        if self._reports:
            card.interrupts.transmitted(delay=self._reports == self._delayed)

    def _unreachable(self, message: str) -> None:
        self.device.PCI_STATUS.RECEIVED_MASTER_ABORT = 1
        self.guest_error(message)

    def _run_of_plain(self, raw: bytes, base: int, head: int) -> int:
        """Sends a run of plain packets that these descriptors begin with; says how many."""
        card = self.device
        if self.begun or len(raw) < FEWEST * DESCRIPTOR or card.loopback:
            return 0
        run = (self._runs or self.prepare())(raw)
        if not run.send(card):
            return 0
        if run.reports:
            first, piece = run.written_back()
            card.dma.write(base + (head + first) * DESCRIPTOR, piece)
        self._reports += run.reports
        self._delayed += run.delayed
        self._bytes += run.octets
        return run.taken

    def _batch(self, raw: bytes, base: int, head: int, count: int) -> int:
        """Carries out descriptors, and writes back those that ask for it; says how many."""
        first = last = -1
        written = bytearray(raw)
        done = 0
        for index in range(count):
            address, rest = _QUADWORDS.unpack_from(raw, index * DESCRIPTOR)
            command = rest >> 24 & 0xFF
            self._descriptor(head + index, address, rest, command)
            done = index + 1
            if command & RS:
                written[index * DESCRIPTOR + STATUS_BYTE] |= DD
                first, last = (index if first < 0 else first), index
                self._reports += 1
                self._delayed += bool(command & IDE)
            if self.held or self._bytes >= TURN_BYTES:
                break
        if first >= 0:
            piece = memoryview(written)[first * DESCRIPTOR : (last + 1) * DESCRIPTOR]
            self.device.dma.write(base + (head + first) * DESCRIPTOR, piece)
        return done

    # --- descriptors ---------------------------------------------------------------------------------------------

    def _descriptor(self, index: int, address: int, rest: int, command: int) -> None:
        if not command & DEXT:
            self._data(index, address, rest & 0xFFFF)
            if command & EOP:
                self._finish_legacy(index, rest, command)
            return
        kind = rest >> 20 & 0xF
        if kind == 0:
            context = [address, rest]
            if command & IC_TSE:
                self.segment_context = context
            else:
                self.checksum_context = context
        elif kind == 1:
            if not self.begun:
                self.options, self.segmented = rest >> 40 & 0xFF, bool(command & IC_TSE)
            self._data(index, address, rest & 0xF_FFFF)
            if command & EOP:
                self._finish(index, rest, command)
        else:
            self.guest_error(f"TDT: descriptor {index} has DTYP {kind}, which is reserved (section 3.3.5)")

    def _data(self, index: int, address: int, length: int) -> None:
        self.begun = True
        if self.bad or not length:
            return
        limit = LONGEST_SEGMENTED if self.segmented else LONGEST
        if sum(map(len, self._parts)) + length > limit:
            self.bad = True
            self.guest_error(f"TDT: with descriptor {index} the packet is longer than {limit} bytes (section 3.3.1)")
            return
        self._bytes += length
        try:
            self._parts.append(self.device.dma.read(address, length))
        except GuestMemoryError:
            self.bad = True
            self._unreachable(f"TDT: the buffer of descriptor {index} at {address:#x} is not in memory (section 3.3.1)")

    def _taken(self) -> tuple[bytearray, bool]:
        """The packet that is complete, and whether it may be sent; the next one may begin."""
        packet, good = bytearray().join(self._parts), not self.bad and bool(self._parts)
        self._parts.clear()
        self.begun = self.bad = self.segmented = False
        return packet, good

    def _finish_legacy(self, index: int, rest: int, command: int) -> None:
        packet, good = self._taken()
        if not good:
            return
        start, offset = rest >> 40 & 0xFF, rest >> 16 & 0xFF
        if command & IC_TSE and not insert_checksum(packet, start, offset, 0):
            self._outside(index, f"CSS {start} or CSO {offset}", len(packet), "3.3.3.1")
        self._send(index, packet, rest >> 48, command)

    def _finish(self, index: int, rest: int, command: int) -> None:
        options, segmented = self.options, self.segmented
        packet, good = self._taken()
        if not good:
            return
        ip, transport = bool(options & IXSM), bool(options & TXSM)
        if segmented:
            self._send_segments(index, packet, rest >> 48, command, ip=ip, transport=transport)
            return
        if ip or transport:
            context = Context.from_words(*self.checksum_context)
            if not checksums(packet, context, ip=ip, transport=transport):
                self._outside(index, "an offset of the context", len(packet), "3.3.6")
        self._send(index, packet, rest >> 48, command)

    def _outside(self, index: int, what: str, length: int, section: str) -> None:
        self.guest_error(f"TDT: descriptor {index}: {what} is outside a packet of {length} bytes (section {section})")

    # --- packets -------------------------------------------------------------------------------------------------

    def _send_segments(
        self, index: int, packet: bytearray, tag: int, command: int, *, ip: bool, transport: bool
    ) -> None:
        context = Context.from_words(*self.segment_context)
        fault = context.fault(len(packet), transport)
        if not fault and len(packet) - context.header > MOST_SEGMENTS * context.segment:
            fault = f"MSS {context.segment} makes more than {MOST_SEGMENTS} segments"
        if fault:
            self.device.count("TSCTFC")
            self.guest_error(f"TDT: descriptor {index}: TCP segmentation, but {fault} (section 3.5)")
            return
        self.device.count("TSCTC")
        if self._leave_whole(packet, context, command, ip=ip, transport=transport):
            return
        for frame in segments(packet, context, ip=ip, transport=transport):
            self._send(index, frame, tag, command)

    def _leave_whole(self, packet: bytearray, context: Context, command: int, *, ip: bool, transport: bool) -> bool:
        """Has the other end cut it up, if that can."""
        card = self.device
        takes = card.port.peer_takes
        gso = Takes.TCP4 if context.ipv4 else Takes.TCP6
        if not (context.tcp and transport and (ip or not context.ipv4)) or self._tagged(command):
            return False
        if not takes & gso or card.loopback or len(packet) <= context.header + context.segment:
            return False
        if len(packet) - context.ip_start > LONGEST_IP:
            return False
        whole = bytearray(packet)
        offload = unsegmented(whole, context)
        assert offload.gso is not Gso.NONE
        if not card.port.send(whole, offload):
            return False
        payload = len(packet) - context.header
        full, rest = divmod(payload, context.segment)
        card.count_transmitted(context.header + context.segment, packet[0], full)
        if rest:
            card.count_transmitted(context.header + rest, packet[0])
        return True

    def _tagged(self, command: int) -> bool:
        return bool(command & VLE and self.device.CTRL.VME)

    def _send(self, index: int, frame: bytearray, tag: int, command: int) -> None:
        """Sends a frame, or keeps it if there is no room."""
        card = self.device
        if not command & IFCS:
            self._check_fcs(index, frame)
        if self._tagged(command):
            frame[12:12] = card.VET.value.to_bytes(2, "big") + tag.to_bytes(2, "big")
        if len(frame) < SHORTEST:
            if card.TCTL.PSP:
                frame += bytes(SHORTEST - len(frame))
            elif len(frame) < HEADER:
                self.guest_error(f"TDT: descriptor {index}: a packet of {len(frame)} bytes (section 3.3.1)")
                return
        card.count_transmitted(len(frame), frame[0])
        if self.held or not self._out(frame):
            self.held.append(bytes(frame))

    def _check_fcs(self, index: int, frame: bytearray) -> None:
        """Without IFCS the packet brings its frame check sequence along. A driver that has none forgot the bit."""
        if zlib.crc32(memoryview(frame)[:-4]).to_bytes(4, "little") == frame[-4:]:
            del frame[-4:]
        else:
            self.guest_error(f"TDT: descriptor {index} without IFCS, and the packet has no FCS (section 3.3.3.1)")

    def _out(self, frame: Frame) -> bool:
        if self.device.loopback:
            self.device.receive.loop_back(frame)
            return True
        return self.device.port.send(frame)

    def _send_held(self) -> bool:
        """Sends what was kept; False if there is still no room."""
        while self.held:
            if not self._out(self.held[0]):
                return False
            del self.held[0]
        return True
