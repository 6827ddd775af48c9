"""PCI devices: configuration header, BARs that move, INTx and MSI (PCI Local Bus Specification 3.0, chapter 6)."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from ..annotations import Checked
from ..device import Device
from ..interrupts import Pin
from ..life import RunState
from ..memory.regions import Container, Region
from ..properties import Link, Property
from ..registers import RO, Register
from .config import BAR_0, COMMAND_FIELDS, CONFIG, ROM_BAR, STATUS_FIELDS, Bar, BarKind, PciIds
from .msi import Msi
from .power_management import D0, D3, PowerManagement

if TYPE_CHECKING:
    from .bus import PciBus

_ADDRESS = re.compile(r"([0-9a-fA-F]{1,2})\.([0-7])")


def _check_address(text: str) -> str:
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[1], 16) > 31:
        raise ValueError(f'expected slot.function, as lspci has it, such as "03.0", not {text!r}')
    return text


PciAddress = Annotated[str, Checked(_check_address)]
"""A place on a PCI bus: "1f.2" is slot 31 (hexadecimal, as lspci has it), function 2."""


class PciInterrupt:
    """A PCI device's interrupt: a level, sent as a message instead while the guest has MSI enabled."""

    def __init__(self, device: PciDevice) -> None:
        self._device = device
        self.pin: Pin | None = None
        self._level = False

    @property
    def asserted(self) -> bool:
        """Whether the device asks for an interrupt."""
        return self._level

    def set(self, level: bool | int) -> None:
        """Asks for an interrupt, or no longer does."""
        level = bool(level)
        rising = level and not self._level
        self._level = level
        self._device.PCI_STATUS.INTERRUPT = level
        if rising and self._device.msi_enabled and not self._device.asleep:
            self._device.send_msi()
        self.update()

    def restore(self, level: bool) -> None:
        """Puts it to `level` again, after a restore: no message is sent for what was sent before."""
        self._level = level
        self.update()

    def update(self) -> None:
        """The pin follows: it is quiet under MSI, under INTX_DISABLE, and in D3."""
        device = self._device
        if self.pin is not None:
            quiet = device.msi_enabled or device.PCI_COMMAND.INTX_DISABLE or device.asleep
            self.pin.set(self._level and not quiet)


