"""The CPUs' local APICs as one device: the pages that they answer, and the messages between them.

Written from Intel's SDM, volume 3A, chapter 11 (in older editions 10), "Advanced Programmable Interrupt Controller".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from southbridge.acpi import AcpiTables
from southbridge.acpi.tables import local_apic, local_nmi
from southbridge.component import Parts
from southbridge.device import Device
from southbridge.errors import RealizeError
from southbridge.hookspecs import hookimpl
from southbridge.machine import Machine
from southbridge.memory.regions import Io

from .apic import BOOT_CPU, ENABLE, PAGE, Apic
from .messages import EXTINT, FIXED, INIT, LOWEST_PRIORITY, NMI, STARTUP, Message, decode_msi

MSR_APIC_BASE, MSR_TSC_DEADLINE = 0x1B, 0x6E0
ABOVE_MEMORY = 0x1000
"""Priority of the APICs' pages: they hide whatever is there."""
SELF, ALL, OTHERS = 1, 2, 3
"""Destination shorthands; 0: none."""


class Page(Io):
    """A page where local APICs answer: each the CPU that it belongs to, if it is there.

    A machine's CPUs share the address space, but not what they see in this page.
    """

    def __init__(self, device: Lapic, base: int) -> None:
        super().__init__(f"{device.id}.{base:x}", PAGE, self.read_page, self.write_page, widths=(1, 2, 4), owner=device)
        self.base = base
        self._device = device
        self._machine: Machine = device.machine

    def link_read(self, offset: int, size: int) -> Callable[[], int]:
        """See Io."""
        readers = [self._reader(apic, offset, size) for apic in self._device.apics]
        if len(readers) == 1:
            return readers[0]
        machine = self._machine
        return lambda: readers[machine.cpus.current]()

    def link_write(self, offset: int, size: int) -> Callable[[int], Any]:
        """See Io."""
        writers = [self._writer(apic, offset, size) for apic in self._device.apics]
        if len(writers) == 1:
            return writers[0]
        machine = self._machine
        return lambda value: writers[machine.cpus.current](value)

    def read_page(self, offset: int, size: int) -> int:
        """A read that isn't linked."""
        return self._reader(self._device.apics[self._machine.cpus.current], offset, size)()

    def write_page(self, offset: int, size: int, value: int) -> None:
        """A write that isn't linked."""
        self._writer(self._device.apics[self._machine.cpus.current], offset, size)(value)

    def _reader(self, apic: Apic, offset: int, size: int) -> Callable[[], int]:
        if not self._answers(apic):
            return partial(self._absent, apic, size)
        read = apic.page.link_read(offset, size) or partial(apic.page.read, offset, size)
        return read if self._is_register(apic, offset) else partial(self._illegal, apic, read)

    def _writer(self, apic: Apic, offset: int, size: int) -> Callable[[int], Any]:
        if not self._answers(apic):
            return lambda value: self._absent(apic, size)
        write = apic.page.link_write(offset, size) or partial(apic.page.write, offset, size)
        return write if self._is_register(apic, offset) else partial(self._illegal, apic, write)

    def _answers(self, apic: Apic) -> bool:
        return apic.base & ~(BOOT_CPU) == self.base | ENABLE

    def _is_register(self, apic: Apic, offset: int) -> bool:
        return any(offset in place for place in apic.page.declared())

    def _illegal(self, apic: Apic, access: Callable[..., Any], *value: int) -> Any:
        apic.illegal_register()
        return access(*value)

    def _absent(self, apic: Apic, size: int) -> int:
        apic.guest_error(f"its page is not at {self.base:#x}")
        return (1 << 8 * size) - 1


