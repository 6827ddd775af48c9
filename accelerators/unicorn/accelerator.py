"""The accelerator: one engine serves one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from southbridge.accelerator import Accelerator, Availability, Vcpu
from southbridge.errors import SouthbridgeError
from southbridge.hookspecs import hookimpl
from southbridge.memory.guest import FlatGuestMemory
from southbridge.memory.ram import RamBlock
from southbridge.memory.regions import Ram, Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    from southbridge.cpu_models import CpuModel
    from southbridge.machine import Machine

    from .library import Library
    from .vcpu import UnicornVcpu


class UnicornAccelerator(Accelerator):
    """A software CPU: exact, needs no privileges, and runs wherever Unicorn does. One CPU."""

    preference = 10

    @classmethod
    def availability(cls) -> Availability:
        """See Accelerator."""
        from .library import availability

        return availability()

    def check_cpu(self, model: CpuModel) -> None:
        """See Accelerator."""
        from .cpu_model import check

        check(model)

    def attach(self, machine: Machine) -> None:
        """See Accelerator."""
        from .helpers import install
        from .library import open_library
        from .timekeeping import Rate

        cpus = len(machine.cpus.plugged)
        if cpus > 1:
            raise SouthbridgeError(
                f"accelerator unicorn has one CPU, but the machine has {cpus}: cpus must be 1, or the "
                "accelerator another one"
            )
        self._machine = machine
        self._library: Library | None = open_library()
        install(self._library)
        read = self._library.cpu_get_tsc_x86_64
        self._rate = Rate(lambda: int(read(None)))
        self._vcpu: UnicornVcpu | None = None
        self._logged: list[Ram] = []
        memory = FlatGuestMemory(machine.memory, self._wrote)
        self.memory_read = memory.memory_read
        self.memory_write = memory.memory_write
        self.memory_write_several = memory.memory_write_several
        self.memory_map = memory.memory_map
        self.memory_unmap = memory.memory_unmap

    def detach(self) -> None:
        """See Accelerator."""
        self._library = None
        self._vcpu = None

    def create_vcpu(self, index: int) -> Vcpu:
        """See Accelerator."""
        from .vcpu import UnicornVcpu

        assert self._library is not None
        if index:
            raise SouthbridgeError("accelerator unicorn has one CPU: another one needs another accelerator")
        self._vcpu = UnicornVcpu(self._machine, self._library, self._rate, index)
        self._machine.tsc_hz = self._rate.hz()
        for region in self._logged:
            self._vcpu.log_stores(region)
        return self._vcpu

    @hookimpl
    def dirty_log_start(self, region: Ram) -> bool:
        """See hookspecs."""
        if region not in self._logged:
            self._logged.append(region)
        if self._vcpu is not None:
            self._vcpu.log_stores(region)
        return True

    @hookimpl
    def dirty_log_stop(self, region: Ram) -> bool:
        """See hookspecs."""
        if region in self._logged:
            self._logged.remove(region)
            if self._vcpu is not None:
                self._vcpu.stop_log(region)
        return True

    @hookimpl
    def dirty_log_sync(self, region: Ram) -> npt.NDArray[np.bool_] | None:
        """See hookspecs."""
        if self._vcpu is not None:
            return self._vcpu.stored(region)
        return None

    @hookimpl
    def memory_region_added(self, section: Section) -> None:
        """See hookspecs."""
        if self._vcpu is not None:
            self._vcpu.memory_map_changed()

    @hookimpl
    def memory_region_removed(self, section: Section) -> None:
        """See hookspecs."""
        if self._vcpu is not None:
            self._vcpu.memory_map_changed()

    @hookimpl
    def a20_changed(self, enabled: bool) -> None:
        """See hookspecs."""
        if self._vcpu is not None:
            self._vcpu.set_a20(enabled)

    def _wrote(self, block: RamBlock, places: Sequence[tuple[int, int]]) -> None:
        if self._vcpu is not None:
            self._vcpu.overwritten(block, places)
