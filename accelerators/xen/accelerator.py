"""The accelerator: the device model of one domain."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Literal

from southbridge.accelerator import Accelerator, Availability, Vcpu
from southbridge.errors import SouthbridgeError
from southbridge.hookspecs import hookimpl
from southbridge.life import ShutdownReason
from southbridge.memory.regions import Ram, Section
from southbridge.properties import Property, Size

from .dirty import DirtyLog
from .hypervisor import Hypervisor, ShutdownCode, Space
from .interrupts import Interrupts
from .lifecycle import Lifecycle
from .mapcache import BUCKET, BUDGET, MapCache
from .memory import DomainMemory
from .ranges import Ranges
from .server import Server
from .topology import Topology
from .vcpu import XenVcpu

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from southbridge.device import Device
    from southbridge.machine import Machine

log = logging.getLogger(__name__)

DOMAIN_VARIABLE = "XEN_DOMAIN_ID"
"""Where Xen's toolstack says which domain a device model is for."""

_SLEEP_STATE, _SUSPENDED = 14, 3
"""HVM_PARAM_ACPI_S_STATE, and S3."""

_HOOKS = (
    "memory_read",
    "memory_write",
    "memory_map",
    "memory_unmap",
    "irq_set",
    "pci_irq_set",
    "pci_links_changed",
    "msi_send",
)


