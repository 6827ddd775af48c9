"""A device may store after the CPU is gone: as a packet that comes while a machine ends."""

from __future__ import annotations

from tests.accelerators.unicorn.guest import FakeMachine, real_mode


def test_a_device_stores_after_the_cpu_is_closed() -> None:
    machine = FakeMachine(memory=64 << 20)
    machine.code("out 0xf4, al\njmp $")
    machine.start(real_mode())
    machine.run()
    machine.vcpu.close()
    machine.vcpu._engine.uc = None  # what it had is freed: nobody may look at it
    machine.accelerator.memory_write(32 << 20, b"late")
    assert bytes(machine.ram.view[32 << 20 : (32 << 20) + 4]) == b"late"
    machine.close()
