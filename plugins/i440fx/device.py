"""Intel 82441FX PCI and Memory Controller (PMC), datasheet 290549: host bridge of the 440FX chip set.

It is where the CPU's accesses go first: to RAM, or on to the PCI bus, which it provides. Configuration space is reached
by PCI configuration mechanism #1 (PCI Local Bus Specification 2.1, section 3.7.4.1).
"""

from __future__ import annotations

from itertools import accumulate
from typing import ClassVar

from southbridge.acpi import AcpiTables, eisa_id
from southbridge.acpi.resources import bus_numbers, io, io_window, memory_window, resource_template
from southbridge.acpi.terms import name
from southbridge.banks import PortBank
from southbridge.board import MODULES, MemoryRange, memory_modules
from southbridge.errors import RealizeError
from southbridge.hookspecs import hookimpl
from southbridge.life import ResetReason
from southbridge.memory.regions import Alias, Ram
from southbridge.memory.space import AddressSpace
from southbridge.pci import CONFIG, PciBus, PciDevice, PciIds
from southbridge.pci.config import COMMAND_FIELDS, STATUS_FIELDS
from southbridge.registers import RO, W1C, bit, bits
from southbridge.units import GiB, KiB, MiB

from .shadow import SEGMENTS, Segment, modes

CONFIGURATION_PORTS = 0xCF8
PCI_END = 0xFEC0_0000
"""Up to here PCI devices may be: above are the APICs, the HPET and the firmware."""
HIGH_WINDOW = 32 * GiB
"""How much room there is for PCI devices above all memory."""
ROW = 8 * MiB
"""The unit of the DRAM row boundary registers."""
PAM = {"LOW": bits(0, 1, doc="Reads (1) and writes (2) go to RAM."), "HIGH": bits(4, 5, doc="The next segment.")}


def low_memory(size: int) -> int:
    """How much of `size` bytes of RAM lies below 4 GiB; the rest is at 4 GiB, above the space for PCI."""
    return 3 * GiB if size >= 3584 * MiB else size


