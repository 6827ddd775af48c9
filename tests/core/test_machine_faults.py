"""What goes wrong, and what a machine makes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from southbridge import Device, PortBank, Property, ResetReason, RunState, ShutdownReason, timer
from southbridge.memory.regions import Io

from tests.core.fake_cpu import HLT, SPIN, FakeVcpu
from tests.core.fake_pc import CALL, EXIT, Pc, Steps, Timekeeper, exits, spins

FAULT = 0x700
"""The faulty device's ports."""

# --- faults of devices ------------------------------------------------------------------------------------------------


class Faulty(Device):
    """Raises wherever the test says."""

    where: str = Property("", doc="reset, timer, or else at accesses.")
    ports = PortBank(2)
    DATA = ports.register(0)
    GOOD = ports.register(1, reset=0x55)

    def realize(self) -> None:
        self.attempts = 0
        self.claim_ports(self.ports, FAULT)
        self.claim_ports(Io("more", 1, self.fail, self.fail, owner=self), FAULT + 2)

    def fail(self, *args: int) -> int:
        self.attempts += 1
        raise ZeroDivisionError("in the device")

    @DATA.read
    def data_read(self) -> int:
        return self.fail()

    @DATA.write
    def data_written(self, value: int) -> None:
        self.fail()

    @timer
    def expire(self) -> None:
        self.fail()

    @timer
    def other(self) -> None:
        self.fail()

    def reset(self) -> None:
        super().reset()
        if self.where == "reset":
            self.fail()
        if self.where == "timer":
            self.expire.after()
            self.other.after(us=1)


ACCESSES: dict[str, Callable[[FakeVcpu], Any]] = {
    "read": lambda vcpu: vcpu.read_port(FAULT),
    "write": lambda vcpu: vcpu.write_port(FAULT, 1),
    "claimed": lambda vcpu: vcpu.read_port(FAULT + 2),
}


@pytest.mark.parametrize("where", ["read", "write", "claimed", "reset", "timer"])
def test_a_device_that_raises_is_broken_and_the_machine_goes_on(where: str, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []

    def guest(vcpu: FakeVcpu) -> Steps:
        if where == "timer" and not faulty.broken:
            yield HLT
        if where in ACCESSES and not faulty.broken:
            ACCESSES[where](vcpu)
        seen.extend(vcpu.read_port(FAULT + offset) for offset in range(3))
        vcpu.write_port(FAULT, 1)
        vcpu.write_port(CALL, 0)
        yield SPIN
        vcpu.write_port(EXIT, 0)

    pc = Pc(guest)
    faulty = pc.plug(Faulty, where=where)
    pc.plug(Timekeeper, delay=5_000_000)
    pc.call.functions.append(
        lambda: pc.machine.request_reset(ResetReason.HOST) if pc.call.resets < 2 else pc.vcpu.kick()
    )
    with caplog.at_level(logging.ERROR):
        assert pc.run().reason is ShutdownReason.GUEST_SHUTDOWN
    assert faulty.broken
    assert faulty.attempts == 1
    assert seen == [0xFF] * 6
    (record,) = [record for record in caplog.records if record.name == "southbridge.faults"]
    assert "Faulty is broken" in record.getMessage()
    assert "ZeroDivisionError: in the device" in record.getMessage()


@pytest.mark.parametrize("where", ["read", "write", "claimed", "reset", "timer"])
def test_under_strict_it_ends_the_machine(where: str) -> None:
    def guest(vcpu: FakeVcpu) -> Steps:
        if where in ACCESSES:
            ACCESSES[where](vcpu)
        yield HLT

    pc = Pc(guest, strict=True)
    faulty = pc.plug(Faulty, where=where)
    with pytest.raises(ZeroDivisionError, match="in the device"):
        pc.run()
    assert not faulty.broken
    assert pc.events[-1] == ("stopped", ShutdownReason.HOST_ERROR)
    assert pc.machine.state is RunState.SHUTDOWN


def test_guest_errors_are_kept_but_not_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    pc = Pc(exits)
    with caplog.at_level(logging.INFO, "southbridge.guest_errors"):
        for number in range(1000):
            pc.call.guest_error(f"number {number}")
    assert len(pc.machine.guest_errors) == 256
    assert pc.machine.guest_errors[-1] == "CallPort: number 999"
    assert caplog.messages[0] == "CallPort: number 0"


# --- faults of others -------------------------------------------------------------------------------------------------


def test_a_request_that_fails_ends_the_machine() -> None:
    pc = Pc(spins)

    def fail() -> None:
        raise KeyError("request")

    pc.machine.post(fail)
    with pytest.raises(KeyError, match="request"):
        pc.run()
    assert pc.events[-1] == ("stopped", ShutdownReason.HOST_ERROR)
