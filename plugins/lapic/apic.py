"""One CPU's local APIC (Intel SDM volume 3A, chapter 11, in older editions 10): registers, priorities, acceptance.

The vector that the CPU would get is kept up to date, so that asking for it costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from southbridge.annotations import Checked
from southbridge.banks import MmioBank
from southbridge.component import Component, Part, State
from southbridge.registers import RO, WO, Register, bit, bits

from .messages import EXTINT, FIXED, INIT, LOWEST_PRIORITY, NMI, Message
from .timer import RESERVED_MODE, TSC_DEADLINE, ApicTimer

if TYPE_CHECKING:
    from .device import Lapic

PAGE = 0x1000
DEFAULT_BASE = 0xFEE0_0000
BOOT_CPU, ENABLE = 1 << 8, 1 << 11
"""Bits of IA32_APIC_BASE."""
WIDEST_BASE = (1 << 52) - PAGE
VERSION, LVT_ENTRIES = 0x14, 6

VECTORS = 1 << 256
FIRST_LEGAL = 16
"""Vectors below belong to the CPU's exceptions."""

SEND_ILLEGAL, RECEIVE_ILLEGAL, ILLEGAL_REGISTER = 1 << 5, 1 << 6, 1 << 7
"""Bits of ESR."""
FLAT = 0xF
SELF = 1
"""A destination shorthand."""


def _base(value: int) -> int:
    if value & ~(WIDEST_BASE | ENABLE | BOOT_CPU):
        raise ValueError("not a value of IA32_APIC_BASE")
    return value


Base = Annotated[int, Checked(_base)]

_VECTOR = bits(0, 7)
_DELIVERY = bits(8, 10, doc="Delivery mode.")
_STATUS = bit(12, RO, doc="Delivery status: always idle.")
_MASK = bit(16)
_LOCAL = {"VECTOR": _VECTOR, "DELIVERY": _DELIVERY, "STATUS": _STATUS, "MASK": _MASK}
_PIN = {
    **_LOCAL,
    "POLARITY": bit(13, doc="Only kept."),
    "REMOTE_IRR": bit(14, RO),
    "TRIGGER": bit(15, doc="Only kept."),
}
MASKED = 1 << 16