class I440fx(PciDevice):
    """Host bridge and memory controller; provides the bus "pci.0"."""

    ids: ClassVar[PciIds] = PciIds(
        0x8086, 0x1237, class_code=0x060000, revision=2, subsystem_vendor=0x1AF4, subsystem=0x1100
    )
    hotpluggable: ClassVar[bool] = False
    bus: PciBus
    addr: str | None = "00.0"

    ports = PortBank(8, doc="PCI configuration mechanism #1, at CF8h.")
    CONFADD = ports.register(
        0,
        4,
        fields={
            "REGISTER": bits(2, 7),
            "FUNCTION": bits(8, 10),
            "DEVICE": bits(11, 15),
            "BUS": bits(16, 23),
            "ENABLE": bit(31),
        },
        doc="Configuration address; takes double words only.",
    )
    CONFDATA = ports.window(4, 4, doc="Configuration data: the register that CONFADD names.")

    PCI_COMMAND = CONFIG.register(
        0x04,
        2,
        reset=0x0006,
        fields=COMMAND_FIELDS
        | {"IO": bit(0, RO), "MASTER": bit(2, RO), "PARITY_RESPONSE": bit(6, RO), "INTX_DISABLE": bit(10, RO)},
    )
    PCI_STATUS = CONFIG.register(0x06, 2, reset=0x0280, fields=STATUS_FIELDS)
    PCI_LATENCY_TIMER = CONFIG.register(0x0D, 1, fields={"COUNT": bits(3, 7)}, doc="MLT: master latency timer.")
    PCI_CACHE_LINE_SIZE = CONFIG.register(0x0C, 1, access=RO)
    PCI_INTERRUPT_LINE = CONFIG.register(0x3C, 1, access=RO)

    PMCCFG = CONFIG.register(
        0x50,
        2,
        reset=0x0200,
        fields={
            "IOQD": bit(2, doc="In-order queue depth."),
            "DDIM": bits(4, 5, doc="DRAM data integrity mode."),
            "EPTE": bits(6, 7, doc="ECC and parity test."),
            "HFS": bits(8, 9, doc="Host frequency: 1: 60 MHz, 2: 66 MHz."),
            "RSEC": bit(14, doc="Row select or extra copy."),
            "WPE": bit(15, doc="WSC# protocol."),
        },
        doc="PMC configuration.",
    )
    DETURBO = CONFIG.register(0x52, 1, doc="Deturbo counter.")
    DBC = CONFIG.register(0x53, 1, reset=0x80, doc="Data buffer control.")
    AXC = CONFIG.register(0x54, 1, fields={"LT": bit(1), "RCOMP": bit(7)}, doc="Auxiliary control.")
    DRT = CONFIG.register(0x55, 2, doc="DRAM row type, two bits a row.")
    DRAMC = CONFIG.register(
        0x57, 1, reset=0x01, fields={"RATE": bits(0, 2), "MODE": bits(4, 6)}, doc="DRAM control: refresh, mode."
    )
    DRAMT = CONFIG.register(0x58, 1, reset=0x10, fields={"TIMING": bits(0, 6)}, doc="DRAM timing.")
    PAM0 = CONFIG.register(0x59, 1, fields={"HIGH": PAM["HIGH"]}, doc="F0000h to FFFFFh.")
    PAM1 = CONFIG.register(0x5A, 1, fields=PAM, doc="C0000h and C4000h, 16 KiB each.")
    PAM2 = CONFIG.register(0x5B, 1, fields=PAM, doc="C8000h and CC000h.")
    PAM3 = CONFIG.register(0x5C, 1, fields=PAM, doc="D0000h and D4000h.")
    PAM4 = CONFIG.register(0x5D, 1, fields=PAM, doc="D8000h and DC000h.")
    PAM5 = CONFIG.register(0x5E, 1, fields=PAM, doc="E0000h and E4000h.")
    PAM6 = CONFIG.register(0x5F, 1, fields=PAM, doc="E8000h and EC000h.")
    DRB = CONFIG.register(
        0x60, 8, reset=None, widths=(1, 2, 4), doc="DRAM row boundaries: where rows 0 to 7 end, in 8 MiB."
    )
    FDHC = CONFIG.register(
        0x68,
        1,
        fields={"HEN": bits(6, 7, doc="1: hole at 512 KiB to 640 KiB; 2: at 15 MiB to 16 MiB.")},
        doc="Fixed DRAM hole control.",
    )
    MTT = CONFIG.register(0x70, 1, fields={"COUNT": bits(3, 7)}, doc="Multi-transaction timer.")
    CLT = CONFIG.register(0x71, 1, reset=0x10, fields={"COUNT": bits(0, 4)}, doc="CPU latency timer.")
    SMRAM = CONFIG.register(
        0x72,
        1,
        reset=0x02,
        fields={
            "C_BASE_SEG": bits(0, 2, RO, doc="2: A0000h to BFFFFh."),
            "G_SMRAME": bit(3, doc="System management RAM is there."),
            "D_LCK": bit(4, doc="Locks all but D_CLS until a reset."),
            "D_CLS": bit(5, doc="Closed to data."),
            "D_OPEN": bit(6, doc="Open outside system management mode too."),
        },
        doc="System management RAM control.",
    )
    ERRCMD = CONFIG.register(
        0x90,
        1,
        fields={"SBE": bit(0, doc="SERR# on single-bit errors."), "MBE": bit(1), "PARITY": bit(3), "TARGET": bit(4)},
        doc="Error command.",
    )
    ERRSTS = CONFIG.register(
        0x91,
        1,
        fields={"SBE": bit(0, W1C), "SBROW": bits(1, 3, RO), "MBE": bit(4, W1C), "MBROW": bits(5, 7, RO)},
        doc="Error status.",
    )
    TRC = CONFIG.register(
        0x93,
        1,
        fields={"DM": bit(0, doc="Deturbo."), "SHRE": bit(1, doc="Hard reset."), "RCPU": bit(2), "BISTE": bit(3)},
        doc="Turbo and reset control: RCPU going high resets.",
    )

    # --- life ----------------------------------------------------------------------------------------------------

    def realize(self) -> None:
        """Makes the bus, and places RAM. Raises RealizeError for less than 1 MiB of it."""
        machine = self.machine
        size = machine.ram.size
        self._segments: list[Segment] = []
        self._placed_memory: list[MemoryRange] = []
        self.bus = PciBus("pci.0", 0, machine.bus_memory, machine.ports.root)
        if size < MiB:
            raise RealizeError(f"{self.id}: needs at least 1 MiB of memory, not {size // KiB} KiB")
        machine.add_bus("pci.0", self.bus)
        super().realize()
        self.claim_ports(self.ports, CONFIGURATION_PORTS)
        self._place_memory(size)

    def unrealize(self) -> None:
        """Takes the bus and the memory along."""
        for segment in self._segments:
            segment.select(0)
        if self.machine.buses.get(self.bus.name) is self.bus:
            del self.machine.buses[self.bus.name]
        for place in self._placed_memory:
            self.machine.memory_map.remove(place)
        self._placed_memory.clear()
        super().unrealize()

    def _place_memory(self, size: int) -> None:
        machine = self.machine
        low = low_memory(size)
        ram = Ram("ram", machine.ram, owner=self)
        beyond = AddressSpace("bus", machine.bus_memory.size, machine.memory.on_fault)
        beyond.root.add(0, machine.bus_memory)

        def piece(name: str, start: int, end: int) -> Alias:
            alias = Alias(name, ram, start, end - start, owner=self)
            self.claim_memory(alias, start)
            return alias

        piece("base memory", 0, 512 * KiB)
        self._hole_512k = piece("base memory from 512 KiB", 512 * KiB, 640 * KiB)
        self._smram = piece("SMRAM", 640 * KiB, 768 * KiB)
        self._segments = [Segment(machine.memory.root, ram, beyond, base, length) for base, length in SEGMENTS]
        self._hole_15m: Alias | None = None
        if low > MiB:
            piece("extended memory", MiB, min(low, 15 * MiB))
        if low > 15 * MiB:
            self._hole_15m = piece("extended memory from 15 MiB", 15 * MiB, min(low, 16 * MiB))
        if low > 16 * MiB:
            piece("extended memory from 16 MiB", 16 * MiB, low)
        self._placed_memory.append(MemoryRange(0, low))
        if size > low:
            self.claim_memory(Alias("memory above 4 GiB", ram, low, size - low, owner=self), 4 * GiB)
            self._placed_memory.append(MemoryRange(4 * GiB, size - low))
        machine.memory_map.extend(self._placed_memory)

    def acpi(self, tables: AcpiTables) -> None:
        """What the bus has: numbers, ports, and the addresses where no memory is."""
        resources = [
            bus_numbers(0, 0xFF),
            io(CONFIGURATION_PORTS, 8),
            io_window(0, CONFIGURATION_PORTS - 1),
            io_window(CONFIGURATION_PORTS + 8, 0xFFFF),
            memory_window(640 * KiB, 768 * KiB - 1, cacheable=True),
            memory_window(low_memory(self.machine.ram.size), PCI_END - 1),
        ]
        size = self.machine.ram.size
        start = -(-(4 * GiB + size - low_memory(size)) // GiB) * GiB
        if start + HIGH_WINDOW <= 1 << self.machine.cpu.physical_bits:
            resources.append(memory_window(start, start + HIGH_WINDOW - 1, cacheable=True))
        tables.host_bridge(
            self.bus,
            "PCI0",
            name("_HID", eisa_id("PNP0A03")),
            name("_UID", 0),
            name("_CRS", resource_template(*resources)),
        )

    def reset(self) -> None:
        """All of C0000h to FFFFFh is the bus's, SMRAM is closed and unlocked."""
        super().reset()
        modules = memory_modules(self.machine.ram.size)
        rows = [*modules, *[0] * (MODULES - len(modules))]
        self.DRB.value = int.from_bytes(bytes(min(end // ROW, 0xFF) for end in accumulate(rows)), "little")
        self._map()

    @hookimpl
    def machine_set_up(self) -> None:
        """Without firmware: C0000h to FFFFFh is RAM."""
        self.config_write(0x59, 1, 0x30)
        for offset in range(0x5A, 0x60):
            self.config_write(offset, 1, 0x33)

    def wake(self) -> None:
        """It keeps its registers while the machine sleeps: firmware is to find itself where it was, in RAM."""

    def loaded(self) -> None:
        """The memory map follows the restored registers."""
        super().loaded()
        self._map()

    # --- configuration mechanism #1 ------------------------------------------------------------------------------

    @CONFDATA.read
    def _confdata_read(self, offset: int, size: int) -> int:
        address = self.CONFADD
        if not address.ENABLE or self.bus.number != address.BUS:
            return (1 << 8 * size) - 1
        return self.bus.config_read(address.DEVICE, address.FUNCTION, address.value & 0xFC | offset, size)

    @CONFDATA.write
    def _confdata_write(self, offset: int, size: int, value: int) -> None:
        address = self.CONFADD
        if address.ENABLE and self.bus.number == address.BUS:
            self.bus.config_write(address.DEVICE, address.FUNCTION, address.value & 0xFC | offset, size, value)

    # --- the memory map ------------------------------------------------------------------------------------------

    def config_write(self, offset: int, size: int, value: int) -> None:
        """A configuration write; what it changes of the memory map changes at once."""
        with self.machine.memory.transaction():
            super().config_write(offset, size, value)

    @PAM0.written
    @PAM1.written
    @PAM2.written
    @PAM3.written
    @PAM4.written
    @PAM5.written
    @PAM6.written
    @FDHC.written
    def _map_written(self, value: int) -> None:
        self._map()

    @SMRAM.write
    def _smram_written(self, value: int) -> None:
        register = self.SMRAM
        if register.D_LCK:
            register.D_CLS = value >> 5 & 1
        else:
            register.guest_store(value)
            if register.D_LCK:
                register.D_OPEN = 0
        self._map()

    def _map(self) -> None:
        """The memory map as the registers have it. Regions that stay as they are are left alone."""
        pams = [self.PAM0, self.PAM1, self.PAM2, self.PAM3, self.PAM4, self.PAM5, self.PAM6]
        with self.machine.memory.transaction():
            for segment, mode in zip(self._segments, modes([pam.value for pam in pams]), strict=True):
                segment.select(mode)
            smram = self.SMRAM
            self._smram.enabled = bool(smram.G_SMRAME and smram.D_OPEN and not smram.D_CLS)
            self._hole_512k.enabled = self.FDHC.HEN != 1
            if self._hole_15m:
                self._hole_15m.enabled = self.FDHC.HEN != 2

    @TRC.written
    def _trc_written(self, value: int) -> None:
        if value & 4:
            self.machine.request_reset(ResetReason.GUEST)
