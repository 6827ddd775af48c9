"""Intel 82093AA I/O APIC (datasheet 290566): turns interrupt lines into messages to the CPUs' local APICs.

Index and data window; 24 inputs, of which the ISA lines drive sixteen as on a PC: IRQ 0 comes in on input 2.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, Literal

from southbridge.acpi import AcpiTables
from southbridge.acpi.tables import io_apic, override
from southbridge.annotations import Within
from southbridge.banks import MmioBank
from southbridge.component import State
from southbridge.device import Device
from southbridge.hookspecs import hookimpl
from southbridge.interrupts import Sink, Wire
from southbridge.properties import Property
from southbridge.registers import RO, WO, bits

BASE, SIZE = 0xFEC0_0000, 0x1000
INPUTS = 24
TIMER_INPUT = 2
"""Where IRQ 0 comes in; input 0 would be the 8259A's."""
LINES = [0, 1 << 1, 1 << 0 | 1 << 2, *(1 << number for number in range(3, 16)), *[0] * 8]
"""The ISA lines that drive each input."""
WITH_EOI = 0x20
"""The first version that has the EOI register."""

LOGICAL, LINE_STATUS, POLARITY, REMOTE_IRR, LEVEL, MASK = 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16
WRITABLE = 0xFF << 56 | MASK | LEVEL | POLARITY | LOGICAL | 0x7FF
DELIVERY = ("fixed", "lowest", "SMI", "...", "NMI", "INIT", "...", "extINT")
LOWEST_PRIORITY = 1
"""A delivery mode; only this one and the one below, fixed, can be level-triggered."""

MESSAGES = 0xFEE0_0000
ASSERT = 1 << 14
"""In a message's data: the level of a level-triggered interrupt."""

Entry = Annotated[int, Within(0, (1 << 64) - 1)]


def is_level(entry: int) -> bool:
    """Whether an entry is level-triggered. NMI, INIT and the like are edges, whatever it says."""
    return bool(entry & LEVEL) and entry >> 8 & 7 <= LOWEST_PRIORITY


def message(entry: int) -> tuple[int, int]:
    """The address and data of an entry's message."""
    data = entry & 0x7FF
    if is_level(entry):
        data |= LEVEL | ASSERT
    return MESSAGES | entry >> 56 << 12 | (entry & LOGICAL) >> 9, data


