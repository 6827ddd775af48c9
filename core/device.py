"""Devices: what the guest sees.

A device's life: it is constructed with its properties; `realize` claims ranges, lines and back ends and may fail with a
clear error; `reset` any number of times; `unrealize` when it leaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .banks import BankRegion
from .component import Component
from .dma import Dma
from .errors import RealizeError, SouthbridgeError
from .memory.ram import RamBlock
from .memory.regions import Container, Io, Ram, Region
from .properties import Configurable
from .units import format_size

if TYPE_CHECKING:
    from .acpi import AcpiTables
    from .interrupts import Pin
    from .machine import Machine


class Device(Configurable, Component):
    """One device of one machine. Its class declares properties, registers, state, timers and parts."""

    state_version: ClassVar[int] = 1
    """Of the saved state; other versions are refused."""

    platform: ClassVar[str] = ""
    """The platform device that this models, by the name under which an accelerator may play it itself (offload).

    Its saved state is then what it hands over, and what the accelerator hands back.
    """

    hotpluggable: ClassVar[bool] = False
    """Whether it may come and go while the machine runs."""

    is_firmware: ClassVar[bool] = False
    """It holds what the CPU executes first; a machine with `firmware: none` does without it."""

    machine: Machine

    def __init__(self, id: str, **properties: Any) -> None:
        super().__init__(**properties)
        self.id = id
        self.broken = False
        """Its code raised: it reads as ones, and is left alone from then on."""
        self.dma = Dma(self)
        self._claims: list[tuple[Container, Region]] = []
        self._construct(self, "")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    # --- life, for subclasses to extend --------------------------------------------------------------------------

    def realize(self) -> None:
        """Takes its place in `self.machine`. Raises RealizeError."""

    def reset(self) -> None:
        """Does what the hardware's reset does. The base puts registers and state to their reset values."""
        self.reset_registers()

    def wake(self) -> None:
        """The machine wakes from sleep: what has no power while it sleeps is reset. The base: all of it."""
        self.reset()

    def ask_to_leave(self) -> bool:
        """Asks the guest to let go of the device, which is unplugged when it does. False: there is nobody to ask."""
        return False

    def unrealize(self) -> None:
        """Leaves the machine: the base gives back ranges and interrupt lines, and stops the timers."""
        for container, region in self._claims:
            container.remove(region)
        self._claims.clear()
        self.machine.isa.release(self)
        self.reset_registers()

    def broke(self) -> None:
        """Its code raised: it is broken. One that other devices call directly leaves them here."""

    def acpi(self, tables: AcpiTables) -> None:
        """Says of itself to ACPI what an operating system doesn't find out by itself. Called again at each reset."""

    def loaded(self) -> None:
        """State was restored: a device whose lines or ranges follow from it sets them here."""

    # --- claims --------------------------------------------------------------------------------------------------

    def claim_ports(self, region: Region, base: int, *, priority: int = 0) -> None:
        """Answers ports from `base` on with `region`.

        Raises RealizeError if another device claimed any of them at the same priority.
        """
        self._claim(self.machine.ports.root, region, base, "ports", priority)

    def claim_memory(self, region: Region, base: int, *, priority: int = 0) -> None:
        """Answers guest-physical addresses from `base` on with `region`.

        Raises RealizeError if another device claimed any of them at the same priority.
        """
        self._claim(self.machine.memory.root, region, base, "memory", priority)

    def give_back(self, region: Region) -> None:
        """No longer answers with `region`, which it claimed a range for."""
        for claim in self._claims:
            if claim[1] is region:
                self._claims.remove(claim)
                claim[0].remove(region)
                return

    def claim_irq(self, number: int) -> Pin:
        """A pin on ISA interrupt line `number`. Raises RealizeError if another ISA device has it."""
        return self.machine.isa.claim(number, self)

    def _claim(self, container: Container, region: Region, base: int, what: str, priority: int) -> None:
        end = base + region.size
        if base < 0 or end > container.size:
            raise RealizeError(f"{self.id}: {what} {base:#x} to {end - 1:#x} lie outside the machine")
        for child in container.children:
            overlaps = child.offset < end and base < child.offset + child.region.size
            if overlaps and child.priority == priority:
                other = child.region.owner.id if child.region.owner else child.region.name
                at = f"{child.offset:#x} to {child.offset + child.region.size - 1:#x}"
                raise RealizeError(
                    f"{self.id}: {what} {base:#x} to {end - 1:#x} ({format_size(region.size)}) "
                    f"overlap {at}, which {other} has"
                )
        container.add(base, region, priority)
        self._claims.append((container, region))

    def regions(self) -> list[Io]:
        """Every bank of the device and its parts, and whatever else it claimed, but for memory."""
        found = [region for _, region in self._claims if isinstance(region, Io) and not isinstance(region, BankRegion)]
        for component in self.components():
            banks = (vars(component)[bank.name] for bank in component.bank_specs)
            found.extend(bank for bank in banks if isinstance(bank, Io))
        return found

    def components(self) -> list[Component]:
        """The device, its parts, and theirs."""
        found: list[Component] = [self]
        for component in found:
            found.extend(part for _, part in component.parts())
        return found

    def ram_blocks(self) -> list[RamBlock]:
        """The memory that is the device's: what it claimed, and what it holds as attributes, mapped or not."""
        held = [region for _, region in self._claims]
        for component in self.components():
            for value in vars(component).values():
                held.extend(value if isinstance(value, list | tuple) else [value])
        blocks = [item.block if isinstance(item, Ram) else item for item in held]
        mine = {id(block): block for block in blocks if isinstance(block, RamBlock) and block is not self.machine.ram}
        return list(mine.values())

    # --- saved state ---------------------------------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """The device's state as plain data, with its version."""
        return {"version": self.state_version, **super().save()}

    def load(self, saved: dict[str, Any]) -> None:
        """Takes over what `save` gave. Raises SouthbridgeError, having changed nothing, if it isn't valid here."""
        super().load(self._unversioned(saved))
        self.loaded()

    def check_saved(self, saved: dict[str, Any]) -> None:
        """Raises SouthbridgeError if `load` wouldn't take `saved`."""
        self._check(self._unversioned(saved))

    def _unversioned(self, saved: dict[str, Any]) -> dict[str, Any]:
        """A saved state without its version, which must be ours."""
        contents = dict(saved) if isinstance(saved, dict) else {}
        version = contents.pop("version", None)
        if version != self.state_version:
            raise SouthbridgeError(
                f"saved state of {self.id}: version {version!r}; {type(self).__name__} takes {self.state_version}"
            )
        return contents
