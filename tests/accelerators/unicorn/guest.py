"""A machine with nothing but memory, a few ports and the CPU under test; and an assembler."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from southbridge.accelerator import Accelerator, ExitReason, Vcpu
from southbridge.accelerators.unicorn import UnicornAccelerator
from southbridge.cpu_models import DEFAULT_MODEL, CpuModel, find_model
from southbridge.cpus import Cpus
from southbridge.memory.ram import RamBlock
from southbridge.memory.regions import Io, Ram, Section
from southbridge.memory.space import AddressSpace
from southbridge.msrs import Msrs
from southbridge.x86 import DescriptorTable, Segment, X86State

MEMORY = 8 << 20
PORT_DONE = 0xF4
"""The guest's program writes here when it has nothing more to do."""
PORT_LOG = 0xE9

GDT, PAGES = 0x8000, 0x9000
CODE32, DATA32, CODE64, USER_DATA, USER_CODE64, USER_CODE32 = 0x08, 0x10, 0x18, 0x2B, 0x33, 0x23
TSS = 0x40
DESCRIPTORS = (
    *(0, 0x00CF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x00AF_9B00_0000_FFFF),
    *(0x00CF_FB00_0000_FFFF, 0x00CF_F300_0000_FFFF, 0x00AF_FB00_0000_FFFF, 0, 0, 0),
)


@functools.cache
def assemble(source: str, origin: int, bits: int) -> bytes:
    """The machine code of `source`."""
    nasm = shutil.which("nasm")
    if nasm is None:
        pytest.skip("needs nasm: apt-get install nasm")
    with tempfile.TemporaryDirectory() as folder:
        path, binary = Path(folder) / "code.asm", Path(folder) / "code.bin"
        path.write_text(f"bits {bits}\norg {origin:#x}\n{source}\n")
        subprocess.run([nasm, "-f", "bin", "-o", binary, path], check=True)
        return binary.read_bytes()


class Controller:
    """An interrupt controller that requests what a test says, one interrupt after the other."""

    def __init__(self) -> None:
        self.requests: list[int] = []
        self.acknowledged: list[int] = []
        self.on_acknowledge: Callable[[int], None] | None = None

    def pending_vector(self) -> int | None:
        return self.requests[0] if self.requests else None

    def acknowledge(self, vector: int) -> None:
        if vector in self.requests:
            self.requests.remove(vector)
        self.acknowledged.append(vector)
        if self.on_acknowledge:
            self.on_acknowledge(vector)


