"""A device may store after the CPU is gone: as a packet that comes while a machine ends."""

from __future__ import annotations

from southbridge.memory.ram import PAGE_SIZE

from tests.accelerators.unicorn.guest import FakeMachine


def test_a_device_stores_after_the_cpu_is_closed() -> None:
    machine = FakeMachine()
    machine.vcpu.close()
    for page in range(4):
        machine.accelerator.memory_write(page * PAGE_SIZE, b"late")
    assert machine.ram.view[:4] == b"late"
    machine.close()
