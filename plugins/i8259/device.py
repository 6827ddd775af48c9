"""The PC's pair of 8259A interrupt controllers: IRQ 0 to 7 on the master, 8 to 15 on the slave behind its IR2."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from southbridge.acpi import AcpiTables, eisa_id
from southbridge.acpi.resources import io, irq, resource_template
from southbridge.acpi.terms import device, name
from southbridge.component import Part
from southbridge.device import Device
from southbridge.hookspecs import hookimpl
from southbridge.interrupts import Sink, Wire

from .chip import CASCADE, Chip

MASTER_PORTS, SLAVE_PORTS = 0x20, 0xA0
SPURIOUS = 7
"""The level that a chip names when nothing requests any more."""


class Master(Chip):
    """The chip whose INT the CPU sees."""

    is_master = True


class I8259(Device):
    """Both chips. The CPU's vector is kept up to date, so that asking for it costs nothing."""

    platform: ClassVar[str] = "i8259"

    master: Master = Part(Master)
    slave: Chip = Part(Chip)

    _vector: int | None = None

    # --- life ----------------------------------------------------------------------------------------------------

    def realize(self) -> None:
        """Becomes the machine's interrupt controller, and listens to the ISA interrupt lines."""
        self.claim_ports(self.master.ports, MASTER_PORTS)
        self.claim_ports(self.slave.ports, SLAVE_PORTS)
        self._sinks: list[tuple[Wire, Sink]] = []
        isa = self.machine.isa
        for number, wire in enumerate(isa.wires):
            if number != CASCADE:
                chip = self.master if number < 8 else self.slave
                mask = 1 << number % 8
                sink = partial(self._line_changed, chip, mask)
                self._sinks.append((wire, sink))
                wire.connect(sink, deaf=partial(chip.holds, mask))
        isa.on_trigger_change.append(self._triggers_changed)
        self._triggers_changed()
        self.machine.interrupt_controller = self

    def unrealize(self) -> None:
        """Leaves the lines alone."""
        super().unrealize()
        if self.machine.interrupt_controller is self:
            for wire, sink in self._sinks:
                wire.disconnect(sink)
            self.machine.isa.on_trigger_change.remove(self._triggers_changed)
            self.machine.interrupt_controller = None

    def acpi(self, tables: AcpiTables) -> None:
        """The pair is one device."""
        ports = [io(MASTER_PORTS, 2), io(SLAVE_PORTS, 2), irq(CASCADE)]
        tables.isa(device("PIC", name("_HID", eisa_id("PNP0000")), name("_CRS", resource_template(*ports))))

    def reset(self) -> None:
        """Neither chip requests anything until it is initialized. The inputs are as the devices drive them."""
        super().reset()
        self.refresh()
        self.attend()

    def loaded(self) -> None:
        """The inputs' levels came with the state: devices that are restored later drive them to what they are."""
        self.refresh()
        self.attend()

    @hookimpl
    def monitor_info(self, topic: str) -> str | None:
        """Both chips, as QEMU's monitor shows them."""
        if topic != "pic":
            return None
        return "\n".join(
            f"{name}: irr={chip.requests():02x} imr={chip.IMR.value:02x} isr={chip.ISR.value:02x} "
            f"hprio={(chip.lowest + 1) & 7} irq_base={chip.base:02x} rr_sel={chip.reads_isr:d} "
            f"elcr={chip.level_lines:02x} fnm={chip.special_nested:d}"
            for name, chip in (("pic1", self.slave), ("pic0", self.master))
        )

    # --- inputs --------------------------------------------------------------------------------------------------

    def _line_changed(self, chip: Chip, mask: int, level: bool) -> None:
        chip.drive(mask, level)
        if mask & ~chip.IMR.value:
            self.refresh()

    def attend(self) -> None:
        """Requests that were held may be held no more: inputs may rise anew."""
        for wire in self.machine.isa.wires:
            wire.attend()

    def _triggers_changed(self) -> None:
        level_triggered = self.machine.isa.level_triggered
        self.master.level_lines = level_triggered & 0xFF
        self.slave.level_lines = level_triggered >> 8
        self.refresh()

    # --- the output ----------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Something changed: resolves priorities anew, and tells the machine if the outcome is another one."""
        master, slave = self.master, self.slave
        behind = slave.requested()
        master.drive(1 << CASCADE, behind is not None)
        level = master.requested()
        if level is None:
            vector = None
        elif level != CASCADE:
            vector = master.base | level
        else:
            vector = slave.base | (SPURIOUS if behind is None else behind)
        if vector != self._vector:
            self._vector = vector
            self.machine.cpus.interrupt_changed()

    def pending_vector(self) -> int | None:
        """See InterruptController."""
        return self._vector

    def acknowledge(self, vector: int) -> None:
        """See InterruptController. A vector that the CPU took is served even if its line has dropped since.

        But level 7 without a request is spurious: it doesn't go into service. The slave's does so in the master, to
        which it looks like any other.
        """
        master, slave = self.master, self.slave
        level, base = vector & 7, vector & 0xF8
        from_slave = base == slave.base
        if from_slave and base == master.base:
            from_slave = master.requested() == CASCADE
        if from_slave:
            self._acknowledge(slave, level)
            master.acknowledge(CASCADE)
            self.acknowledged(slave)
        elif base == master.base:
            self._acknowledge(master, level)
            self.refresh()

    def _acknowledge(self, chip: Chip, level: int) -> None:
        if level != SPURIOUS or chip.requests() & 1 << SPURIOUS:
            chip.acknowledge(level)

    def taken(self, chip: Chip, level: int) -> None:
        """That input's request went into service: it may rise anew."""
        self.machine.isa.wires[level if chip is self.master else level + 8].attend()

    def acknowledged(self, chip: Chip) -> None:
        """`chip` was acknowledged. Its INT goes low by that, even if it has another request to make at once."""
        if chip is self.slave:
            self.master.drive(1 << CASCADE, False)
        self.refresh()
