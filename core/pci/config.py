"""PCI configuration space as registers (PCI Local Bus Specification 3.0, chapter 6)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from ..banks import Bank, MmioBank, PortBank
from ..memory.regions import Container, Region
from ..registers import RO, RW, W1C, Access, Field, RegisterSpec, bit, bits
from ..units import format_size

if TYPE_CHECKING:
    from ..component import Component

BAR_0 = 0x10
ROM_BAR = 0x30

COMMAND_FIELDS = {
    "IO": bit(0, doc="Answers I/O space."),
    "MEMORY": bit(1, doc="Answers memory space."),
    "MASTER": bit(2, doc="May master the bus."),
    "SPECIAL": bit(3, RO),
    "WRITE_INVALIDATE": bit(4, RO),
    "VGA_SNOOP": bit(5, RO),
    "PARITY_RESPONSE": bit(6),
    "SERR": bit(8),
    "FAST_BACK_TO_BACK": bit(9, RO),
    "INTX_DISABLE": bit(10),
}

STATUS_FIELDS = {
    "INTERRUPT": bit(3, RO),
    "CAPABILITIES": bit(4, RO),
    "FAST_BACK_TO_BACK": bit(7, RO),
    "PARITY": bit(8, W1C),
    "DEVSEL": bits(9, 10, RO),
    "SIGNALED_TARGET_ABORT": bit(11, W1C),
    "RECEIVED_TARGET_ABORT": bit(12, W1C),
    "RECEIVED_MASTER_ABORT": bit(13, W1C),
    "SIGNALED_SYSTEM_ERROR": bit(14, W1C),
    "DETECTED_PARITY_ERROR": bit(15, W1C),
}


class PciIds(NamedTuple):
    """What a device says that it is. `class_code` has base class, subclass and interface (24 bits)."""

    vendor: int
    device: int
    class_code: int
    revision: int = 0
    subsystem_vendor: int = 0
    subsystem: int = 0


class ConfigBank(Bank):
    """Configuration space: any width reaches any register; what isn't declared reads as zero."""

    unmapped = 0

    def register(
        self,
        offset: int,
        width: int = 1,
        *,
        reset: int | None = 0,
        access: Access = RW,
        fields: Mapping[str, Field] | None = None,
        widths: Collection[int] = (),
        when: Callable[[Any], object] | None = None,
        doorbell: bool = False,
        tail_doorbell: bool = False,
        coalesced: bool = False,
        doc: str = "",
    ) -> RegisterSpec:
        """Declares a configuration register; by default every width up to its own reaches it."""
        return super().register(
            offset,
            width,
            reset=reset,
            access=access,
            fields=fields,
            widths=widths or [size for size in (1, 2, 4) if size <= width],
            when=when,
            doorbell=doorbell,
            tail_doorbell=tail_doorbell,
            coalesced=coalesced,
            doc=doc,
        )


class BarKind(enum.Enum):
    """What a base address register decodes."""

    IO = "I/O"
    MEMORY_32 = "32-bit memory"
    MEMORY_64 = "64-bit memory"


class Bar(Bank):
    """A bank behind a base address register; its name says which: `bar0` to `bar5`, or `rom`."""

    kind: BarKind
    prefetchable = False

    def __set_name__(self, owner: type, name: str) -> None:
        super().__set_name__(owner, name)
        if name != "rom" and not (len(name) == 4 and name.startswith("bar") and name[3] in "012345"):
            raise TypeError(f"{owner.__name__}.{name}: a BAR's name is bar0 to bar5, or rom")
        smallest = {"rom": 2048}.get(name, 4 if self.kind is BarKind.IO else 16)
        if self.size < smallest or self.size & (self.size - 1):
            raise TypeError(f"{owner.__name__}.{name}: {format_size(self.size)} isn't a power of two from {smallest}")
        if self.kind is BarKind.MEMORY_64 and (name in ("bar5", "rom")):
            raise TypeError(f"{owner.__name__}.{name} can't be 64 bits wide")

    @property
    def index(self) -> int:
        """0 to 5; 6 for the expansion ROM."""
        return 6 if self.name == "rom" else int(self.name[3])

    @property
    def config_offset(self) -> int:
        """Where in configuration space its register is."""
        return ROM_BAR if self.name == "rom" else BAR_0 + 4 * self.index

    def type_bits(self) -> int:
        """The read-only low bits of its register."""
        if self.name == "rom":
            return 0
        if self.kind is BarKind.IO:
            return 1
        return (4 if self.kind is BarKind.MEMORY_64 else 0) | (8 if self.prefetchable else 0)

    def registers(self) -> dict[str, RegisterSpec]:
        """Its one or two configuration registers."""
        name = "ROM" if self.name == "rom" else f"BAR{self.index}"
        low = self._register(self.config_offset, name, self.type_bits(), ~(self.size - 1) & 0xFFFF_FFFF)
        if self.name == "rom":
            low.rw_mask |= 1
        if self.kind is not BarKind.MEMORY_64:
            return {name: low}
        high_name = f"BAR{self.index + 1}"
        return {name: low, high_name: self._register(self.config_offset + 4, high_name, 0, ~(self.size - 1) >> 32)}

    def _register(self, offset: int, name: str, reset: int, writable: int) -> RegisterSpec:
        spec = CONFIG.register(offset, 4, reset=reset, doc=f"Base address of {self.name}: {self.doc}")
        spec.rw_mask = writable & 0xFFFF_FFFF
        spec.after_write = "_decoding_written"
        spec.name = name
        return spec


class MmioBar(Bar, MmioBank):
    """Registers or memory behind a memory BAR."""

    def __init__(self, size: int, *, bits: int = 32, prefetchable: bool = False, doc: str = "") -> None:
        super().__init__(size, doc=doc)
        self.kind = BarKind.MEMORY_64 if bits == 64 else BarKind.MEMORY_32
        self.prefetchable = prefetchable


class MemoryBar(Bar):
    """Memory behind a memory BAR. In a device it is a `Container`, to which the device adds RAM, ROM, and what else
    shows there.
    """

    def __init__(self, size: int, *, prefetchable: bool = False, doc: str = "") -> None:
        super().__init__(size, doc=doc)
        self.kind = BarKind.MEMORY_32
        self.prefetchable = prefetchable

    def make(self, component: Component, name: str) -> Region:
        """See Bank."""
        return Container(name, self.size, component.device)

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def __get__(self, instance: None, owner: type) -> MemoryBar: ...

        @overload
        def __get__(self, instance: object, owner: type) -> Container: ...

        def __get__(self, instance: object | None, owner: type) -> MemoryBar | Container: ...


class IoBar(Bar, PortBank):
    """Registers behind an I/O BAR."""

    kind = BarKind.IO


CONFIG = ConfigBank(256, doc="PCI configuration space.")
"""The bank that every PCI device's configuration registers are declared in."""
CONFIG.name = "config"
