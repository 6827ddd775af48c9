"""Runs of plain packets, each in one descriptor and nothing to be done to it: looked at all at once, and never copied.

What a run does is what its descriptors do one by one (`transmit`); a test compares the two. Drivers send many packets
that differ in nothing but their place, so that most of what is to be looked at is looked at once for all of them.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, overload

from southbridge.errors import GuestMemoryError

from .transmit import FEWEST

if TYPE_CHECKING:
    from .device import E1000

SPAN = 16 << 10
"""How far apart its packets may be, on average: what lies between the first and the last is mapped at once."""
SHORTEST, LONGEST = 60, 16_288
DESCRIPTOR, STATUS_BYTE, DD = 16, 12, 0x01
_LENGTH = 0xFFFF
_RS, _IDE = 0x08 << 24, 0x80 << 24
_COMMANDS = 0x67 << 24
"""EOP, IFCS, IC, DEXT and VLE, of which a plain legacy descriptor has the first two."""
_PLAIN = 0x03 << 24
_WITH_DD = bytes(value | DD for value in range(256))


def _is_plain(rest: int) -> bool:
    """Whether the second quadword of a descriptor is one of a plain packet."""
    return rest & _COMMANDS == _PLAIN and SHORTEST <= rest & _LENGTH <= LONGEST


class _Frames(Sequence[memoryview]):
    """Pieces of a view, each of which is made when somebody looks at it."""

    def __init__(self, view: memoryview, begins: Sequence[int], rests: Sequence[int]) -> None:
        self._view = view
        self._begins = begins
        self._rests = rests

    def __len__(self) -> int:
        return len(self._begins)

    @overload
    def __getitem__(self, index: int) -> memoryview: ...

    @overload
    def __getitem__(self, index: slice) -> _Frames: ...

    def __getitem__(self, index: int | slice) -> memoryview | _Frames:
        if isinstance(index, slice):
            return _Frames(self._view, self._begins[index], self._rests[index])
        begin = self._begins[index]
        return self._view[begin : begin + (self._rests[index] & _LENGTH)]

    def __iter__(self) -> Iterator[memoryview]:
        view = self._view
        return (view[begin : begin + (rest & _LENGTH)] for begin, rest in zip(self._begins, self._rests, strict=True))


def _counted(rests: Sequence[int]) -> Mapping[int, int]:
    kinds = set(rests)
    return {rests[0]: len(rests)} if len(kinds) == 1 else Counter(rests)


class Run:
    """The plain packets that `raw`, fetched descriptors, begins with: `count` of them, or 0 if it is none."""

    def __init__(self, raw: bytes) -> None:
        words = struct.unpack(f"<{len(raw) // 8}Q", raw)
        rests = words[1::2]
        if not all(map(_is_plain, set(rests))):
            rests = rests[: next(index for index, rest in enumerate(rests) if not _is_plain(rest))]
        self.count = len(rests)
        self.taken = 0
        """How many of them the network took."""
        self.octets = 0
        """Bytes of those."""
        self._raw = raw
        self._addresses = words[: 2 * self.count : 2]
        self._rests = rests
        self._kinds = _counted(rests)
        """How many there are of those that differ in nothing but their place."""

    def send(self, card: E1000) -> bool:
        """Sends what the network takes of it. False: it isn't such a run after all, and nothing was done."""
        if self.count < FEWEST:
            return False
        start, last = min(self._addresses), max(self._addresses)
        if last - start > SPAN * self.count:
            return False
        size = last - start + max(rest & _LENGTH for rest in self._kinds)
        try:
            with card.dma.map(start, size) as view:
                if len(view) < size:
                    return False
                self._send(card, view, [address - start for address in self._addresses])
        except GuestMemoryError:  # the descriptor that is to blame will be found
            return False
        return True

    def _send(self, card: E1000, view: memoryview, begins: list[int]) -> None:
        self.taken = taken = card.port.send_batch(_Frames(view, begins, self._rests))
        if taken < self.count:
            self._rests = self._rests[:taken]
            self._kinds = _counted(self._rests)
            del begins[taken:]
        self.octets = self._octets()
        firsts = [view[begin] for begin in begins]
        card.count_run_transmitted([(rest & _LENGTH, number) for rest, number in self._kinds.items()], firsts)

    def _octets(self) -> int:
        return sum((rest & _LENGTH) * number for rest, number in self._kinds.items())

    def written_back(self) -> tuple[int, bytes | bytearray, int, int]:
        """What was taken, as it is written back: the first such descriptor, their bytes, how many have RS, and IDE."""
        reports = sum(number for rest, number in self._kinds.items() if rest & _RS)
        delayed = sum(number for rest, number in self._kinds.items() if rest & _RS and rest & _IDE)
        if reports == self.taken:
            piece = bytearray(self._raw[: self.taken * DESCRIPTOR])
            piece[STATUS_BYTE::DESCRIPTOR] = piece[STATUS_BYTE::DESCRIPTOR].translate(_WITH_DD)
            return 0, piece, reports, delayed
        if not reports:
            return 0, b"", 0, 0
        marked = [index for index, rest in enumerate(self._rests) if rest & _RS]
        first, last = marked[0], marked[-1]
        piece = bytearray(self._raw[first * DESCRIPTOR : (last + 1) * DESCRIPTOR])
        for index in marked:
            piece[(index - first) * DESCRIPTOR + STATUS_BYTE] |= DD
        return first, piece, reports, delayed
