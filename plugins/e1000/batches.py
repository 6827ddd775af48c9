"""Runs of plain packets, each in one descriptor and nothing to be done to it: looked at all at once, and never copied.

What a run does is what its descriptors do one by one (`transmit`); a test compares the two. Drivers send many packets
that differ in nothing but their place, so that most of what is to be looked at is looked at once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np
import numpy.typing as npt
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

_QUADWORD = np.dtype("<i8")
_least, _most = np.minimum.reduce, np.maximum.reduce

Quadwords = npt.NDArray[np.int64]


class _Frames(Sequence[memoryview]):
    """Pieces of a view, each of which is made when somebody looks at it."""

    def __init__(self, view: memoryview, begins: Quadwords, rests: Quadwords) -> None:
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
        begin = int(self._begins[index])
        return self._view[begin : begin + (int(self._rests[index]) & _LENGTH)]

    def __iter__(self) -> Iterator[memoryview]:
        view = self._view
        pairs = zip(self._begins.tolist(), self._rests.tolist(), strict=True)
        return (view[begin : begin + (rest & _LENGTH)] for begin, rest in pairs)


def _is_plain(rest: int) -> bool:
    """Whether the second quadword of a descriptor is one of a plain packet."""
    return rest & _COMMANDS == _PLAIN and SHORTEST <= rest & _LENGTH <= LONGEST


def _plain(rests: Quadwords) -> int:
    """How many of the second quadwords of descriptors, from the first on, are those of plain packets."""
    lengths = rests & _LENGTH
    plain = (rests & _COMMANDS == _PLAIN) & (lengths >= SHORTEST) & (lengths <= LONGEST)
    return len(plain) if plain.all() else int(plain.argmin())


def _counted(rests: Quadwords) -> dict[int, int]:
    kinds, numbers = np.unique(rests, return_counts=True)
    return dict(zip(kinds.tolist(), numbers.tolist(), strict=True))


class Run:
    """The plain packets that `raw`, fetched descriptors, begins with: `count` of them, or 0 if it is none."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        words: Quadwords = np.frombuffer(raw, _QUADWORD)
        self._addresses, self._rests = words[::2], words[1::2]
        count = len(self._rests)
        self._rest = 0
        """The second quadword of each, if they all have the same."""
        if raw[8:DESCRIPTOR] * count == self._rests.tobytes():
            self._rest = int.from_bytes(raw[8:DESCRIPTOR], "little")
            count = count if _is_plain(self._rest) else 0
        else:
            count = _plain(self._rests)
        self.count = count
        self.taken = self.octets = self.reports = self.delayed = 0
        """Of what the network took: how many, their bytes, how many have RS, and how many of these IDE."""

    def send(self, card: E1000) -> bool:
        """Sends what the network takes of it. False: it isn't such a run after all, and nothing was done."""
        count = self.count
        if count < FEWEST:
            return False
        if count < len(self._rests):
            self._addresses, self._rests = self._addresses[:count], self._rests[:count]
        start, last = int(_least(self._addresses)), int(_most(self._addresses))
        if start < 0 or last - start > SPAN * count:
            return False
        longest = self._rest & _LENGTH or int(_most(self._rests & _LENGTH))
        size = last - start + longest
        try:
            with card.dma.map(start, size) as view:
                if len(view) < size:
                    return False
                self._send(card, view, self._addresses - start)
        except GuestMemoryError:  # the descriptor that is to blame will be found
            return False
        return True

    def _send(self, card: E1000, view: memoryview, begins: Quadwords) -> None:
        self.taken = taken = card.port.send_batch(_Frames(view, begins, self._rests))
        if taken < self.count:
            begins, self._rests = begins[:taken], self._rests[:taken]
        kinds = {self._rest: taken} if self._rest else _counted(self._rests)
        for rest, number in kinds.items():
            self.octets += (rest & _LENGTH) * number
            if rest & _RS:
                self.reports += number
                self.delayed += number if rest & _IDE else 0
        firsts = np.frombuffer(view, np.uint8)[begins].tobytes()
        lengths = [(rest & _LENGTH, number) for rest, number in kinds.items()]
        card.count_run_transmitted(taken, self.octets, lengths, firsts)

    def written_back(self) -> tuple[int, bytes | bytearray]:
        """What was taken, as it is written back: the first descriptor with RS, and the bytes from there to the last."""
        if self.reports == self.taken:
            piece = bytearray(self._raw[: self.taken * DESCRIPTOR])
            piece[STATUS_BYTE::DESCRIPTOR] = piece[STATUS_BYTE::DESCRIPTOR].translate(_WITH_DD)
            return 0, piece
        marked = np.flatnonzero(self._rests & _RS).tolist()
        first, last = marked[0], marked[-1]
        piece = bytearray(self._raw[first * DESCRIPTOR : (last + 1) * DESCRIPTOR])
        for index in marked:
            piece[(index - first) * DESCRIPTOR + STATUS_BYTE] |= DD
        return first, piece
