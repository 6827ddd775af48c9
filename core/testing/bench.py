"""A machine without a CPU, for tests: what the guest would do, the test does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .. import discovery
from ..board import MemoryRange
from ..clock import Clock
from ..construct import make_device
from ..device import Device
from ..machine import Machine
from ..memory.guest import FlatGuestMemory
from ..memory.regions import Ram
from ..memory.space import AddressSpace
from ..pci import BarKind, PciBus, PciDevice
from ..units import MiB
from .memory import FlatBenchMemory, WindowedBenchMemory

__all__ = ["Bench", "FlatBenchMemory", "WindowedBenchMemory"]


class BenchExecutor:
    """Runs block requests when the bench says so: between two of the guest's accesses."""

    def __init__(self) -> None:
        self._jobs: deque[Callable[[], None]] = deque()

    def submit(self, job: Callable[[], None]) -> None:
        """`job` runs at the next `run_all`."""
        self._jobs.append(job)

    def run_all(self) -> None:
        """Runs what was submitted, and what that submits."""
        while self._jobs:
            self._jobs.popleft()()


class Bench:
    """A machine of `memory` bytes of RAM at address 0, a bus "pci.0" and whatever the test plugs in.

    A `bare` one has neither: the test plugs a host bridge in, which makes them. `make_memory` makes the memory hooks.
    Host I/O completes between two accesses; time moves only by `clock.advance`. Anything that a device's code raises
    goes through to the test.
    """

    def __init__(
        self,
        make_memory: Callable[[AddressSpace], FlatGuestMemory] = FlatBenchMemory,
        memory: int = 16 * MiB,
        *,
        bare: bool = False,
    ) -> None:
        self.machine = Machine(name="bench", memory=memory, clock=Clock(source=lambda: 0), strict=True)
        self.clock = self.machine.clock
        self.executor = BenchExecutor()
        self.machine.executor = self.executor
        self.memory = make_memory(self.machine.memory)
        self.machine.hooks.register(self.memory, "bench")
        if not bare:
            self.machine.memory.root.add(0, Ram("ram", self.machine.ram))
            self.machine.memory_map.append(MemoryRange(0, memory))
            self.machine.add_bus("pci.0", PciBus("pci.0", 0, self.machine.bus_memory, self.machine.ports.root))

    @property
    def pci(self) -> PciBus:
        """The bus "pci.0"."""
        bus: PciBus = self.machine.buses["pci.0"]
        return bus

    # --- devices -------------------------------------------------------------------------------------------------

    def plug(self, kind: str | type[Device], id: str | None = None, **properties: Any) -> Any:
        """Adds a device, by its type's name or its class, and resets it."""
        cls = discovery.load("devices", kind) if isinstance(kind, str) else kind
        assert issubclass(cls, Device)
        device = make_device(self.machine, cls, id or (kind if isinstance(kind, str) else cls.__name__), **properties)
        self.machine.plug(device)
        device.reset()
        return device

    def place(self, device: PciDevice, bar: str, address: int) -> int:
        """Programs a BAR ("bar0", "rom") of `device` to `address`, and switches decoding and mastering on.

        Gives `address` back.
        """
        spec = next(spec for spec in device.bars() if spec.name == bar)
        enable = 1 if bar == "rom" else 0
        self.config_write(device, spec.config_offset, 4, address & 0xFFFF_FFFF | enable)
        if spec.kind is BarKind.MEMORY_64:
            self.config_write(device, spec.config_offset + 4, 4, address >> 32)
        self.config_write(device, 0x04, 2, 0x7)
        return address

    def config_read(self, device: PciDevice, offset: int, size: int) -> int:
        """A configuration read of `device`."""
        self.executor.run_all()
        return self.pci.config_read(device.slot, device.function, offset, size)

    def config_write(self, device: PciDevice, offset: int, size: int, value: int) -> None:
        """A configuration write to `device`."""
        self.pci.config_write(device.slot, device.function, offset, size, value)
        self.executor.run_all()

    # --- the guest's accesses ------------------------------------------------------------------------------------

    def read_port(self, port: int, size: int = 1) -> int:
        """IN of `size` bytes."""
        self.executor.run_all()
        return self.machine.ports.read(port, size)

    def write_port(self, port: int, value: int, size: int = 1) -> None:
        """OUT of `size` bytes."""
        self.machine.ports.write(port, size, value)
        self.executor.run_all()

    def read_mmio(self, address: int, size: int = 4) -> int:
        """A load of `size` bytes."""
        self.executor.run_all()
        return self.machine.memory.read(address, size)

    def write_mmio(self, address: int, value: int, size: int = 4) -> None:
        """A store of `size` bytes."""
        self.machine.memory.write(address, size, value)
        self.executor.run_all()

    # --- what a test looks at ------------------------------------------------------------------------------------

    def read_memory(self, address: int, length: int) -> bytes:
        """What is in guest RAM."""
        return bytes(self.machine.ram.view[address : address + length])

    def write_memory(self, address: int, data: bytes) -> None:
        """Puts `data` into guest RAM."""
        self.machine.ram.view[address : address + len(data)] = data

    def irq(self, number: int) -> bool:
        """Whether ISA interrupt line `number` is asserted."""
        return self.machine.isa.wires[number].level

    @property
    def guest_errors(self) -> list[str]:
        """What the devices complained of."""
        return list(self.machine.guest_errors)

    def close(self) -> None:
        """Checks that no device holds a mapping."""
        if isinstance(self.memory, WindowedBenchMemory):
            assert self.memory.held == 0, "a device holds on to a mapping"