class XenAccelerator(Accelerator):
    """Xen: serves a domain that the toolstack made, and whose CPUs and memory Xen has."""

    automatic = False
    cpus_are_sockets = True  # libxl plugs in CPU n as socket n

    hypervisor: Literal["xen", "simulated"] = Property(
        "xen", doc="The real one, or one within this process, for development and tests."
    )
    domain: int | None = Property(
        None, ge=1, le=0x7FEF, doc=f"The domain's number; by default the environment's {DOMAIN_VARIABLE}."
    )
    cpu: str = Property("unicorn", doc="Simulated: the accelerator that runs the guest's CPUs, or `auto`.")
    bucket: Size = Property(BUCKET, ge=4096, doc="How much of guest memory is mapped at a time; a power of two.")
    budget: Size = Property(BUDGET, ge=4096, doc="How much of guest memory is mapped at most.")
    restrict: bool = Property(False, doc="Gives up access to other domains once everything is open.")

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._simulated = self.hypervisor == "simulated"
        if self.bucket & self.bucket - 1 or self.budget < self.bucket:
            raise SouthbridgeError("a bucket is a power of two, and the budget allows at least one")
        if self._simulated:
            from .simulated import OFFLOADS

            self.offloads = OFFLOADS
        else:
            from .libraries import OFFLOADS as XENS

            self.offloads = XENS
            self.resets = False
        self._vcpus: list[XenVcpu] = []
        self._inside = 0
        self._taken: dict[str, dict[str, Any]] = {}
        self._domain: Hypervisor | None = None

    @classmethod
    def availability(cls) -> Availability:
        """See Accelerator."""
        from .libraries import availability

        real = availability()
        return real if real.usable else Availability(True, f"simulated only: {real.reason}", preferred=False)

    # --- life ----------------------------------------------------------------------------------------------------

    def attach(self, machine: Machine) -> None:
        """See Accelerator."""
        self._machine = machine
        self._inside = 0
        domain = self._domain = self._connect(machine)
        try:
            self._set_up(machine, domain)
        except OSError as error:
            domain.close()
            raise SouthbridgeError(f"domain {domain.domid} can't be served: {error.strerror}") from error
        except BaseException:
            domain.close()
            raise

    def _connect(self, machine: Machine) -> Hypervisor:
        if self._simulated:
            from .simulated import open_domain as open_simulated

            return open_simulated(machine, self.cpu)
        from .libraries import availability, open_domain

        found = availability()
        if not found.usable:
            raise SouthbridgeError(found.reason)
        number = self.domain
        if number is None:
            text = os.environ.get(DOMAIN_VARIABLE, "")
            if not text.isdecimal():
                raise SouthbridgeError(f"which domain? Say it by `domain`, or in the environment's {DOMAIN_VARIABLE}")
            number = int(text)
        try:
            return open_domain(number)
        except OSError as error:
            raise SouthbridgeError(f"domain {number}: {error.strerror}") from error

    def _set_up(self, machine: Machine, domain: Hypervisor) -> None:
        self.cache = MapCache(domain.memory, bucket=self.bucket, budget=self.budget)
        memory = self._memory = DomainMemory(machine.memory, machine.ram, self.cache)
        self.dirty = DirtyLog(domain.device_model, memory)
        self._topology = Topology(machine, domain, self.cache)
        self.lifecycle = Lifecycle(machine, domain, tells=not self.restrict, log_dirty=self.dirty.report)
        self.server = Server(
            machine, domain, memory, self.cache, failed=self._failed, time_offset=self.lifecycle.time_offset
        )
        self._ranges = Ranges(machine, domain.device_model, self.server.id, self.offloads)
        self._ranges.follow()
        if domain.exchange is not None:
            self.dirty.report(True)  # those who run CPUs may have translated what devices write over
            domain.exchange.on_shutdown = lambda cpu: self._vcpus[cpu].shut_down()
            domain.exchange.on_failure = lambda cpu, error: self._vcpus[cpu].fail(error)
        machine.services.append(self.lifecycle)
        machine.confinements.append(self._confine)
        hooks = Interrupts(domain.device_model)
        for name in _HOOKS:
            setattr(self, name, getattr(memory if name.startswith("memory") else hooks, name))

    def detach(self) -> None:
        """See Accelerator."""
        self._close()
        for name in _HOOKS:
            vars(self).pop(name, None)
        if self.lifecycle in self._machine.services:
            self._machine.services.remove(self.lifecycle)
        if self._confine in self._machine.confinements:
            self._machine.confinements.remove(self._confine)

    def _close(self) -> None:
        if self._domain is not None:
            self.server.close()
            with self._machine.lock:
                self._ranges.leave()
                self.cache.invalidate()
                self._topology.close()
            self._domain.close()
            self._domain = None

    def create_vcpu(self, index: int) -> Vcpu:
        """See Accelerator."""
        assert self._domain is not None
        vcpu = XenVcpu(self, index, self._domain.exchange)
        self._vcpus.append(vcpu)
        return vcpu

    def _confine(self) -> None:
        if self.restrict and self._domain is not None:
            try:
                self._domain.restrict()
            except OSError as error:
                raise SouthbridgeError(f"domain {self._domain.domid}: {error.strerror}") from error

    def _failed(self, error: Exception) -> None:
        """The ioreq server's thread ended."""
        if isinstance(error, OSError):
            error = SouthbridgeError(f"the hypervisor: {error.strerror}")
        for vcpu in self._vcpus[:1]:
            self._machine.vcpu_failed(vcpu, error)

    # --- for the vCPUs -------------------------------------------------------------------------------------------

    def entered(self) -> None:
        """A CPU runs: requests are served."""
        with self._machine.lock:
            self._inside += 1
            if self._inside == 1:
                self.server.serve()

    def left(self) -> None:
        """It no longer does."""
        with self._machine.lock:
            self._inside -= 1
            if not self._inside:
                self.server.hold()

    def forget(self, vcpu: XenVcpu) -> None:
        """`vcpu` is closed."""
        if vcpu in self._vcpus:
            self._vcpus.remove(vcpu)

    # --- hooks ---------------------------------------------------------------------------------------------------

    @hookimpl
    def memory_region_added(self, section: Section) -> None:
        """See hookspecs."""
        if section.ram is None or not self._topology.add(section):
            self._ranges.add(Space.MEMORY, section)

    @hookimpl
    def memory_region_removed(self, section: Section) -> None:
        """See hookspecs."""
        if section.ram is None or not self._topology.remove(section):
            self._ranges.remove(Space.MEMORY, section)

    @hookimpl
    def a20_changed(self, enabled: bool) -> None:
        """See hookspecs."""
        if self._domain is not None and self._domain.exchange is not None:
            self._domain.exchange.set_a20(enabled)

    @hookimpl
    def dirty_log_start(self, region: Ram) -> bool | None:
        """See hookspecs."""
        return self.dirty.start(region)

    @hookimpl
    def dirty_log_stop(self, region: Ram) -> bool | None:
        """See hookspecs."""
        return self.dirty.stop(region)

    @hookimpl
    def dirty_log_sync(self, region: Ram) -> npt.NDArray[np.bool_] | None:
        """See hookspecs."""
        places = (section for section in self._machine.memory.sections if section.region is region)
        place = next((section for section in places if self._topology.frame_of(section) is not None), None)
        return self.dirty.sync(region, place)

    @hookimpl
    def offload_device(self, device: Device, state: dict[str, Any]) -> bool | None:
        """See hookspecs. The real Xen's devices have been there since the domain was made."""
        if device.platform not in self.offloads or self._domain is None:
            return None
        if self._domain.exchange is not None:
            self._domain.exchange.take(device.platform, state)
        self._taken[device.id] = state
        return True

    @hookimpl
    def reclaim_device(self, device: Device) -> dict[str, Any] | None:
        """See hookspecs."""
        state = self._taken.pop(device.id, None)
        if state is not None and self._domain is not None and self._domain.exchange is not None:
            return self._domain.exchange.give(device.platform)
        return state

    @hookimpl
    def machine_resumed(self, machine: Machine) -> None:
        """See hookspecs."""
        self.lifecycle.running()

    @hookimpl
    def machine_paused(self, machine: Machine) -> None:
        """See hookspecs."""
        self.lifecycle.paused()

    @hookimpl
    def machine_suspended(self, machine: Machine) -> None:
        """See hookspecs."""
        if self._domain is not None and self._domain.control is not None:
            try:
                self._domain.control.set_parameter(_SLEEP_STATE, _SUSPENDED)
            except OSError as error:
                log.error("the domain can't sleep: %s", error.strerror)

    @hookimpl
    def machine_stopped(self, machine: Machine, reason: ShutdownReason) -> None:
        """See hookspecs."""
        self._end_domain(reason)
        self._close()

    @hookimpl
    def machine_switched_off(self, machine: Machine, reason: ShutdownReason) -> None:
        """See hookspecs."""
        self._end_domain(reason)

    def _end_domain(self, reason: ShutdownReason) -> None:
        """What follows on the domain's end is the toolstack's business."""
        code = _CODES.get(reason)
        if self._domain is not None and code is not None:
            try:
                self._domain.device_model.shutdown(code)
            except OSError as error:
                log.error("the domain can't be ended: %s", error.strerror)

    @hookimpl
    def dirty_log_everywhere(self, machine: Machine, enabled: bool) -> None:
        """See hookspecs."""
        self.dirty.report(enabled)

    @hookimpl
    def register_monitor_commands(self, machine: Machine) -> dict[str, Any]:
        """See hookspecs."""

        def query_mapcache() -> dict[str, Any]:
            """How the mapping of guest memory does: accesses, what is mapped, what was refused."""
            found = vars(self.cache.statistics) | {"hit-rate": self.cache.statistics.hit_rate}
            return {name.replace("_", "-"): value for name, value in found.items()}

        return {"query-mapcache": query_mapcache}

    @hookimpl
    def monitor_info(self, topic: str) -> str | None:
        """How the mapping of guest memory does."""
        if topic != "accelerator":
            return None
        told = [f"{name.replace('_', ' ')} {value}" for name, value in vars(self.cache.statistics).items()]
        return f"mapcache: {', '.join(told)}; {self.cache.statistics.hit_rate:.2%} hits"


_CODES = {
    ShutdownReason.GUEST_SHUTDOWN: ShutdownCode.POWEROFF,
    ShutdownReason.GUEST_HIBERNATE: ShutdownCode.POWEROFF,
    ShutdownReason.GUEST_RESET: ShutdownCode.REBOOT,
    ShutdownReason.GUEST_PANIC: ShutdownCode.CRASH,
}
