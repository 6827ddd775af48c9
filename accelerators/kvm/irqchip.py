"""KVM's interrupt controllers and timer, as the property `kernel_irqchip` says (api.rst, KVM_CREATE_IRQCHIP and
KVM_CAP_SPLIT_IRQCHIP), and the devices of the machine that they stand in for.

Global interrupts (GSIs) are numbered as on a PC: 0 to 15 are the ISA lines, which lead to the PIC and to the I/O APIC's
pins, IRQ 0 to pin 2. Line 2, where the PICs have their cascade, leads to pin 2 alone: the HPET's.
"""

from __future__ import annotations

import contextlib
from ctypes import Structure
from typing import TYPE_CHECKING, Any, TypeVar

from southbridge.errors import SouthbridgeError
from southbridge.hookspecs import hookimpl

from . import ioctls as k
from .platform import ioapic, lapic, pic
from .platform.timer import KernelTimer
from .structures import IoApicState, IrqChip, IrqFd, IrqLevel, Msi, PicState, PitConfig, ReinjectControl, RoutingEntry
from .vm import Vm

if TYPE_CHECKING:
    from southbridge.device import Device
    from southbridge.machine import Machine

    from .vcpu import KvmVcpu

PINS = 24
_CASCADE = 2
_PICS = (k.IRQCHIP_PIC_MASTER, k.IRQCHIP_PIC_SLAVE)

Chip = TypeVar("Chip", bound=Structure)