class Lapic(Device):
    """A local APIC for each CPU that there may be; those of CPUs that aren't there hear nothing."""

    platform: ClassVar[str] = "lapic"

    apics: list[Apic] = Parts(Apic)

    _installed = False

    # --- life ----------------------------------------------------------------------------------------------------

    def realize(self) -> None:
        """Makes an APIC for each CPU, at the usual place. Raises RealizeError if the CPUs have some."""
        machine = self.machine
        if machine.cpus.local_apics:
            raise RealizeError(f"{self.id}: the CPUs have local APICs already")
        self.pages: dict[int, Page] = {}
        self.has_tsc_deadline = "tsc-deadline" in machine.cpu.features
        machine.msrs.claim(MSR_APIC_BASE, self._read_base, self._write_base)
        self._installed = True
        self.make_parts("apics", machine.cpus.max)
        for index, apic in enumerate(self.apics):
            apic.index = index
            apic.timer.apic = apic
            machine.cpus.local_apics[index] = apic
            apic.power_up()
        if self.has_tsc_deadline:
            machine.msrs.claim(MSR_TSC_DEADLINE, self._read_deadline, self._write_deadline)
        self.bases_changed()

    def unrealize(self) -> None:
        """The CPUs are without local APICs."""
        super().unrealize()
        if self._installed:
            self.machine.cpus.local_apics.clear()
            self.machine.msrs.release(MSR_APIC_BASE)
            self.machine.msrs.release(MSR_TSC_DEADLINE)

    def acpi(self, tables: AcpiTables) -> None:
        """One for each CPU that there may be; NMI comes in on LINT1."""
        machine = self.machine
        entries = [local_apic(index, index, enabled=index in machine.cpus.plugged) for index in range(machine.cpus.max)]
        tables.interrupts.local_apics += [*entries, local_nmi(1)]

    def reset(self) -> None:
        """As after power-up."""
        for apic in self.apics:
            apic.power_up()
        self.bases_changed()

    def loaded(self) -> None:
        """The pages and the CPUs' vectors follow from the state; so do timers that it doesn't have."""
        self.bases_changed()
        for apic in self.apics:
            apic.refresh()
            if not apic.timer.expire.pending:
                apic.timer.schedule()

    # --- where the registers are ---------------------------------------------------------------------------------

    def bases_changed(self) -> None:
        """Shows the APICs' pages where IA32_APIC_BASE of any CPU says."""
        wanted = {apic.base & ~(BOOT_CPU | ENABLE) for apic in self.apics if apic.present}
        memory = self.machine.memory
        with memory.transaction():
            for base in self.pages.keys() - wanted:
                self.give_back(self.pages.pop(base))
            for base in wanted - self.pages.keys():
                self.pages[base] = Page(self, base)
                self.claim_memory(self.pages[base], base, priority=ABOVE_MEMORY)
            for page in self.pages.values():
                page.changed()

    def _read_base(self, cpu: int) -> int:
        return self.apics[cpu].base

    def _write_base(self, cpu: int, value: int) -> bool:
        return self.apics[cpu].set_base(value)

    def _read_deadline(self, cpu: int) -> int:
        return self.apics[cpu].read_tsc_deadline()

    def _write_deadline(self, cpu: int, value: int) -> bool:
        self.apics[cpu].write_tsc_deadline(value)
        return True

    # --- messages ------------------------------------------------------------------------------------------------

    @hookimpl
    def msi_send(self, address: int, data: int) -> bool | None:
        """See hookspecs. INIT and startup don't come from outside the CPUs."""
        message = decode_msi(address, data)
        if message is None:
            return None
        if message.mode == STARTUP:
            self.guest_error("a startup interrupt from a device")
        elif message.asserted:
            self._deliver(message, [apic for apic in self._listening() if apic.matches(message)])
        return True

    def send(self, message: Message, source: Apic, shorthand: int) -> None:
        """An interrupt command of one of the CPUs."""
        if not message.asserted:
            return
        if shorthand == SELF:
            targets = [source]
        elif shorthand:
            targets = [apic for apic in self._listening() if shorthand == ALL or apic is not source]
        else:
            targets = [apic for apic in self._listening() if apic.matches(message)]
        self._deliver(message, targets)

    def _listening(self) -> list[Apic]:
        """Those that are switched on, and whose CPUs are there."""
        there = self.machine.cpus.plugged
        return [apic for apic in self.apics if apic.present and apic.index in there]

    def _deliver(self, message: Message, targets: list[Apic]) -> None:
        if message.mode == LOWEST_PRIORITY:
            targets = self._arbitrate(message.vector, targets)
        for apic in targets:
            self.deliver_to(apic, message)

    def _arbitrate(self, vector: int, targets: list[Apic]) -> list[Apic]:
        """The focus of the interrupt, which has it already; else the CPU that does the least important work."""
        able = [apic for apic in targets if apic.accepts]
        for apic in able:
            if (apic.irr | apic.isr) >> vector & 1 and not apic.SVR.FOCUS_OFF:
                return [apic]
        return [min(able, key=Apic.processor_priority)] if able else []

    def deliver_to(self, apic: Apic, message: Message) -> None:
        """`apic` gets the message."""
        mode = message.mode
        if mode in (FIXED, LOWEST_PRIORITY):
            apic.accept(message.vector, message.level)
        elif mode == NMI:
            self.machine.cpus.send_nmi(apic.index)
        elif mode == INIT:
            apic.initialize()
            self.machine.cpus.send_init(apic.index)
        elif mode == STARTUP:
            self.machine.cpus.send_startup(apic.index, message.vector)
        elif mode == EXTINT:
            apic.extint = True
            apic.refresh()
        else:
            apic.guest_error(f"delivery mode {mode}, which isn't there")

    def nmi(self) -> None:
        """The board's NMI line, which leads to LINT1 of every CPU, went high."""
        for apic in self.apics:
            apic.pulse_lint1()
