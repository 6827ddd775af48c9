"""Runs of plain packets, each in one descriptor and nothing to be done to it: looked at all at once, and never copied.

What a run does is what its descriptors do one by one (`transmit`); a test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from southbridge.errors import GuestMemoryError

from .statistics import FCS
from .transmit import FEWEST

if TYPE_CHECKING:
    from .device import E1000

Words = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]

SPAN = 16 << 10
"""How far apart its packets may be, on average: what lies between the first and the last is mapped at once."""
SHORTEST, LONGEST = 60, 16_288
DESCRIPTOR, STATUS_BYTE, DD, RS, IDE = 16, 12, 0x01, 0x08, 0x80

_COMMANDS = np.uint64(0x67_00_0000)
"""EOP, IFCS, IC, DEXT and VLE, of which a plain legacy descriptor has the first two."""
_PLAIN = np.uint64(0x03_00_0000)
_LENGTH = np.uint64(0xFFFF)
BROADCAST = 0xFF
_EDGES = np.array([64, 127, 255, 511, 1023])
_COUNTERS = ("PTC64", "PTC127", "PTC255", "PTC511", "PTC1023", "PTC1522")


class Run:
    """The plain packets that `raw`, fetched descriptors, begins with: `count` of them, or 0 if it is none."""

    def __init__(self, raw: bytes) -> None:
        words: Words = np.frombuffer(raw, "<u8").reshape(-1, 2)
        rest = words[:, 1]
        lengths = (rest & _LENGTH).astype(np.int64)
        plain = ((rest & _COMMANDS) == _PLAIN) & (lengths >= SHORTEST) & (lengths <= LONGEST)
        self.count = len(plain) if plain.all() else int(plain.argmin())
        self.taken = 0
        """How many of them the network took."""
        self._raw = raw
        self._rest = rest
        self._words = words
        self._lengths = lengths

    def send(self, card: E1000) -> bool:
        """Sends what the network takes of it. False: it isn't such a run after all, and nothing was done."""
        if self.count < FEWEST:
            return False
        addresses = self._words[: self.count, 0]
        start = addresses.min()
        offsets = addresses - start
        if offsets.max() > SPAN * self.count:
            return False
        try:
            return self._send(card, int(start), offsets.astype(np.int64))
        except GuestMemoryError:  # the descriptor that is to blame will be found
            return False

    def _send(self, card: E1000, start: int, offsets: Offsets) -> bool:
        ends = offsets + self._lengths[: self.count]
        size = int(ends.max())
        with card.dma.map(start, size) as view:
            if len(view) < size:
                return False
            frames = [view[begin:end] for begin, end in zip(offsets.tolist(), ends.tolist(), strict=True)]
            self.taken = card.port.send_batch(frames)
            first = np.frombuffer(view, np.uint8)[offsets[: self.taken]]
        self._count(card, first)
        return True

    def written_back(self) -> tuple[int, bytes, int, int]:
        """What was taken, as it is written back: the first such descriptor, their bytes, how many have RS, and IDE."""
        command = self._rest[: self.taken] >> np.uint64(24)
        reports = np.flatnonzero(command & np.uint64(RS))
        if not len(reports):
            return 0, b"", 0, 0
        first, last = int(reports[0]), int(reports[-1])
        piece = np.frombuffer(self._raw, np.uint8)[first * DESCRIPTOR : (last + 1) * DESCRIPTOR].copy()
        piece[(reports - first) * DESCRIPTOR + STATUS_BYTE] |= DD
        delayed = int(np.count_nonzero(command[reports] & np.uint64(IDE)))
        return first, piece.tobytes(), len(reports), delayed

    @property
    def octets(self) -> int:
        """Bytes that were taken."""
        return int(self._lengths[: self.taken].sum())

    def _count(self, card: E1000, first: npt.NDArray[np.uint8]) -> None:
        """`first` has the first byte of each destination."""
        taken = self.taken
        if not taken:
            return
        octets = self.octets + taken * FCS
        card.count("GPTC", taken)
        card.count("TPT", taken)
        card.count_octets("GOTC", octets)
        card.count_octets("TOT", octets)
        sizes = np.bincount(np.searchsorted(_EDGES, self._lengths[:taken] + FCS), minlength=len(_COUNTERS))
        for name, number in zip(_COUNTERS, sizes.tolist(), strict=True):
            if number:
                card.count(name, number)
        groups = int(np.count_nonzero(first & 1))
        if groups:
            everybody = int(np.count_nonzero(first == BROADCAST))
            card.count("BPTC", everybody)
            card.count("MPTC", groups - everybody)