class Irqchip:
    """What of a PC's interrupt hardware KVM plays for one virtual machine."""

    def __init__(self, vm: Vm, machine: Machine, mode: str, vcpus: list[KvmVcpu]) -> None:
        """Raises SouthbridgeError if KVM can't."""
        self._vm = vm
        self._machine = machine
        self._vcpus = vcpus
        self._taken: dict[str, dict[str, Any]] = {}
        """The devices that KVM plays, with their states before."""
        self._high = 0
        """Edge-triggered ISA lines that were high when KVM took over, and weren't announced since."""
        self._timer: KernelTimer | None = None
        try:
            if mode == "on":
                self._create_all()
            elif mode == "split" and not vm.enable(k.CAP_SPLIT_IRQCHIP, PINS):
                raise SouthbridgeError("this KVM can't split its interrupt controllers: use kernel_irqchip on or off")
            if mode == "split":
                self.level_routes_changed(machine.level_routes)
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
        self._timer = KernelTimer(vm, self._machine)

    def _route(self) -> None:
        entries = []
        for line in range(16):
            if line != _CASCADE:
                entries.append(_pin(line, _PICS[line >> 3], line & 7))
            entries.append(_pin(line, k.IRQCHIP_IOAPIC, line or _CASCADE))
        entries += [_pin(line, k.IRQCHIP_IOAPIC, line) for line in range(16, PINS)]
        set_routes(self._vm, entries)

    # --- hooks ---------------------------------------------------------------------------------------------------

    @hookimpl
    def irq_set(self, line: int, level: bool) -> bool:
        """See hookspecs."""
        if self._high >> line & 1:
            # It was high before KVM took over: that is no new edge.
            self._high &= ~(1 << line)
            if level:
                return True
        self._vm.set(k.KVM_IRQ_LINE, IrqLevel(line, level))
        return True

    @hookimpl
    def msi_send(self, address: int, data: int) -> bool:
        """See hookspecs."""
        self._vm.set(k.KVM_SIGNAL_MSI, Msi(address & 0xFFFF_FFFF, address >> 32, data))
        return True

    @hookimpl
    def level_routes_changed(self, routes: dict[int, tuple[int, int]]) -> None:
        """See hookspecs. KVM reports the ends of those interrupts alone that it finds among its routes (split)."""
        set_routes(self._vm, [_message(gsi, address, data) for gsi, (address, data) in sorted(routes.items())])

    @hookimpl
    def irq_eventfd(self, descriptor: int, line: int, bound: bool) -> bool | None:
        """See hookspecs."""
        if "i8259" not in self._taken:
            return None
        self._vm.set(k.KVM_IRQFD, IrqFd(descriptor, line, 0 if bound else k.IRQFD_DEASSIGN))
        return True

    # --- offload -------------------------------------------------------------------------------------------------

    def take(self, device: Device, saved: dict[str, Any]) -> bool | None:
        """KVM goes on where `device` is. None if it doesn't play that."""
        match device.platform:
            case "i8259":
                self._set_pics(saved)
            case "ioapic":
                self._set_ioapic(saved)
            case "i8254" if self._timer is not None:
                self._timer.take(saved)
            case "lapic":
                self._set_lapics(saved)
            case _:
                return None
        self._taken[device.platform] = saved
        return True

    def give_back(self, device: Device) -> dict[str, Any] | None:
        """The state of `device`, as KVM has it now."""
        before = self._taken.pop(device.platform, None)
        match device.platform:
            case _ if before is None:
                return None
            case "i8259":
                return self._get_pics(before)
            case "ioapic":
                return ioapic.from_kvm(self._chip(k.IRQCHIP_IOAPIC, IoApicState), before, self._lines())
            case "i8254" if self._timer is not None:
                return self._timer.give_back()
            case "lapic":
                return self._get_lapics(before)
        return None

    def _lines(self) -> int:
        """The levels of the ISA lines."""
        return sum(wire.level << number for number, wire in enumerate(self._machine.isa.wires))

    def _set_pics(self, saved: dict[str, Any]) -> None:
        level_triggered = self._machine.isa.level_triggered
        for index, name in enumerate(pic.CHIPS):
            triggers = level_triggered >> 8 * index & 0xFF
            self._set_chip(index, pic.to_kvm(saved["parts"][name], triggers, is_master=not index))
        edges = sum(saved["parts"][name]["state"]["lines"] << 8 * n for n, name in enumerate(pic.CHIPS))
        self._high = edges & ~level_triggered & ~pic.CASCADE

    def _get_pics(self, before: dict[str, Any]) -> dict[str, Any]:
        chips = [self._chip(index, PicState) for index in _PICS]
        self._machine.isa.adopt_triggers(chips[0].elcr | chips[1].elcr << 8)
        lines = self._lines()
        saved = dict(before)
        slave = pic.from_kvm(chips[1], before["parts"]["slave"], lines >> 8, False)
        cascade = bool(chips[0].irr & pic.CASCADE)
        master = pic.from_kvm(chips[0], before["parts"]["master"], lines & 0xFF & ~pic.CASCADE, cascade)
        saved["parts"] = {"master": master, "slave": slave}
        return saved

    def _set_ioapic(self, saved: dict[str, Any]) -> None:
        self._set_chip(k.IRQCHIP_IOAPIC, ioapic.to_kvm(saved))

    def _set_lapics(self, saved: dict[str, Any]) -> None:
        now = self._machine.clock.now()
        for vcpu in self._vcpus:
            apic = saved["parts"][f"apics[{vcpu.index}]"]
            vcpu.set_local_apic(lapic.to_kvm(apic, now), apic["state"]["base"], lapic.tsc_deadline(apic))

    def _get_lapics(self, before: dict[str, Any]) -> dict[str, Any]:
        now = self._machine.clock.now()
        saved = dict(before)
        saved["parts"] = dict(before["parts"])
        for vcpu in self._vcpus:
            page, base, deadline = vcpu.local_apic()
            key = f"apics[{vcpu.index}]"
            saved["parts"][key] = lapic.from_kvm(page, before["parts"][key], base, deadline, now)
        return saved

    def _set_chip(self, number: int, state: Structure) -> None:
        chip = IrqChip(number)
        data = bytes(state)
        chip.data[: len(data)] = list(data)
        self._vm.set(k.KVM_SET_IRQCHIP, chip)

    def _chip(self, number: int, kind: type[Chip]) -> Chip:
        chip = IrqChip(number)
        self._vm.get(k.KVM_GET_IRQCHIP, chip)
        return kind.from_buffer_copy(chip.data)


def set_routes(vm: Vm, entries: list[RoutingEntry]) -> None:
    """These routes are all that there are from now on."""
    table = bytearray(len(entries).to_bytes(4, "little") + bytes(4))
    for entry in entries:
        table += bytes(entry)
    k.ioctl(vm.descriptor, k.KVM_SET_GSI_ROUTING, table)


def _message(gsi: int, address: int, data: int) -> RoutingEntry:
    entry = RoutingEntry(gsi, k.IRQ_ROUTING_MSI)
    entry.fields[0], entry.fields[1], entry.fields[2] = address & 0xFFFF_FFFF, address >> 32, data
    return entry


def _pin(gsi: int, chip: int, pin: int) -> RoutingEntry:
    entry = RoutingEntry(gsi, k.IRQ_ROUTING_IRQCHIP)
    entry.fields[0], entry.fields[1] = chip, pin
    return entry
