"""A bounded queue of frames, for whoever must keep some."""

from __future__ import annotations

from collections import deque
from itertools import groupby
from operator import itemgetter

from .frames import Frame, Offload
from .port import NetworkPort

MOST_FRAMES = 256
MOST_BYTES = 1 << 20


class FrameQueue:
    """Copies of frames, in order; at most so many, and so many bytes, of which one frame may be more."""

    def __init__(self, most_frames: int = MOST_FRAMES, most_bytes: int = MOST_BYTES) -> None:
        self._most_frames = most_frames
        self._most_bytes = most_bytes
        self._frames: deque[tuple[bytes, Offload | None]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def full(self) -> bool:
        """Whether `put` would refuse the next frame."""
        return len(self._frames) >= self._most_frames or self._bytes >= self._most_bytes

    def put(self, frame: Frame, offload: Offload | None = None) -> bool:
        """Adds a copy of `frame`; False if the queue is full."""
        if self.full:
            return False
        self._frames.append((bytes(frame), offload))
        self._bytes += len(frame)
        return True

    def first(self) -> tuple[bytes, Offload | None]:
        """The oldest, which stays."""
        return self._frames[0]

    def drop(self) -> None:
        """The oldest goes."""
        self._bytes -= len(self._frames.popleft()[0])

    def give_to(self, port: NetworkPort) -> None:
        """Gives `port` the oldest ones, as far as the other end has room."""
        for offload, entries in [(key, list(run)) for key, run in groupby(self._frames, itemgetter(1))]:
            taken = port.send_batch([frame for frame, _ in entries], offload)
            for _ in range(taken):
                self.drop()
            if taken < len(entries):
                return

    def clear(self) -> None:
        """All go."""
        self._frames.clear()
        self._bytes = 0
