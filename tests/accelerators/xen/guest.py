"""A machine on a domain that the test plays."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from southbridge import Availability, Machine
from southbridge.accelerators.xen import XenAccelerator, libraries
from southbridge.accelerators.xen.hypervisor import PAGE_SIZE
from southbridge.hookspecs import hookimpl
from southbridge.life import Outcome, ShutdownReason
from southbridge.memory.regions import Io, Ram
from southbridge.pci import PciBus

from .fake import FakeDomain

RAM_FRAMES = 1024


class Guest:
    """A machine that runs on a domain: a few ports and registers, and 4 MiB of RAM."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cpus: int = 1, **properties: Any) -> None:
        self.domain = FakeDomain(RAM_FRAMES, cpus)
        monkeypatch.setattr(libraries, "availability", lambda: Availability(True, "for a test"))
        monkeypatch.setattr(libraries, "open_domain", lambda number: self.domain)
        self.machine = Machine(name="guest", memory=RAM_FRAMES * PAGE_SIZE, cpus=cpus)
        self.machine.memory.root.add(0, Ram("ram", self.machine.ram))
        self.ports: list[tuple[str, int, int, int]] = []
        self.registers: list[tuple[str, int, int, int]] = []
        self.cpus_seen: list[int] = []
        self.next_read = 0x11223344_55667788
        self.io = Io("ports", 0x10, self._read_port, self._write_port)
        self.machine.ports.root.add(0x500, self.io)
        self.machine.memory.root.add(0xF000_0000, Io("registers", 0x1000, self._read_register, self._write_register))
        self.bus = PciBus("pci.0", 0, self.machine.bus_memory, self.machine.ports.root)
        self.machine.add_bus("pci.0", self.bus)
        self.accelerator = XenAccelerator(**{"domain": 5, "bucket": 0x10000, "budget": 0x100000} | properties)
        self.outcome: Outcome | Exception | None = None
        self._thread = threading.Thread(target=self._run)
        self._running = threading.Event()

    @hookimpl
    def machine_resumed(self) -> None:
        self._running.set()

    def _read_port(self, offset: int, size: int) -> int:
        self.cpus_seen.append(self.machine.cpus.current)
        self.ports.append(("in", offset, size, 0))
        self.next_read += 1
        return self.next_read & (1 << 8 * size) - 1

    def _write_port(self, offset: int, size: int, value: int) -> None:
        self.ports.append(("out", offset, size, value))

    def _read_register(self, offset: int, size: int) -> int:
        self.registers.append(("read", offset, size, 0))
        return 0x8877665544332211 & (1 << 8 * size) - 1

    def _write_register(self, offset: int, size: int, value: int) -> None:
        self.registers.append(("write", offset, size, value))

    def _run(self) -> None:
        try:
            self.outcome = self.machine.run()
        except Exception as error:
            self.outcome = error

    def start(self) -> Guest:
        """Runs the machine: nothing of its start is left to come."""
        self.machine.hooks.register(self, "guest")
        self.machine.set_accelerator(self.accelerator)
        self._thread.start()
        assert self._running.wait(10)
        return self

    def finish(self) -> Outcome | Exception | None:
        """Waits for its end."""
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.outcome

    def close(self) -> None:
        """Ends it."""
        if self._thread.is_alive():
            self.machine.request_shutdown(ShutdownReason.HOST_QUIT)
            self.finish()
        self.machine.close()
        if self.domain.store is not None:
            self.domain.store.close()

    def calls(self, *names: str) -> list[tuple[Any, ...]]:
        """What the hypervisor was asked for, of these."""
        return [call for call in self.domain.device_model.calls if call[0] in names]
