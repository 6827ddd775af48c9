"""Two CPUs of a guest on the simulated hypervisor: each has its slot, its channel, and its thread."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from southbridge import Machine
from southbridge.accelerator import Accelerator
from southbridge.accelerators.kvm import KvmAccelerator
from southbridge.accelerators.xen import XenAccelerator
from southbridge.accelerators.xen.simulated.events import EventChannels
from southbridge.board import MemoryRange
from southbridge.life import ShutdownReason
from southbridge.memory.regions import Io, Ram
from southbridge.units import MiB
from southbridge.x86 import X86State

usable = KvmAccelerator.availability()
pytestmark = pytest.mark.skipif(not usable.usable, reason=f"KVM: {usable.reason}")

CODE = (0x1000, 0x2000)
PORTS = (0x500, 0x510)
CPUS = 2
PATIENCE_S = 30


def program(port: int) -> bytes:
    """Reads the port, and writes what it got, plus one, to the port beside it; for ever."""
    return b"\xba" + port.to_bytes(2, "little") + bytes.fromhex("ec fec0 42 ee 4a ebf8")


class Guest:
    """A machine with 4 MiB, whose CPUs have a port each."""

    def __init__(self, accelerator: Accelerator) -> None:
        machine = self.machine = Machine(name="guest", memory=4 * MiB, cpus=CPUS)
        machine.memory.root.add(0, Ram("ram", machine.ram))
        machine.memory_map.append(MemoryRange(0, 4 * MiB))
        for port in PORTS:
            machine.ports.root.add(port, Io(f"port {port:x}", 2, self._read, self._write, widths=(1,)))
        machine.boot = cast(Any, SimpleNamespace(start=self._start))
        machine.set_accelerator(accelerator)
        self.written: list[tuple[int, int]] = []
        self._given = dict.fromkeys(range(CPUS), 0)
        self._wrote = threading.Condition(machine.lock)
        self._thread = threading.Thread(target=machine.run)

    def _start(self, machine: Machine) -> X86State:
        for code, port in zip(CODE, PORTS, strict=True):
            machine.hooks.memory_write(code, program(port))
        return begins_at(CODE[0])

    def _read(self, offset: int, size: int) -> int:
        cpu = self.machine.cpus.current
        self._given[cpu] = self._given[cpu] + 1 & 0xFF
        return self._given[cpu]

    def _write(self, offset: int, size: int, value: int) -> None:
        cpu = self.machine.cpus.current
        assert value == self._given[cpu] + 1 & 0xFF
        self.written.append((cpu, value))
        self._wrote.notify_all()

    def start(self) -> None:
        self._thread.start()
        self.goes_on(cpus=1)
        self.machine.call(self._start_second)

    def _start_second(self) -> None:
        """As a startup IPI would, for which there is no local APIC here."""
        machine = self.machine
        with machine.standing_still():
            machine.offload.end()
            machine.cpus.threads[1].load(begins_at(CODE[1]))
            machine.offload.begin()

    def goes_on(self, cpus: int = CPUS) -> None:
        """Waits for some more rounds of each CPU's."""
        with self._wrote:
            before = len(self.written)
            assert self._wrote.wait_for(lambda: self._rounds(before, cpus) >= 3, PATIENCE_S)

    def _rounds(self, before: int, cpus: int) -> int:
        counted = Counter(cpu for cpu, _ in self.written[before:])
        return min(counted[cpu] for cpu in range(cpus))

    def stop(self) -> None:
        self.machine.request_shutdown(ShutdownReason.HOST_QUIT)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        self.machine.close()


def begins_at(address: int) -> X86State:
    state = X86State()
    state.start_at(address >> 12)
    return state


def simulated() -> XenAccelerator:
    return XenAccelerator(hypervisor="simulated", cpu="kvm")


@pytest.fixture
def start() -> Iterator[Callable[[Accelerator], Guest]]:
    started: list[Guest] = []

    def begin(accelerator: Accelerator) -> Guest:
        guest = Guest(accelerator)
        started.append(guest)
        guest.start()
        return guest

    yield begin
    for guest in started:
        guest.stop()


@pytest.mark.parametrize("at_once", [True, False])
def test_each_has_its_answers(
    start: Callable[[Accelerator], Guest], at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not at_once:
        monkeypatch.setattr(EventChannels, "deliver_to", lambda events, take: None)
    guest = start(simulated())
    for _ in range(10):
        guest.goes_on()


def test_they_are_paused_and_go_on(start: Callable[[Accelerator], Guest]) -> None:
    guest = start(simulated())
    for _ in range(10):
        guest.machine.pause()
        with guest.machine.lock:
            before = len(guest.written)
        guest.machine.resume()
        guest.goes_on()
        assert len(guest.written) > before


def test_they_are_exchanged(start: Callable[[Accelerator], Guest]) -> None:
    guest = start(simulated())
    for _ in range(5):
        guest.machine.swap_accelerator(KvmAccelerator())
        guest.goes_on()
        guest.machine.swap_accelerator(simulated())
        guest.goes_on()