class PciDevice(Device):
    """One function of a PCI device. Its class declares `ids`, an interrupt pin, and BARs: `bar0` to `bar5`, `rom`."""

    ids: ClassVar[PciIds]
    interrupt_pin: ClassVar[str | None] = None
    """"INTA" to "INTD", or None."""
    msi: ClassVar[Msi | None] = None
    wakes_by: ClassVar[PowerManagement | None] = None
    """Its power management, if it can wake the machine."""
    hotpluggable: ClassVar[bool] = True
    """A chipset's functions may not, nor may what makes buses or tells the firmware something."""
    multifunction: ClassVar[bool] = False
    """Whether its header says that its slot has more functions, even if none is there."""

    bus: PciBus = Link("buses", "pci.0", doc="The PCI bus that it is on.")
    addr: PciAddress | None = Property(None, doc='Slot and function, such as "03.0"; by default the first free slot.')

    config = CONFIG
    PCI_VENDOR_ID = CONFIG.register(0x00, 2, reset=None, access=RO, doc="Who made it.")
    PCI_DEVICE_ID = CONFIG.register(0x02, 2, reset=None, access=RO, doc="What it is.")
    PCI_COMMAND = CONFIG.register(0x04, 2, fields=COMMAND_FIELDS, doc="What it may do on the bus.")
    PCI_STATUS = CONFIG.register(0x06, 2, fields=STATUS_FIELDS, doc="What it can, and what went wrong.")
    PCI_REVISION_ID = CONFIG.register(0x08, 1, reset=None, access=RO, doc="Its revision.")
    PCI_CLASS_CODE = CONFIG.register(0x09, 3, reset=None, access=RO, doc="Interface, subclass, base class.")
    PCI_CACHE_LINE_SIZE = CONFIG.register(0x0C, 1, doc="In double words; kept for the guest.")
    PCI_LATENCY_TIMER = CONFIG.register(0x0D, 1, doc="In bus clocks; kept for the guest.")
    PCI_HEADER_TYPE = CONFIG.register(
        0x0E, 1, reset=None, access=RO, doc="Layout 0; bit 7, of function 0: there are more."
    )
    PCI_SUBSYSTEM_VENDOR_ID = CONFIG.register(0x2C, 2, reset=None, access=RO, doc="Who made the board.")
    PCI_SUBSYSTEM_ID = CONFIG.register(0x2E, 2, reset=None, access=RO, doc="Which board it is.")
    PCI_CAPABILITIES_POINTER = CONFIG.register(0x34, 1, reset=None, access=RO, doc="Where the first capability is.")
    PCI_INTERRUPT_LINE = CONFIG.register(0x3C, 1, doc="The line that firmware routed the pin to; kept for the guest.")
    PCI_INTERRUPT_PIN = CONFIG.register(0x3D, 1, reset=None, access=RO, doc="1 to 4: INTA# to INTD#; 0: none.")

    slot: int
    function: int

    def __init_subclass__(cls, **kwargs: Any) -> None:
        made: dict[str, Any] = {}
        for bar in [value for value in vars(cls).values() if isinstance(value, Bar)]:
            for name, spec in bar.registers().items():
                if name in made:
                    raise TypeError(f"{cls.__name__}: {name} belongs to two BARs")
                made[name] = spec
        if isinstance(vars(cls).get("msi"), Msi):
            made |= vars(cls)["msi"].registers(following=0)
        if isinstance(vars(cls).get("wakes_by"), PowerManagement):
            following = cls.msi.offset if cls.msi else 0
            made |= vars(cls)["wakes_by"].registers(following)
        if "PCI_COMMAND" in vars(cls) and not cls.PCI_COMMAND.after_write:
            cls.PCI_COMMAND.after_write = "_command_written"
        for name, spec in made.items():
            setattr(cls, name, spec)
            spec.__set_name__(cls, name)
        super().__init_subclass__(**kwargs)

    def __init__(self, id: str, **properties: Any) -> None:
        super().__init__(id, **properties)
        self.interrupt = PciInterrupt(self)
        self._placed: dict[str, int] = {}
        self.asleep = False
        """In D3."""
        self.dma.enabled = False
        ids = self.ids
        self.PCI_VENDOR_ID.value, self.PCI_DEVICE_ID.value = ids.vendor, ids.device
        self.PCI_REVISION_ID.value, self.PCI_CLASS_CODE.value = ids.revision, ids.class_code
        self.PCI_SUBSYSTEM_VENDOR_ID.value, self.PCI_SUBSYSTEM_ID.value = ids.subsystem_vendor, ids.subsystem
        if self.interrupt_pin:
            self.PCI_INTERRUPT_PIN.value = "ABCD".index(self.interrupt_pin[-1]) + 1
        first = self.wakes_by or self.msi
        if first:
            self.PCI_CAPABILITIES_POINTER.value, self.PCI_STATUS.CAPABILITIES = first.offset, 1

    # --- life ----------------------------------------------------------------------------------------------------

    def realize(self) -> None:
        """Takes its slot on the bus."""
        self.bus.plug(self)

    def unrealize(self) -> None:
        """Leaves the bus."""
        self.PCI_COMMAND.value = 0
        self._update_decoding()
        self.interrupt.set(False)
        self.bus.unplug(self)
        super().unrealize()

    def ask_to_leave(self) -> bool:
        """The bus's hot-plug controller asks, if it has one and the guest runs."""
        if self.bus.ask_to_leave is None or self.machine.state is RunState.PRELAUNCH:
            return False
        self.bus.ask_to_leave(self)
        return True

    def reset(self) -> None:
        """The bus's RST#: decoding, mastering and interrupts are off."""
        self.interrupt.set(False)
        super().reset()
        self.PCI_STATUS.CAPABILITIES = bool(self.wakes_by or self.msi)
        self._update_decoding()

    def loaded(self) -> None:
        """BARs and interrupt follow the restored registers."""
        self._update_decoding()
        self.interrupt.restore(bool(self.PCI_STATUS.INTERRUPT))

    # --- configuration -------------------------------------------------------------------------------------------

    def config_read(self, offset: int, size: int) -> int:
        """What a configuration read of `size` bytes at `offset` gives."""
        return self.config.read(offset, size)

    def config_write(self, offset: int, size: int, value: int) -> None:
        """A configuration write."""
        self.config.write(offset, size, value)

    @PCI_COMMAND.written
    def _command_written(self, value: int) -> None:
        self._update_decoding()
        self.interrupt.update()

    def _power_written(self, value: int) -> None:
        """Leaving D3 is a reset of what has no power there. A state that isn't offered, D1 or D2, isn't taken."""
        control = vars(self)["PM_CONTROL"]
        if control.STATE not in (D0, D3):
            control.STATE = D3 if self.asleep else D0
        if self.asleep and control.STATE == D0:
            self.wake()
        self._update_decoding()
        self.interrupt.update()

    def _decoding_written(self, value: int) -> None:
        self._update_decoding()

    def _interrupt_written(self, value: int) -> None:
        self.interrupt.update()

    def bars(self) -> list[Bar]:
        """The declared BARs."""
        return [bank for bank in self.bank_specs if isinstance(bank, Bar)]

    def bar_address(self, bar: Bar) -> int | None:
        """Where the guest placed `bar`, or None while it doesn't decode."""
        if self.asleep:
            return None
        value = self._register_at(bar.config_offset).value
        if bar.kind is BarKind.IO:
            return value & ~3 if self.PCI_COMMAND.IO else None
        if not self.PCI_COMMAND.MEMORY or (bar.config_offset == ROM_BAR and not value & 1):
            return None
        base = value & ~(0x7FF if bar.config_offset == ROM_BAR else 0xF)
        if bar.kind is BarKind.MEMORY_64:
            base |= self._register_at(bar.config_offset + 4).value << 32
        return base

    def bar_region(self, bar: Bar) -> Region:
        """The region behind `bar`."""
        region: Region = vars(self)[bar.name]
        return region

    def resize_bar(self, name: str, size: int) -> None:
        """A device whose memory's size a property says makes its BAR `name` that large, before it is plugged in."""
        container = vars(self)[name]
        assert isinstance(container, Container) and not size & size - 1
        container.size = size
        bar = next(bar for bar in self.bars() if bar.name == name)
        register = self._register_at(bar.config_offset)
        register.spec = copy.copy(register.spec)
        register.spec.rw_mask = -size & 0xFFFF_FFFF

    def _register_at(self, offset: int) -> Register:
        name = "ROM" if offset == ROM_BAR else f"BAR{(offset - BAR_0) // 4}"
        register: Register = vars(self)[name]
        return register

    def _update_decoding(self) -> None:
        self.asleep = self.wakes_by is not None and vars(self)["PM_CONTROL"].STATE == D3
        self.dma.enabled = bool(self.PCI_COMMAND.MASTER) and not self.asleep
        for bar in self.bars():
            container = self.bus.ports if bar.kind is BarKind.IO else self.bus.memory
            address = self.bar_address(bar)
            if address is not None and address + self.bar_region(bar).size > container.size:
                address = None
            self._place(container, bar, address)

    def _place(self, container: Container, bar: Bar, address: int | None) -> None:
        region = self.bar_region(bar)
        before = self._placed.get(bar.name)
        if before == address:
            return
        if before is None:
            assert address is not None
            container.add(address, region, priority=1)
        elif address is None:
            container.remove(region)
        else:
            container.move(region, address)
        if address is None:
            del self._placed[bar.name]
        else:
            self._placed[bar.name] = address

    # --- interrupts ----------------------------------------------------------------------------------------------

    @property
    def msi_enabled(self) -> bool:
        """Whether the guest enabled MSI."""
        return self.msi is not None and bool(vars(self)["MSI_CONTROL"].value & 1)

    def send_msi(self) -> None:
        """Sends the message that the guest programmed, if the device may master the bus: a message is a store."""
        if not self.dma.enabled:
            self.guest_error("MSI while bus mastering is off")
            return
        registers = vars(self)
        address = registers["MSI_ADDRESS"].value | registers["MSI_ADDRESS_HIGH"].value << 32
        self.machine.send_msi(self, address, registers["MSI_DATA"].value)
