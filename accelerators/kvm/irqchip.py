"""KVM's interrupt controllers and timer, as the property `kernel_irqchip` says (api.rst, KVM_CREATE_IRQCHIP and
KVM_CAP_SPLIT_IRQCHIP), and the devices of the machine that they stand in for.

Global interrupts (GSIs) are numbered as on a PC: 0 to 15 are the ISA lines, which lead to the PIC and to the I/O APIC's
pins, IRQ 0 to pin 2.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from southbridge.errors import SouthbridgeError
from southbridge.hookspecs import hookimpl

from . import ioctls as k
from .structures import IrqLevel, Msi, PitConfig, ReinjectControl, RoutingEntry
from .vm import Vm

if TYPE_CHECKING:
    from southbridge.device import Device
    from southbridge.machine import Machine

PINS = 24
_CASCADE = 2
_CHIPS = (k.IRQCHIP_PIC_MASTER, k.IRQCHIP_PIC_SLAVE)


class Irqchip:
    """What of a PC's interrupt hardware KVM plays for one virtual machine."""

    def __init__(self, vm: Vm, machine: Machine, mode: str) -> None:
        """Raises SouthbridgeError if KVM can't."""
        self._vm = vm
        self._machine = machine
        self._taken: dict[str, dict[str, Any]] = {}
        try:
            if mode == "on":
                self._create_all()
            elif mode == "split" and not vm.enable(k.CAP_SPLIT_IRQCHIP, PINS):
                raise SouthbridgeError("this KVM can't split its interrupt controllers: use kernel_irqchip on or off")
        except OSError as error:
            raise SouthbridgeError(f"KVM makes no interrupt controllers: {error.strerror}") from error

    def _create_all(self) -> None:
        vm = self._vm
        vm.do(k.KVM_CREATE_IRQCHIP)
        self._route()
        vm.set(k.KVM_CREATE_PIT2, PitConfig(flags=k.PIT_SPEAKER_DUMMY))
        # Ticks that the guest was too late for are one, as the machine's own timer has it.
        with contextlib.suppress(OSError):
            vm.set(k.KVM_REINJECT_CONTROL, ReinjectControl(0))

    def _route(self) -> None:
        entries = []
        for line in range(16):
            if line != _CASCADE:
                entries.append(_pin(line, _CHIPS[line >> 3], line & 7))
                entries.append(_pin(line, k.IRQCHIP_IOAPIC, line or _CASCADE))
        entries += [_pin(line, k.IRQCHIP_IOAPIC, line) for line in range(16, PINS)]
        set_routes(self._vm, entries)

    # --- hooks ---------------------------------------------------------------------------------------------------

    @hookimpl
    def irq_set(self, line: int, level: bool) -> bool:
        """See hookspecs."""
        self._vm.set(k.KVM_IRQ_LINE, IrqLevel(line, level))
        return True

    @hookimpl
    def msi_send(self, address: int, data: int) -> bool:
        """See hookspecs."""
        self._vm.set(k.KVM_SIGNAL_MSI, Msi(address & 0xFFFF_FFFF, address >> 32, data))
        return True

    # --- offload -------------------------------------------------------------------------------------------------

    def take(self, device: Device, state: dict[str, Any]) -> bool | None:
        """KVM goes on where `device` is. None if it doesn't play that."""
        return None

    def give_back(self, device: Device) -> dict[str, Any] | None:
        """The state of `device`, as KVM has it now."""
        return None


def set_routes(vm: Vm, entries: list[RoutingEntry]) -> None:
    """These routes are all that there are from now on."""
    table = bytearray(len(entries).to_bytes(4, "little") + bytes(4))
    for entry in entries:
        table += bytes(entry)
    k.ioctl(vm.descriptor, k.KVM_SET_GSI_ROUTING, table)


def _pin(gsi: int, chip: int, pin: int) -> RoutingEntry:
    entry = RoutingEntry(gsi, k.IRQ_ROUTING_IRQCHIP)
    entry.fields[0], entry.fields[1] = chip, pin
    return entry