class FakeMachine:
    """What the accelerator needs of a machine."""

    def __init__(
        self, memory: int = MEMORY, cpu: CpuModel | None = None, accelerator: Accelerator | None = None
    ) -> None:
        self.lock = threading.RLock()
        self.memory = AddressSpace("memory", 1 << 52)
        self.ports = AddressSpace("ports", 1 << 16)
        self.interrupt_controller: Any = Controller()
        self.tsc_hz = 0
        self.cpu = cpu or find_model(DEFAULT_MODEL)
        self.msrs = Msrs(self.cpu.msrs, 1)
        self.ram = RamBlock("ram", memory)
        self.log = bytearray()
        self.accelerator: Any = accelerator or UnicornAccelerator()
        machine: Any = self
        self.cpus = Cpus(machine, 1, 1)
        self.accelerator.attach(machine)
        self.memory.add_listener(self)
        self.memory.root.add(0, Ram("ram", self.ram))
        self.vcpu: Any = None
        self.done = False
        self.add_port(PORT_DONE, write=self._end)
        self.add_port(PORT_LOG, write=lambda value: self.log.append(value & 0xFF))
        self.new_vcpu()

    def region_added(self, section: Section) -> None:
        self.accelerator.memory_region_added(section)

    def region_removed(self, section: Section) -> None:
        self.accelerator.memory_region_removed(section)

    def add_port(
        self,
        port: int,
        read: Callable[[], int] = lambda: 0xFFFF_FFFF,
        write: Callable[[int], Any] = lambda value: None,
    ) -> None:
        self.ports.root.add(
            port, Io(f"port {port:#x}", 1, lambda o, s: read(), lambda o, s, v: write(v), widths=(1, 2, 4))
        )

    def new_vcpu(self) -> Vcpu:
        """A fresh CPU instead of the one that there was."""
        if self.vcpu is not None:
            self.vcpu.close()
        vcpu: Vcpu = self.accelerator.create_vcpu(0)
        self.vcpu = vcpu
        return vcpu

    def _end(self, value: int) -> None:
        self.done = True
        self.vcpu.kick()

    def request(self, vector: int) -> None:
        """Interrupt `vector` is requested."""
        with self.lock:
            self.interrupt_controller.requests.append(vector)
            self.vcpu.interrupt_changed()

    def write(self, address: int, data: bytes) -> None:
        """Puts `data` into RAM, before the guest runs."""
        self.ram.view[address : address + len(data)] = data

    def word(self, address: int, size: int = 4) -> int:
        return int.from_bytes(self.ram.view[address : address + size], "little")

    def code(self, source: str, origin: int = 0x1000, bits: int = 16) -> int:
        """Puts the program `source` into RAM; gives its address."""
        self.write(origin, assemble(source, origin, bits))
        return origin

    def start(self, state: X86State) -> None:
        self.done = False
        self.vcpu.load(state)

    def run(
        self, on_halt: Callable[[], Any] | None = None, on_exit: Callable[[ExitReason], Any] | None = None
    ) -> ExitReason:
        """Runs until the program is done, halts with `on_halt` being None, or shuts down."""
        while True:
            reason: ExitReason = self.vcpu.run()
            if on_exit:
                on_exit(reason)
            if self.done or reason is ExitReason.SHUTDOWN:
                return reason
            if reason is ExitReason.HALTED:
                if on_halt is None:
                    return reason
                on_halt()

    def run_with(self, work: Callable[[], Any], on_exit: Callable[[ExitReason], Any] | None = None) -> ExitReason:
        """Runs as `run` does, while `work` is called again and again on another thread."""
        stopping = threading.Event()

        def repeat() -> None:
            while not stopping.is_set():
                work()

        thread = threading.Thread(target=repeat, daemon=True)
        thread.start()
        try:
            return self.run(on_exit=on_exit)
        finally:
            stopping.set()
            thread.join()

    def close(self) -> None:
        self.vcpu.close()


def real_mode(entry: int = 0x1000, **more: Any) -> X86State:
    """In real mode, with all segments at 0."""
    state = X86State(rip=entry, cs=Segment(0, 0, 0xFFFF, 0x9B00), **more)
    state.registers[4] = 0x7000
    return state


def flat(selector: int) -> Segment:
    """The segment register after `selector` was loaded."""
    high = DESCRIPTORS[selector >> 3] >> 32
    return Segment(selector, 0, 0xFFFF_FFFF, high & 0xF0FF00)


def protected_mode(machine: FakeMachine, entry: int = 0x1000, **more: Any) -> X86State:
    """In 32-bit protected mode, ring 0, flat segments; the IDT is at 0."""
    machine.write(GDT, b"".join(value.to_bytes(8, "little") for value in DESCRIPTORS))
    data = {name: flat(DATA32) for name in ("ds", "es", "ss", "fs", "gs")}
    tables = {"gdtr": DescriptorTable(GDT, 8 * len(DESCRIPTORS) - 1), "idtr": DescriptorTable(0, 0x7FF)}
    state = X86State(**{"rip": entry, "cr0": 0x11, "cs": flat(CODE32), **data, **tables, **more})
    state.registers[4] = 0x7000
    return state


def long_mode(machine: FakeMachine, entry: int = 0x1000, **more: Any) -> X86State:
    """In 64-bit mode, ring 0, with the first gigabyte mapped to itself for ring 3 too; the IDT is at 0."""
    machine.write(PAGES, (PAGES + 0x1007).to_bytes(8, "little"))
    machine.write(PAGES + 0x1000, (PAGES + 0x2007).to_bytes(8, "little"))
    machine.write(PAGES + 0x2000, b"".join((at << 21 | 0x87).to_bytes(8, "little") for at in range(512)))
    paging = {"cr0": 0x8001_0033, "cr3": PAGES, "cr4": 0x620, "msrs": {0xC000_0080: 0xD01}, "cs": flat(CODE64)}
    return protected_mode(machine, entry, **{**paging, **more})


def gate(vector: int, handler: int, *, selector: int = CODE32, kind: int = 0x8E) -> bytes:
    """A 32-bit gate."""
    return (handler & 0xFFFF | selector << 16 | kind << 40 | handler >> 16 << 48).to_bytes(8, "little")
