"""What devices say of themselves to the operating system, on its way into ACPI tables.

A device that has something to say overrides `Device.acpi`:

    def acpi(self, tables: AcpiTables) -> None:
        tables.isa(device(tables.unique("COM"), name("_HID", eisa_id("PNP0501")), ...))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .aml import AcpiError, Aml, segment, string
from .linker import Block
from .tables import Interrupts, PowerManagement, Table, table
from .terms import device, joined, name, package, scope

if TYPE_CHECKING:
    from ..machine import Machine
    from ..pci import PciBus, PciDevice

PINS = 4
ALL_FUNCTIONS = 0xFFFF


class AcpiTables:
    """Collects what goes into a machine's tables. Devices call these in any order."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.power: PowerManagement | None = None
        """Set by the device with the power management registers. Without it there are no tables."""
        self.interrupts = Interrupts()
        """What the MADT says; there is one if it has entries."""
        self.routes: dict[tuple[str, int, int], str] = {}
        """Which link device a bus's slot's pin (0: INTA#) leads to. What isn't here, `pirq_links` says."""
        self.pirq_links: list[str] = []
        """The link devices of PIRQA# to PIRQD#."""
        self.has_keyboard_controller = False
        self.century = 0
        """Where the real-time clock has it; 0: nowhere."""
        self.at_end: list[Callable[[], None]] = []
        """Called when every device has said its own: for terms that name others."""
        self._root: list[Aml] = []
        self._system: list[Aml] = []
        self._processors: dict[int, list[Aml]] = {}
        self._isa: list[Aml] = []
        self._isa_bridge: PciDevice | None = None
        self._bridges: dict[str, tuple[str, PciBus, list[Aml]]] = {}
        self._functions: dict[tuple[str, int, int], list[Aml]] = {}
        self._names: dict[tuple[str, int, int], str] = {}
        self._tables: list[Table] = []
        self.blocks: list[Block] = []
        """Memory that is placed with the tables."""
        self._numbers: dict[str, int] = {}

    # --- where things go -----------------------------------------------------------------------------------------

    def root(self, *terms: Aml) -> None:
        r"""Adds terms at the root, `\`, of the DSDT."""
        self._root.extend(terms)

    def system(self, *terms: Aml) -> None:
        r"""Adds devices to the system bus, `\_SB`."""
        self._system.extend(terms)

    def processor(self, index: int, *terms: Aml) -> None:
        """Adds terms to the device of CPU number `index`, which every CPU has that there may be."""
        self._processors.setdefault(index, []).extend(terms)

    def cpu_path(self, index: int) -> str:
        """The full path of the device of CPU number `index`."""
        return f"\\_SB.{_cpu_name(index)}"

    def isa(self, *terms: Aml) -> None:
        """Adds devices to the ISA bus, wherever that is."""
        self._isa.extend(terms)

    def host_bridge(self, bus: PciBus, where: str, *terms: Aml) -> None:
        r"""The PCI bus is the device `where` (one segment) in `\_SB`, with these terms."""
        self._bridges[bus.name] = where, bus, list(terms)

    def isa_bridge(self, bridge: PciDevice, where: str, *terms: Aml) -> None:
        """The ISA bus is behind `bridge`, a device called `where`."""
        self._isa_bridge = bridge
        self.pci_function(bridge, *terms, where=where)

    def pci_function(self, function: PciDevice, *terms: Aml, where: str | None = None) -> None:
        """Adds terms to the device of a PCI function; it is called `where`, or after its place."""
        self.pci_place(function.bus, function.slot, function.function, *terms)
        if where is not None:
            self._names[function.bus.name, function.slot, function.function] = where

    def pci_place(self, bus: PciBus, slot: int, function: int, *terms: Aml) -> None:
        """The same for a place on a PCI bus, whether something is there or not."""
        self._functions.setdefault((bus.name, slot, function), []).extend(terms)

    def path_of(self, bus: PciBus, slot: int, function: int = 0) -> str:
        """The full path of the device at a place of a PCI bus whose host bridge is known already."""
        return f"{self.bus_path(bus)}.{self._name_of(bus.name, slot, function)}"

    def shows(self, bus: PciBus) -> bool:
        """Whether the tables have that bus: a host bridge said where it is."""
        return bus.name in self._bridges

    def bus_path(self, bus: PciBus) -> str:
        r"""The full path of a PCI bus: `\_SB.PCI0`."""
        return f"\\_SB.{self._bridges[bus.name][0]}"

    def unique(self, prefix: str) -> str:
        """A name of one segment: `prefix` and a number from 1 on. Raises AcpiError for too many."""
        number = self._numbers[prefix] = self._numbers.get(prefix, 0) + 1
        text = f"{prefix}{number}"
        segment(text)
        return text

    def ssdt(self, oem_table: str, *terms: Aml) -> None:
        """Adds a table of AML of its own, which is loaded after the DSDT. `oem_table`: up to eight characters."""
        if not oem_table.isascii() or not 0 < len(oem_table) <= 8:
            raise AcpiError(f"{oem_table!r} isn't a table's name of one to eight characters")
        self._tables.append(
            table("SSDT", 2, joined(terms), name=f"SSDT {oem_table}", oem_table=oem_table.encode().ljust(8))
        )

    def add(self, extra: Table) -> None:
        """Adds a table that isn't AML."""
        self._tables.append(extra)

    def block(self, block: Block) -> None:
        """Has a block of memory placed with the tables. Raises AcpiError if there is one of that name."""
        if any(other.name == block.name for other in self.blocks):
            raise AcpiError(f"there are two blocks of memory named {block.name!r}")
        self.blocks.append(block)

    # --- what becomes of it --------------------------------------------------------------------------------------

    def more_tables(self) -> list[Table]:
        """What `ssdt` and `add` brought."""
        return self._tables

    def definition_block(self) -> Aml:
        """The AML of the DSDT."""
        found = list(self._root)
        system = [*self._cpus(), *self._system]
        if self._isa and self._isa_bridge is None:
            system += self._isa
        for where, bus, terms in self._bridges.values():
            system.append(device(where, *terms, self._prt(bus), *self._devices_on(bus)))
        found.append(scope("\\_SB", *system))
        return joined(found)

    def _cpus(self) -> list[Aml]:
        return [
            device(
                _cpu_name(index),
                name("_HID", string("ACPI0007")),
                name("_UID", index),
                *self._processors.get(index, []),
            )
            for index in range(self.machine.cpus.max)
        ]

    def _devices_on(self, bus: PciBus) -> list[Aml]:
        found = []
        for (on, slot, function), terms in sorted(self._functions.items(), key=lambda item: item[0]):
            if on == bus.name:
                bridge = self._isa_bridge
                behind = bridge and bridge.bus is bus and (bridge.slot, bridge.function) == (slot, function)
                address = name("_ADR", slot << 16 | function)
                more = self._isa if behind else []
                found.append(device(self._name_of(on, slot, function), address, *terms, *more))
        return found

    def _name_of(self, bus: str, slot: int, function: int) -> str:
        return self._names.get((bus, slot, function), f"S{slot << 3 | function:02X}")

    def _prt(self, bus: PciBus) -> Aml:
        """Where each slot's pins lead."""
        routes = []
        for slot in range(32):
            for pin in range(PINS):
                link = self.routes.get((bus.name, slot, pin))
                if link is None and self.pirq_links:
                    link = self.pirq_links[bus.pirq(slot, pin)]
                if link is not None:
                    routes.append(package(slot << 16 | ALL_FUNCTIONS, pin, link, 0))
        return name("_PRT", package(*routes))


def _cpu_name(index: int) -> str:
    return f"C{index:03X}"