class Ioapic(Device):
    """The I/O APIC. While an entry's message waits or is served at a CPU, its remote IRR holds the next one back."""

    platform: ClassVar[str] = "ioapic"

    version: Literal[0x11, 0x20] = Property(
        0x11, doc="17 (11h) is the 82093AA's and KVM's; 32 (20h) has an EOI register besides."
    )

    window = MmioBank(SIZE, doc="At FEC00000h.")
    IOREGSEL = window.register(0x00, 4, fields={"INDEX": bits(0, 7)}, doc="Which register IOWIN is.")
    IOWIN = window.register(0x10, 4, doc="The register that IOREGSEL chooses.")
    IOEOI = window.register(
        0x40, 4, access=WO, when=lambda ioapic: ioapic.version >= WITH_EOI, doc="A vector: its interrupt has ended."
    )

    indexed = MmioBank(0x400, doc="What IOREGSEL chooses from, at four times its value; not mapped by itself.")
    IOAPICID = indexed.register(0x00, 4, fields={"ID": bits(24, 27)}, doc="Identifier; only kept.")
    IOAPICVER = indexed.register(
        0x04,
        4,
        access=RO,
        reset=(INPUTS - 1) << 16,
        fields={"VERSION": bits(0, 7, RO), "MAXIMUM": bits(16, 23, RO, doc="The last input.")},
        doc="Version, and number of inputs.",
    )
    IOAPICARB = indexed.register(0x08, 4, access=RO, doc="Arbitration identifier: the same as IOAPICID.")
    IOREDTBL = indexed.window(0x40, 8 * INPUTS, widths=(4,), doc="Redirection table: two doublewords an input.")

    table: list[Entry] = State(
        [MASK] * INPUTS, min_length=INPUTS, max_length=INPUTS, doc="The redirection table, an entry an input."
    )
    lines: int = State(0, keep=True, ge=0, le=0xFFFF, doc="ISA lines that are high.")

    _realized = False

    # --- life ----------------------------------------------------------------------------------------------------

    def realize(self) -> None:
        """Takes its page, and listens to the ISA interrupt lines and to the local APICs."""
        self.claim_memory(self.window, BASE)
        self._sinks: list[tuple[Wire, Sink]] = []
        for number, wire in enumerate(self.machine.isa.wires):
            sink = partial(self._line_changed, number)
            self._sinks.append((wire, sink))
            wire.connect(sink, deaf=partial(self._ignores_pulses, number))
        self.machine.cpus.eoi_listeners.append(self.end_of_interrupt)
        self._realized = True

    def unrealize(self) -> None:
        """Leaves the lines alone."""
        super().unrealize()
        if self._realized:
            for wire, sink in self._sinks:
                wire.disconnect(sink)
            self.machine.cpus.eoi_listeners.remove(self.end_of_interrupt)
            self.machine.set_level_routes({})

    def acpi(self, tables: AcpiTables) -> None:
        """Where it is, and which line comes in elsewhere."""
        tables.interrupts.io_apics.append(io_apic(0, BASE))
        tables.interrupts.overrides.append(override(0, TIMER_INPUT))

    def reset(self) -> None:
        """Every input is masked."""
        super().reset()
        self.IOAPICVER.VERSION = self.version
        self._tell_routes()

    def loaded(self) -> None:
        """The local APICs know what is level-triggered."""
        self._tell_routes()
        self._attend()

    @hookimpl
    def monitor_info(self, topic: str) -> str | None:
        """The redirection table, as QEMU's monitor shows it."""
        if topic != "pic":
            return None
        lines = [f"ioapic0: ver={self.version:#x} id={self.IOAPICID.ID:#04x} sel={self.IOREGSEL.value:#04x}"]
        for number, entry in enumerate(self.table):
            lines.append(
                f"  pin {number:<2} 0x{entry:016x} dest={entry >> 56:x} vec={entry & 0xFF:<3} "
                f"{'active-lo' if entry & POLARITY else 'active-hi'} {'level' if entry & LEVEL else 'edge '} "
                f"{'masked' if entry & MASK else '      '} {DELIVERY[entry >> 8 & 7]:<6} "
                f"{'logical' if entry & LOGICAL else 'physical'}"
            )
        held = [str(number) for number, entry in enumerate(self.table) if entry & REMOTE_IRR]
        lines.append(f"  Remote IRR {' '.join(held) or '(none)'}")
        return "\n".join(lines)

    # --- inputs --------------------------------------------------------------------------------------------------

    def _line_changed(self, number: int, level: bool) -> None:
        """Each line's rise is an edge of its input, also where another line of the same input is high."""
        mask = 1 << number
        if not level:
            self.lines &= ~mask
        elif not self.lines & mask:
            self.lines |= mask
            index = number or TIMER_INPUT
            entry = self.table[index]
            if not entry & MASK:
                if is_level(entry):
                    self._serve(index)
                else:
                    self._send(entry)

    def _ignores_pulses(self, number: int) -> bool:
        """Whether an edge on that line, which is high, is lost."""
        return bool(self.table[number or TIMER_INPUT] & MASK and self.lines >> number & 1)

    def _attend(self) -> None:
        """An edge may not be lost any more."""
        for wire in self.machine.isa.wires:
            wire.attend()

    def _serve(self, index: int) -> None:
        """Sends the message of a level-triggered input if it is high and none is under way."""
        entry = self.table[index]
        if is_level(entry) and not entry & (MASK | REMOTE_IRR) and self.lines & LINES[index]:
            self.table[index] = entry | REMOTE_IRR
            self._send(entry)

    def _send(self, entry: int) -> None:
        self.machine.send_msi(self, *message(entry))

    def _tell_routes(self) -> None:
        """Masked inputs too: an interrupt that is under way ends later."""
        routes = {index: message(entry) for index, entry in enumerate(self.table) if is_level(entry)}
        self.machine.set_level_routes(routes)

    def end_of_interrupt(self, vector: int) -> None:
        """The interrupt with that vector has ended: inputs that are high still interrupt again."""
        for index, entry in enumerate(self.table):
            if entry & REMOTE_IRR and entry & 0xFF == vector:
                self.table[index] = entry & ~REMOTE_IRR
                self._serve(index)

    # --- registers -----------------------------------------------------------------------------------------------

    @IOWIN.read
    def read_chosen(self) -> int:
        """The register that IOREGSEL chooses."""
        return self.indexed.read(4 * self.IOREGSEL.INDEX, 4)

    @IOWIN.write
    def write_chosen(self, value: int) -> None:
        """The register that IOREGSEL chooses."""
        self.indexed.write(4 * self.IOREGSEL.INDEX, 4, value)

    @IOEOI.write
    def write_eoi(self, value: int) -> None:
        """As if a local APIC said so."""
        self.end_of_interrupt(value & 0xFF)

    @IOAPICARB.read
    def read_arbitration(self) -> int:
        """Loaded with the identifier."""
        return self.IOAPICID.value

    @IOREDTBL.read
    def read_entry(self, offset: int, size: int) -> int:
        """Half an entry. Delivery is at once: no status shows it."""
        return self.table[offset >> 3] >> 8 * (offset & 4) & 0xFFFF_FFFF

    @IOREDTBL.write
    def write_entry(self, offset: int, size: int, value: int) -> None:
        """Half an entry. A level-triggered input that is high interrupts once it isn't masked.

        Making the input edge-triggered clears its remote IRR: software uses that for an EOI.
        """
        index, shift = offset >> 3, 8 * (offset & 4)
        lanes = WRITABLE & 0xFFFF_FFFF << shift
        entry = self.table[index] & ~lanes | value << shift & lanes
        if not entry & LEVEL:
            entry &= ~REMOTE_IRR
        changed = entry ^ self.table[index]
        self.table[index] = entry
        if changed & ~(MASK | REMOTE_IRR):
            self._tell_routes()
        if changed & MASK:
            self._attend()
        self._serve(index)