class Apic(Component):
    """A CPU's local APIC."""

    device: Lapic
    index = 0
    """Of its CPU; set by the device."""

    page = MmioBank(PAGE, doc="The registers, 16 bytes apart.")
    ID = page.register(0x020, 4, reset=None, fields={"ID": bits(24, 31)}, doc="Its address in physical mode.")
    VERSION = page.register(
        0x030, 4, reset=VERSION | (LVT_ENTRIES - 1) << 16, access=RO, doc="Version, and number of LVT entries."
    )
    TPR = page.register(0x080, 4, fields={"PRIORITY": bits(0, 7)}, doc="Task priority.")
    APR = page.register(0x090, 4, access=RO, doc="Arbitration priority: not in this version.")
    PPR = page.register(0x0A0, 4, access=RO, doc="Processor priority.")
    EOI = page.register(0x0B0, 4, access=WO, doc="End of interrupt.")
    RRD = page.register(0x0C0, 4, access=RO, doc="Remote read: not in this version.")
    LDR = page.register(0x0D0, 4, fields={"ID": bits(24, 31)}, doc="Its address in logical mode.")
    DFR = page.register(0x0E0, 4, reset=0xFFFF_FFFF, fields={"MODEL": bits(28, 31)}, doc="Flat or cluster model.")
    SVR = page.register(
        0x0F0,
        4,
        reset=0xFF,
        fields={"VECTOR": _VECTOR, "ENABLED": bit(8), "FOCUS_OFF": bit(9)},
        doc="Spurious interrupt vector; software enable.",
    )
    ISR_WINDOW = page.window(0x100, 0x80, widths=(4,), doc="ISR: vectors in service.")
    TMR_WINDOW = page.window(0x180, 0x80, widths=(4,), doc="TMR: vectors that came level-triggered.")
    IRR_WINDOW = page.window(0x200, 0x80, widths=(4,), doc="IRR: vectors that wait.")
    ESR = page.register(0x280, 4, doc="Errors, as of the last write.")
    ICR_LOW = page.register(
        0x300,
        4,
        fields={
            "VECTOR": _VECTOR,
            "DELIVERY": _DELIVERY,
            "LOGICAL": bit(11),
            "STATUS": _STATUS,
            "LEVEL": bit(14),
            "TRIGGER": bit(15),
            "SHORTHAND": bits(18, 19, doc="Self, all, all others."),
        },
        doc="Interrupt command; a write sends it.",
    )
    ICR_HIGH = page.register(0x310, 4, fields={"DESTINATION": bits(24, 31)}, doc="Interrupt command: to whom.")
    LVT_TIMER = page.register(
        0x320,
        4,
        reset=MASKED,
        fields={"VECTOR": _VECTOR, "STATUS": _STATUS, "MASK": _MASK, "MODE": bits(17, 18)},
        doc="The timer's interrupt.",
    )
    LVT_THERMAL = page.register(0x330, 4, reset=MASKED, fields=_LOCAL, doc="Thermal sensor: never comes.")
    LVT_PERFORMANCE = page.register(0x340, 4, reset=MASKED, fields=_LOCAL, doc="Performance counters: never comes.")
    LVT_LINT0 = page.register(0x350, 4, reset=MASKED, fields=_PIN, doc="LINT0, which the 8259A drives.")
    LVT_LINT1 = page.register(0x360, 4, reset=MASKED, fields=_PIN, doc="LINT1, the board's NMI.")
    LVT_ERROR = page.register(
        0x370, 4, reset=MASKED, fields={"VECTOR": _VECTOR, "STATUS": _STATUS, "MASK": _MASK}, doc="Errors."
    )
    INITIAL_COUNT = page.register(0x380, 4, doc="The timer's initial count; a write starts it.")
    CURRENT_COUNT = page.register(0x390, 4, access=RO, doc="The timer's current count.")
    DIVIDE = page.register(
        0x3E0, 4, fields={"LOW": bits(0, 1), "HIGH": bit(3)}, doc="What the timer's clock is divided by."
    )

    timer: ApicTimer = Part(ApicTimer)
    base: Base = State(DEFAULT_BASE | ENABLE, keep=True, ge=0, doc="IA32_APIC_BASE.")
    isr: int = State(0, ge=0, lt=VECTORS, doc="Vectors in service, a bit each.")
    tmr: int = State(0, ge=0, lt=VECTORS, doc="Vectors whose end is broadcast.")
    irr: int = State(0, ge=0, lt=VECTORS, doc="Vectors that wait.")
    errors: int = State(0, ge=0, le=0xFF, doc="Errors since the last write to ESR.")
    extint: bool = State(False, doc="A message asked for a vector from the 8259A.")

    _vector: int | None = None
    _passes_pic = False

    # --- life ----------------------------------------------------------------------------------------------------

    def power_up(self) -> None:
        """What a reset leaves."""
        self.base = DEFAULT_BASE | ENABLE | (0 if self.index else BOOT_CPU)
        self.ID.value = self.index << 24
        self.initialize()

    def initialize(self) -> None:
        """What INIT leaves: the identifier and IA32_APIC_BASE stay.

        LINT0 of the first CPU passes the 8259A's interrupts, for firmware that knows nothing of APICs.
        """
        self.reset_registers()
        if self.index == 0:
            self.LVT_LINT0.value = EXTINT << 8
        self.refresh()

    @property
    def present(self) -> bool:
        """Whether IA32_APIC_BASE has it switched on."""
        return bool(self.base & ENABLE)

    # --- the CPU's side ------------------------------------------------------------------------------------------

    def set_base(self, value: int) -> bool:
        """See LocalApic. Switched off, it forgets its state; which CPU is the first one can't be changed."""
        reserved = ~(WIDEST_BASE & (1 << self.device.machine.cpu.physical_bits) - 1 | ENABLE | BOOT_CPU)
        if value & reserved:
            return False
        was_present = self.present
        self.base = value & ~BOOT_CPU | self.base & BOOT_CPU
        if was_present and not self.present:
            self.initialize()
        self.device.bases_changed()
        self.refresh()
        return True

    @property
    def cr8(self) -> int:
        """See LocalApic."""
        return self.TPR.value >> 4

    @cr8.setter
    def cr8(self, value: int) -> None:
        self.TPR.value = value << 4 & 0xF0
        self.refresh()

    def pending_vector(self) -> int | None:
        """See InterruptController. The 8259A comes first: what it has bypasses the priorities."""
        if self._passes_pic:
            pic = self.device.machine.interrupt_controller
            vector = pic.pending_vector() if pic else None
            if vector is not None:
                return vector
        return self._vector

    def acknowledge(self, vector: int) -> None:
        """See InterruptController. A vector that isn't in the IRR is the 8259A's, or the spurious one."""
        pic = self.device.machine.interrupt_controller
        mask = 1 << vector
        if pic and self._passes_pic and (pic.pending_vector() == vector or not self.irr & mask):
            self.extint = False
            pic.acknowledge(vector)
            self.refresh()
        elif self.irr & mask:
            self.irr &= ~mask
            self.isr |= mask
            self.refresh()
            if vector == self.LVT_TIMER.VECTOR:
                self.timer.schedule()
        elif pic and vector != self.SVR.VECTOR:
            pic.acknowledge(vector)

    # --- priorities ----------------------------------------------------------------------------------------------

    @PPR.read
    def processor_priority(self) -> int:
        """The higher class of the task's priority and of the vector in service."""
        task, serving = self.TPR.value, max(self.isr.bit_length() - 1, 0)
        return task if task >> 4 >= serving >> 4 else serving & 0xF0

    def refresh(self) -> None:
        """Something changed: tells the machine if the CPU would get another vector."""
        vector: int | None = self.irr.bit_length() - 1
        assert vector is not None
        if vector < 0 or not self.base & ENABLE or vector >> 4 <= self.processor_priority() >> 4:
            vector = None
        if self.base & ENABLE:
            lint0 = self.LVT_LINT0
            passes_pic = self.extint or (lint0.DELIVERY == EXTINT and not lint0.MASK)
        else:
            passes_pic = self.index == 0
        if vector != self._vector or passes_pic != self._passes_pic:
            self._vector, self._passes_pic = vector, passes_pic
            self.device.machine.cpus.interrupt_changed()

    # --- acceptance ----------------------------------------------------------------------------------------------

    def matches(self, message: Message) -> bool:
        """Whether a message is for this CPU, by its destination."""
        destination = message.destination
        if destination == 0xFF:
            return True
        if not message.logical:
            return destination == self.ID.value >> 24
        own = self.LDR.value >> 24
        if self.DFR.MODEL == FLAT:
            return bool(own & destination)
        return destination >> 4 in (own >> 4, 0xF) and bool(own & destination & 0xF)

    @property
    def accepts(self) -> bool:
        """Whether it takes interrupts with a vector."""
        return bool(self.base & ENABLE and self.SVR.value & 0x100)

    def accept(self, vector: int, level: bool = False) -> None:
        """An interrupt with a vector came."""
        if not self.accepts:
            return
        if vector < FIRST_LEGAL:
            self.report(RECEIVE_ILLEGAL)
            return
        mask = 1 << vector
        self.tmr = self.tmr | mask if level else self.tmr & ~mask
        if not self.irr & mask:
            self.irr |= mask
            self.refresh()

    def is_deaf_to(self, vector: int) -> bool:
        """Whether one more interrupt with that vector would change nothing."""
        if vector < FIRST_LEGAL:
            return bool(self.errors & RECEIVE_ILLEGAL)
        return bool(self.irr >> vector & 1)

    def local_interrupt(self, lvt: Register) -> None:
        """One of the APIC's own sources, or LINT1, signals."""
        if lvt.MASK:
            return
        mode = lvt.DELIVERY if "DELIVERY" in lvt.spec.fields else FIXED
        if mode == FIXED:
            self.accept(lvt.VECTOR)
        elif mode in (NMI, INIT):
            self.device.deliver_to(self, Message(0, False, mode, 0))

    def pulse_lint1(self) -> None:
        """The board's NMI line went high. Without the APIC, LINT1 is the CPU's NMI pin."""
        if self.present:
            self.local_interrupt(self.LVT_LINT1)
        else:
            self.device.machine.cpus.send_nmi(self.index)

    def report(self, error: int) -> None:
        """Notes an error. The first one of its kind interrupts; an illegal vector for that isn't one more error."""
        new = error & ~self.errors
        self.errors |= error
        if new and not self.LVT_ERROR.MASK:
            if self.LVT_ERROR.VECTOR < FIRST_LEGAL:
                self.errors |= RECEIVE_ILLEGAL
            else:
                self.accept(self.LVT_ERROR.VECTOR)

    def illegal_register(self) -> None:
        """The guest reached for a register that isn't there."""
        self.report(ILLEGAL_REGISTER)

    # --- registers -----------------------------------------------------------------------------------------------

    @TPR.written
    def priority_written(self, value: int) -> None:
        """The outcome may be another one."""
        self.refresh()

    @LVT_THERMAL.written
    @LVT_PERFORMANCE.written
    @LVT_LINT1.written
    @LVT_ERROR.written
    def entry_written(self, value: int) -> None:
        """Entries stay masked while software has the APIC disabled."""
        if not self.SVR.ENABLED:
            for lvt in (self.LVT_THERMAL, self.LVT_PERFORMANCE, self.LVT_LINT1, self.LVT_ERROR):
                lvt.value |= MASKED

    @LVT_LINT0.written
    def lint0_written(self, value: int) -> None:
        """So does this one, once it was written."""
        if not self.SVR.ENABLED:
            self.LVT_LINT0.value |= MASKED
        self.refresh()

    @EOI.write
    def end_of_interrupt(self, value: int) -> None:
        """Ends the vector in service that has the highest priority."""
        vector = self.isr.bit_length() - 1
        if vector < 0:
            return
        self.isr &= ~(1 << vector)
        self.refresh()
        if self.tmr >> vector & 1:
            self.device.machine.cpus.end_of_interrupt(vector)

    @SVR.written
    def spurious_written(self, value: int) -> None:
        """Software disables the APIC: that masks the local sources. What waits or is in service stays."""
        if not self.SVR.ENABLED:
            self.timer.settle()
            self.LVT_TIMER.value |= MASKED
            self.timer.schedule()
            self.LVT_LINT0.value |= MASKED
        self.entry_written(0)
        self.refresh()

    @ISR_WINDOW.read
    def read_isr(self, offset: int, size: int) -> int:
        """32 vectors."""
        return self._piece(self.isr, offset)

    @TMR_WINDOW.read
    def read_tmr(self, offset: int, size: int) -> int:
        """32 vectors."""
        return self._piece(self.tmr, offset)

    @IRR_WINDOW.read
    def read_irr(self, offset: int, size: int) -> int:
        """32 vectors."""
        return self._piece(self.irr, offset)

    def _piece(self, vectors: int, offset: int) -> int:
        """Each 16 bytes begin with 32 vectors; nothing is in between."""
        return 0 if offset & 0xF else vectors >> 2 * offset & 0xFFFF_FFFF

    @ESR.write
    def latch_errors(self, value: int) -> None:
        """Shows the errors since the last write, whatever the value is."""
        self.timer.settle()
        self.ESR.value, self.errors = self.errors, 0
        self.timer.schedule()

    @ICR_LOW.written
    def send(self, value: int) -> None:
        """Sends an interrupt to other CPUs, or to this one."""
        command = self.ICR_LOW
        mode, vector = command.DELIVERY, command.VECTOR
        if mode in (FIXED, LOWEST_PRIORITY) and vector < FIRST_LEGAL:
            self.report(SEND_ILLEGAL)
            return
        deassert = mode == INIT and command.TRIGGER and not command.LEVEL
        message = Message(
            self.ICR_HIGH.DESTINATION, bool(command.LOGICAL), mode, vector, level=False, asserted=not deassert
        )
        shorthand = command.SHORTHAND
        if shorthand == SELF and mode != FIXED:
            self.guest_error(f"delivery mode {mode} to itself")
            return
        self.device.send(message, self, shorthand)

    @LVT_TIMER.write
    def timer_entry_written(self, value: int) -> None:
        """To and from the TSC-deadline mode, the timer is disarmed. Without that mode its bit isn't there."""
        self.timer.settle()
        before = self.LVT_TIMER.MODE
        self.LVT_TIMER.guest_store(value)
        if not self.device.has_tsc_deadline or self.LVT_TIMER.MODE == RESERVED_MODE:
            self.LVT_TIMER.MODE &= ~TSC_DEADLINE
        if not self.SVR.ENABLED:
            self.LVT_TIMER.MASK = 1
        if (before ^ self.LVT_TIMER.MODE) & TSC_DEADLINE:
            self.timer.stop()
            self.INITIAL_COUNT.value = 0
        self.timer.schedule()

    @INITIAL_COUNT.write
    def initial_count_written(self, value: int) -> None:
        """Starts the timer; 0 stops it."""
        if self.LVT_TIMER.MODE & TSC_DEADLINE:
            return
        self.timer.settle()
        self.INITIAL_COUNT.value = value
        self.timer.start()

    @CURRENT_COUNT.read
    def read_current_count(self) -> int:
        """What is left. An interrupt that is due comes first."""
        self.timer.settle()
        return 0 if self.LVT_TIMER.MODE & TSC_DEADLINE else self.timer.count

    @DIVIDE.write
    def divide_written(self, value: int) -> None:
        """The count goes on from where it is, faster or slower."""
        self.timer.settle()
        self.DIVIDE.guest_store(value)
        self.timer.schedule()

    # --- IA32_TSC_DEADLINE ---------------------------------------------------------------------------------------

    def read_tsc_deadline(self) -> int:
        """RDMSR."""
        self.timer.settle()
        return self.timer.tsc_deadline

    def write_tsc_deadline(self, value: int) -> None:
        """WRMSR: does nothing in another mode."""
        if self.LVT_TIMER.MODE == TSC_DEADLINE:
            self.timer.settle()
            self.timer.arm(value)
