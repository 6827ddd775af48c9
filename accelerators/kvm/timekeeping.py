"""Time in the guest stands still while the machine does: KVM's clock is put back, as the core does with the time-stamp
counters.

A guest that uses KVM's clock is told that it was paused (KVM_KVMCLOCK_CTRL), so that it doesn't take that for a lockup.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import ioctls as k
from .structures import ClockData
from .vm import Vm

if TYPE_CHECKING:
    from .vcpu import KvmVcpu


class Timekeeping:
    """What a virtual machine's clock showed when it was paused."""

    def __init__(self, vm: Vm) -> None:
        self._vm = vm
        self._clock: int | None = None

    def pause(self, vcpus: Sequence[KvmVcpu]) -> None:
        """The vCPUs have just stopped."""
        self._clock = self.clock()
        for vcpu in vcpus:
            with contextlib.suppress(OSError):  # the guest doesn't use KVM's clock
                k.ioctl(vcpu.descriptor, k.KVM_KVMCLOCK_CTRL)

    def resume(self) -> None:
        """The vCPUs are about to go on."""
        if self._clock is not None:
            self.set_clock(self._clock)
            self._clock = None

    def clock(self) -> int:
        """Nanoseconds that the guest's KVM clock shows."""
        data = ClockData()
        self._vm.get(k.KVM_GET_CLOCK, data)
        value: int = data.clock
        return value

    def set_clock(self, value: int) -> None:
        """Sets it."""
        self._vm.set(k.KVM_SET_CLOCK, ClockData(clock=value))
