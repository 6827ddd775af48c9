"""A filter that makes of a good network a bad one, and of the same seed and frames the same one."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import ClassVar

from southbridge.net import Frame, NetworkPort, Offload, Takes
from southbridge.properties import Property

from .delays import TimedFilter

MOST_DELAYED = 1024
"""Frames that may be on their way in one direction; who sends more has to wait."""
REORDERED_S = 0.01
"""How much later than it should a frame comes that is overtaken."""


class Faults(TimedFilter):
    """Loses, delays, reorders, duplicates and corrupts frames, and lets the link flap, as chance has it.

    Chances are in per cent of the frames.
    """

    leaves_undone: ClassVar[Takes] = Takes.NOTHING

    seed: int = Property(0, doc="What chance is made of.")
    loss: float = Property(0.0, ge=0, le=100, doc="How many are lost.")
    duplicate: float = Property(0.0, ge=0, le=100, doc="How many come twice.")
    corrupt: float = Property(0.0, ge=0, le=100, doc="In how many a bit is wrong.")
    reorder: float = Property(0.0, ge=0, le=100, doc="How many are overtaken by those behind them.")
    delay: float = Property(0.0, ge=0, le=60_000, doc="How long each takes, in milliseconds.")
    jitter: float = Property(0.0, ge=0, le=60_000, doc="By how much more or less, at random.")
    up: float = Property(0.0, ge=0, doc="Seconds for which the link is up, until it flaps; 0: it doesn't.")
    down: float = Property(1.0, gt=0, doc="Seconds for which it is down then.")

    def open(self) -> None:
        """Connects itself."""
        super().open()
        self._random = random.Random(self.seed)
        self._under_way = {id(self.near): 0, id(self.far): 0}

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        """The link begins to flap, if it does."""
        super().start(loop, lock)
        if self.up:
            self.later(self.up, self._down)

    def _down(self) -> None:
        self.near.carrier = False
        self.later(self.down, self._up)

    def _up(self) -> None:
        self.near.carrier = self.far.link_up
        self.later(self.up, self._down)

    def from_card(self, frame: Frame, offload: Offload | None) -> bool:
        """See NetworkFilter."""
        return self._pass(self.near, self.far, frame)

    def from_network(self, frame: Frame, offload: Offload | None) -> bool:
        """See NetworkFilter."""
        return self._pass(self.far, self.near, frame)

    def _chance(self, percent: float) -> bool:
        return bool(percent) and self._random.random() * 100 < percent

    def _pass(self, source: NetworkPort, target: NetworkPort, frame: Frame) -> bool:
        if self._under_way[id(source)] >= MOST_DELAYED:
            return False
        if self._chance(self.loss):
            return True
        if self._chance(self.corrupt):
            frame = self._corrupted(frame)
        times = 2 if self._chance(self.duplicate) else 1
        seconds = max(self.delay + self.jitter * self._random.uniform(-1, 1), 0) / 1000 if self.started else 0
        if self.started and self._chance(self.reorder):
            seconds += REORDERED_S
        if not seconds:
            return all(target.send(frame) or number for number in range(times))
        kept = bytes(frame)
        for _ in range(times):
            self._under_way[id(source)] += 1
            self.later(seconds, lambda: self._arrive(source, target, kept))
        return True

    def _arrive(self, source: NetworkPort, target: NetworkPort, frame: bytes) -> None:
        """A frame is there; if there is no room for it now, it is lost on the way."""
        target.send(frame)
        self._under_way[id(source)] -= 1
        source.ready()

    def _corrupted(self, frame: Frame) -> bytearray:
        wrong = bytearray(frame)
        wrong[self._random.randrange(len(wrong))] ^= 1 << self._random.randrange(8)
        return wrong
