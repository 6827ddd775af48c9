"""Intel 8254 programmable interval timer (datasheet 231164) as a PC has it, with port 61h.

Counter 0 drives IRQ 0, counter 1 was for DRAM refresh, counter 2 is for the speaker. Port 61h is the NMI status and
control register of the chipset (PIIX3 datasheet 290550): the gate and output of counter 2, among others.
"""

from __future__ import annotations

from typing import ClassVar

from southbridge.acpi import AcpiTables, eisa_id
from southbridge.acpi.resources import io, irq, resource_template
from southbridge.acpi.terms import device, name
from southbridge.banks import PortBank
from southbridge.component import Parts, timer
from southbridge.device import Device
from southbridge.registers import RO, WO, bit

from .counter import Counter, pulse_time, pulses

COUNTER_PORTS, CONTROL_PORT, NMISC_PORT = 0x40, 0x43, 0x61
READ_BACK = 3
REFRESH_PULSES = 18
"""Clock pulses from one DRAM refresh to the next: 15.086 us."""


class I8254(Device):
    """Three counters, their control word, and port 61h."""

    platform: ClassVar[str] = "i8254"

    counters: list[Counter] = Parts(Counter, 3)

    control_port = PortBank(1)
    CONTROL = control_port.register(0, access=WO, doc="Control word, counter latch command or read-back command.")

    nmisc_port = PortBank(1)
    NMISC = nmisc_port.register(
        0,
        fields={
            "TIM_CNT2_EN": bit(0, doc="Gate of counter 2."),
            "SPKR_DAT_EN": bit(1, doc="The speaker hears counter 2."),
            "PCI_SERR_EN": bit(2, doc="SERR# gives no NMI."),
            "IOCHK_NMI_EN": bit(3, doc="IOCHK# gives no NMI."),
            "REF_TOGGLE": bit(4, RO, doc="Changes with each DRAM refresh."),
            "TMR2_OUT_STS": bit(5, RO, doc="Output of counter 2."),
            "IOCHK_NMI_STS": bit(6, RO),
            "SERR_NMI_STS": bit(7, RO),
        },
        doc="NMI status and control.",
    )

    def realize(self) -> None:
        """Takes ports 40h to 43h and 61h, and IRQ 0."""
        for index, counter in enumerate(self.counters):
            self.claim_ports(counter.ports, COUNTER_PORTS + index)
        self.claim_ports(self.control_port, CONTROL_PORT)
        self.claim_ports(self.nmisc_port, NMISC_PORT)
        self.interrupt = self.claim_irq(0)

    def acpi(self, tables: AcpiTables) -> None:
        """The timer, and the speaker that counter 2 drives."""
        timer = [io(COUNTER_PORTS, 4), irq(0)]
        tables.isa(
            device("TMR", name("_HID", eisa_id("PNP0100")), name("_CRS", resource_template(*timer))),
            device("SPKR", name("_HID", eisa_id("PNP0800")), name("_CRS", resource_template(io(NMISC_PORT, 1)))),
        )

    def reset(self) -> None:
        """The counters stand still until they are programmed."""
        super().reset()
        self.counters[2].element.gate = False
        self.output_changed(self.counters[0])

    def loaded(self) -> None:
        """IRQ 0 is as counter 0's output says; the timer was saved, if it didn't rest."""
        self._drive()
        rested = not self.tick.pending and self.counters[0].element.next_rise() is not None
        if rested and not self.interrupt.rest(self._resume):
            self._resume()

    # --- registers -----------------------------------------------------------------------------------------------

    @CONTROL.write
    def control(self, value: int) -> None:
        """A control word for one counter, or a command to latch something of one or more."""
        select, access = value >> 6, value >> 4 & 3
        if select != READ_BACK:
            if access:
                self.counters[select].control(access, value >> 1 & 7, bool(value & 1))
            else:
                self.counters[select].latch_count()
            return
        for index, counter in enumerate(self.counters):
            if value & 2 << index:
                if not value & 0x20:
                    counter.latch_count()
                if not value & 0x10:
                    counter.latch_status()

    @NMISC.written
    def nmisc_written(self, value: int) -> None:
        """The gate of counter 2 may have changed."""
        speaker = self.counters[2]
        speaker.catch_up()
        speaker.element.set_gate(bool(self.NMISC.TIM_CNT2_EN))

    @NMISC.read
    def read_nmisc(self) -> int:
        """The control bits, and the state of the lines."""
        self.counters[2].catch_up()
        self.NMISC.REF_TOGGLE = pulses(self.clock.now()) // REFRESH_PULSES & 1
        self.NMISC.TMR2_OUT_STS = self.counters[2].element.output
        return self.NMISC.value

    # --- IRQ 0 ---------------------------------------------------------------------------------------------------

    def output_changed(self, counter: Counter, *, rises: bool = False) -> None:
        """`counter` was programmed; whether its output went high by that."""
        if counter is self.counters[0]:
            if rises:
                self.interrupt.set(False)
            self._drive()
            self._schedule()

    def tick_if_due(self) -> None:
        """The host may be late: IRQ 0 comes before the guest can see that its time has passed."""
        if self.tick.deadline is not None and self.tick.deadline <= self.clock.now():
            self.tick.fire()

    @timer
    def tick(self) -> None:
        """Counter 0's output goes high."""
        self.counters[0].element.run_to(pulses(self.clock.now()))
        if not self.interrupt.rest(self._resume):
            self.interrupt.set(False)
            self.interrupt.set(True)
            self._schedule()

    def _resume(self) -> None:
        """Ticks matter again. Those that were left out changed nothing."""
        self.counters[0].element.run_to(pulses(self.clock.now()))
        self._schedule()

    def _drive(self) -> None:
        """Where OUT is high at rest, its low times only prepare for the next edge: they take no time on IRQ 0."""
        element = self.counters[0].element
        self.interrupt.set(element.output or element.mode > 1)

    def _schedule(self) -> None:
        """Sets the timer to the next rising edge. Those that have passed by now are one with the last one."""
        rise = self.counters[0].element.next_rise()
        if rise is None:
            self.tick.cancel()
        else:
            self.tick.at(pulse_time(rise))
