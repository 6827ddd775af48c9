"""The accelerator: one virtual machine of KVM's serves one machine."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from southbridge.accelerator import Accelerator, Availability, Vcpu
from southbridge.errors import SouthbridgeError
from southbridge.hookspecs import hookimpl
from southbridge.memory.guest import FlatGuestMemory
from southbridge.memory.regions import Ram, Section
from southbridge.properties import Property
from southbridge.x86 import X86State

from . import cpuid, msrs
from . import ioctls as k
from .availability import availability
from .dirty import DirtyLogs
from .events import Events
from .irqchip import Irqchip
from .memory import Slots
from .system import System
from .timekeeping import Timekeeping
from .vcpu import KvmVcpu
from .vm import Vm

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from southbridge.cpu_models import CpuModel
    from southbridge.device import Device
    from southbridge.machine import Machine

_MCG_CAP = 0x10A
"""Ten banks of machine-check registers, and IA32_MCG_CTL: what the CPU models show."""
_TSS_ADDRESS, _IDENTITY_MAP = 0xFEFF_D000, 0xFEFF_C000
"""Four pages that Intel's VMX needs among the guest's addresses, where a PC has nothing."""
_APIC_ADDRESS, _APIC_BOOTSTRAP = 0xFEE0_0000, 1 << 8

_ALL = frozenset({"i8259", "i8254", "ioapic", "lapic"})
_OFFLOADS: dict[str, frozenset[str]] = {"on": _ALL, "split": frozenset({"lapic"}), "off": frozenset()}


class KvmAccelerator(Accelerator):
    """Linux's KVM, through /dev/kvm."""

    preference = 20

    kernel_irqchip: Literal["on", "split", "off"] = Property(
        "on",
        doc="What the kernel plays: interrupt controllers and timer (on), local APICs (split), or nothing (off).",
    )

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.offloads = _OFFLOADS[self.kernel_irqchip]
        self.kernel_lapic = "lapic" in self.offloads
        """KVM plays the local APICs."""
        self.kernel_pic = "i8259" in self.offloads
        """KVM plays the PIC: nobody here is asked for vectors."""
        self._vcpus: list[KvmVcpu] = []
        self._map_changed = True
        self._a20 = True

    # --- choice --------------------------------------------------------------------------------------------------

    @classmethod
    def availability(cls) -> Availability:
        """See Accelerator."""
        return availability()

    def check_cpu(self, model: CpuModel) -> None:
        """See Accelerator."""
        with contextlib.closing(self._system()) as system:
            cpuid.check(system, model)

    def host_cpu(self) -> CpuModel:
        """See Accelerator."""
        with contextlib.closing(self._system()) as system:
            return cpuid.host_model(system)

    def _system(self) -> System:
        try:
            return System()
        except OSError:
            raise SouthbridgeError(self.availability().reason) from None

    # --- life ----------------------------------------------------------------------------------------------------

    def attach(self, machine: Machine) -> None:
        """See Accelerator."""
        self._machine = machine
        system = self._system()
        if not self.kernel_lapic and machine.cpus.max > 1 and not machine.cpus.local_apics:
            system.close()
            raise SouthbridgeError("several CPUs need local APICs: kernel_irqchip on or split, or the device lapic")
        try:
            self.vm = Vm(system)
        except OSError as error:
            system.close()
            raise SouthbridgeError(f"KVM makes no virtual machine: {error.strerror}") from error
        try:
            self._set_up(machine)
        except BaseException:
            self.vm.close()
            raise

    def _set_up(self, machine: Machine) -> None:
        vm = self.vm
        with contextlib.suppress(OSError):  # only VMX needs them; others may refuse
            k.ioctl(vm.descriptor, k.KVM_SET_IDENTITY_MAP_ADDR, _IDENTITY_MAP.to_bytes(8, "little"))
            vm.do_large(k.KVM_SET_TSS_ADDR, _TSS_ADDRESS)
        self._slots = Slots(vm, machine.cpu.physical_bits)
        self._map_changed = True
        self.held_msrs = msrs.held(machine.cpu.features, cpuid.is_paravirtual(machine.cpu))
        msrs.filter_to(vm, self.held_msrs, self.kernel_lapic)
        self._irqchip = Irqchip(vm, machine, self.kernel_irqchip, self._vcpus)
        self._timekeeping = Timekeeping(vm)
        self._dirty = DirtyLogs(vm, self._slots)
        self.events = Events(vm, machine)
        self._ports_followed = _PortsChanged(self._memory_map_changed)
        machine.ports.add_listener(self._ports_followed)
        memory = FlatGuestMemory(machine.memory)
        self.memory_read = memory.memory_read
        self.memory_write = memory.memory_write
        self.memory_write_several = memory.memory_write_several
        self.memory_map = memory.memory_map
        self.memory_unmap = memory.memory_unmap
        # Only who plays an interrupt controller takes part in these: hooks with one implementation are fast.
        if self.kernel_pic:
            self.irq_set = self._irqchip.irq_set
            self.irq_eventfd = self._irqchip.irq_eventfd
        if self.kernel_lapic:
            self.msi_send = self._irqchip.msi_send
            if not self.kernel_pic:
                self.level_routes_changed = self._irqchip.level_routes_changed

    def detach(self) -> None:
        """See Accelerator."""
        for name in ("irq_set", "irq_eventfd", "msi_send", "level_routes_changed"):
            vars(self).pop(name, None)
        self._machine.ports.remove_listener(self._ports_followed)
        with self._machine.lock:
            self.events.close()
        self.vm.close()

    def create_vcpu(self, index: int) -> Vcpu:
        """See Accelerator."""
        limit = self.vm.check(k.CAP_MAX_VCPUS) or self.vm.check(k.CAP_NR_VCPUS) or 4
        if index >= limit:
            raise SouthbridgeError(f"KVM has at most {limit} CPUs here")
        try:
            vcpu = KvmVcpu(self, self._machine, index)
        except OSError as error:
            raise SouthbridgeError(f"KVM makes no CPU number {index}: {error.strerror}") from error
        self._vcpus.append(vcpu)
        return vcpu

    # --- for the vCPUs -------------------------------------------------------------------------------------------

    def forget(self, vcpu: KvmVcpu) -> None:
        """`vcpu` is closed."""
        if vcpu in self._vcpus:
            self._vcpus.remove(vcpu)

    def catch_up(self) -> None:
        """The virtual machine follows what changed. With the lock held, before a CPU enters the guest."""
        if self._map_changed:
            self._map_changed = False
            memory, ports = self._machine.memory.sections, self._machine.ports.sections
            self._slots.follow(memory, self._a20)
            self.events.follow(memory, ports)

    def completed(self, state: X86State, index: int) -> X86State:
        """`state` with what a local APIC has of it, or the lack of one."""
        state = dataclasses.replace(state, msrs=dict(state.msrs))
        local_apic = self._machine.cpus.local_apics.get(index)
        if local_apic is not None:
            state.msrs[msrs.MSR_APIC_BASE] = local_apic.base
            state.cr8 = local_apic.cr8
        else:
            # Not enabled: CPUID hides it then, and what KVM has passes the PIC's interrupts on.
            state.msrs[msrs.MSR_APIC_BASE] = _APIC_ADDRESS | (0 if index else _APIC_BOOTSTRAP)
        return state

    def set_a20(self, enabled: bool) -> None:
        """The A20 gate, by a state that is loaded or by the machine."""
        if enabled != self._a20:
            self._a20 = enabled
            self._memory_map_changed()

    def set_up_machine_check(self, descriptor: int) -> None:
        """A vCPU has the machine-check registers that the CPU models show."""
        with contextlib.suppress(OSError):
            k.ioctl(descriptor, k.KVM_X86_SETUP_MCE, _MCG_CAP.to_bytes(8, "little"))

    # --- hooks ---------------------------------------------------------------------------------------------------

    @hookimpl
    def memory_region_added(self, section: Section) -> None:
        """See hookspecs."""
        self._memory_map_changed()

    @hookimpl
    def memory_region_removed(self, section: Section) -> None:
        """See hookspecs."""
        self._memory_map_changed()

    def _memory_map_changed(self) -> None:
        if not self._map_changed:
            self._map_changed = True
            for vcpu in self._vcpus:
                vcpu.attend()

    @hookimpl
    def a20_changed(self, enabled: bool) -> None:
        """See hookspecs."""
        for vcpu in self._vcpus:
            vcpu.set_a20(enabled)
        self.set_a20(enabled)

    @hookimpl
    def dirty_log_start(self, region: Ram) -> bool:
        """See hookspecs."""
        self.catch_up()
        self._dirty.start(region)
        return True

    @hookimpl
    def dirty_log_stop(self, region: Ram) -> bool:
        """See hookspecs."""
        self._dirty.stop(region)
        return True

    @hookimpl
    def dirty_log_sync(self, region: Ram) -> npt.NDArray[np.bool_] | None:
        """See hookspecs."""
        self.events.flush()  # stores to where memory is a device's
        return self._dirty.sync(region) if self._dirty.logs(region) else None

    @hookimpl
    def machine_paused(self, machine: Machine) -> None:
        """See hookspecs."""
        self._timekeeping.pause(self._vcpus)

    @hookimpl
    def machine_resumed(self, machine: Machine) -> None:
        """See hookspecs."""
        self._timekeeping.resume()

    @hookimpl
    def offload_device(self, device: Device, state: dict[str, Any]) -> bool | None:
        """See hookspecs."""
        return self._irqchip.take(device, state)

    @hookimpl
    def reclaim_device(self, device: Device) -> dict[str, Any] | None:
        """See hookspecs."""
        return self._irqchip.give_back(device)


class _PortsChanged:
    """Follows the ports, which may have doorbells."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def region_added(self, section: Section) -> None:
        """See SpaceListener."""
        self._changed()

    def region_removed(self, section: Section) -> None:
        """See SpaceListener."""
        self._changed()
