"""Endpoint 0: control transfers in their stages (USB 1.1, sections 8.5.2 and 9.2).

A request that the host sends data with, or none, is carried out in its status stage, when the data are complete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ..component import Component, State
from .protocol import SETUP_SIZE, SILENCE, Handshake, Pid, Reply, Setup

Stage = Literal["idle", "data in", "data out", "status in", "status out", "refused"]

MOST_DATA = 4096
"""Bytes that a host may send with a request."""
LARGEST_ANSWER = 0xFFFF

ACK, STALL = Reply(Handshake.ACK), Reply(Handshake.STALL)
STATUS = Reply(Handshake.ACK, b"", 1)
"""The status stage's packet from the device: empty, always DATA1."""


class ControlPipe(Component):
    """The pipe; whoever owns it sets `answer` and `obey`."""

    stage: Stage = State("idle", doc="What comes next.")
    setup: bytes = State(bytes(SETUP_SIZE), min_length=SETUP_SIZE, max_length=SETUP_SIZE, doc="The request.")
    data: bytes = State(b"", max_length=LARGEST_ANSWER, doc="What is to be sent yet, or was received.")
    ends_short: bool = State(False, doc="What is sent is less than asked for, and ends with a short packet.")
    toggle: int = State(0, ge=0, le=1, doc="The next data packet's.")

    answer: Callable[[Setup], bytes | None]
    """What a request gives the host, or None: it isn't one."""
    obey: Callable[[Setup, bytes], bool]
    """Carries out a request with the data from the host; False: it isn't one."""
    packet: int
    """Bytes of a packet, at most."""

    def transaction(self, pid: Pid, data: bytes, toggle: int) -> Reply:
        """One transaction on endpoint 0."""
        if pid is Pid.SETUP:
            return self._begin(data)
        if pid is Pid.IN:
            return self._in()
        return self._out(data, toggle)

    def _begin(self, data: bytes) -> Reply:
        if len(data) != SETUP_SIZE:
            self.guest_error(f"SETUP of {len(data)} bytes")
            return SILENCE
        self.setup = bytes(data)
        setup = Setup.parse(self.setup)
        self.toggle = 1
        self.data, self.ends_short = b"", False
        if not setup.length:
            self.stage = "status in"
        elif setup.to_host:
            self._answer(setup)
        else:
            self.stage = "data out"
            if setup.length > MOST_DATA:
                self._refuse(setup)
        return ACK

    def _answer(self, setup: Setup) -> None:
        found = self.answer(setup)
        if found is None:
            self._refuse(setup)
            return
        self.stage = "data in"
        self.data = found[: setup.length]
        self.ends_short = len(self.data) < setup.length

    def _refuse(self, setup: Setup) -> None:
        """Every packet up to the next SETUP is stalled (section 8.5.2.2)."""
        self.guest_error(f"USB request refused: {setup}")
        self.stage = "refused"

    def _in(self) -> Reply:
        if self.stage == "data in":
            part, self.data = self.data[: self.packet], self.data[self.packet :]
            if not self.data and not (self.ends_short and len(part) == self.packet):
                self.stage = "status out"
            reply = Reply(Handshake.ACK, part, self.toggle)
            self.toggle ^= 1
            return reply
        if self.stage == "data out" and len(self.data) < Setup.parse(self.setup).length:
            self.guest_error("the host ends a request before its data are complete")
            self.stage = "refused"
        if self.stage in ("data out", "status in"):
            setup = Setup.parse(self.setup)
            if self.obey(setup, self.data):
                self.stage = "idle"
                return STATUS
            self._refuse(setup)
        return STALL

    def _out(self, data: bytes, toggle: int) -> Reply:
        if self.stage in ("data in", "status out") and not data:
            self.stage = "idle"  # the host may end early (section 8.5.2.1)
            return ACK
        if self.stage != "data out":
            return STALL
        if toggle != self.toggle:
            return ACK  # the packet came again, as its handshake was lost
        if len(self.data) + len(data) > Setup.parse(self.setup).length:
            self.guest_error("the host sends more data than its request says")
            self.stage = "refused"
            return STALL
        self.data += data
        self.toggle ^= 1
        return ACK
