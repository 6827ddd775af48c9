"""The guest's CPUs, run by an accelerator of this project's within the inner machine."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

from southbridge.accelerator import Vcpu
from southbridge.errors import SouthbridgeError
from southbridge.exchange import join
from southbridge.life import ResetReason
from southbridge.machine import Machine
from southbridge.vcpus import VcpuThread
from southbridge.x86 import X86State

from .platform import Inner, Platform

log = logging.getLogger(__name__)

_APIC_BASE = 0x1B
_REGISTERS_OF_THE_APIC = (_APIC_BASE, 0x6E0)


class Cpus:
    """See hypervisor.Exchange. `give_up` ends the waiting of CPUs whose requests nobody answers."""

    on_shutdown: Callable[[int], None]
    on_failure: Callable[[int, Exception], None]

    def __init__(self, inner: Inner, outer: Machine, platform: Platform, give_up: Callable[[], None]) -> None:
        self._inner = inner
        self._outer = outer
        self._platform = platform
        self._give_up = give_up
        self._running: set[int] = set()
        self._awake = False
        """The accelerator has what it plays itself."""
        inner.request_reset = self._shut_down  # type: ignore[method-assign]
        inner.vcpu_failed = self._failed  # type: ignore[method-assign]

    # --- executing -----------------------------------------------------------------------------------------------

    def resume(self, cpu: int) -> None:
        """See hypervisor.Exchange."""
        with self._inner.lock:
            if not self._awake:
                self._awake = True
                self._inner.offload.begin()
            if not self._running:
                self._inner.hooks.call.machine_resumed(machine=self._inner)
            self._running.add(cpu)
            self._thread(cpu).resume()

    def pause(self, cpu: int) -> None:
        """See hypervisor.Exchange."""
        thread = self._thread(cpu)
        thread.request_pause()
        try:
            thread.wait_parked()
        except SouthbridgeError:
            log.error("CPU %d waits for a device model that doesn't answer: it gets ones", cpu)
            self._give_up()
            thread.wait_parked()
        with self._inner.lock:
            self._running.discard(cpu)
            if not self._running:
                self._inner.hooks.call.machine_paused(machine=self._inner)

    def _shut_down(self, reason: ResetReason) -> None:
        self.on_shutdown(self._inner.cpus.current)

    def _failed(self, vcpu: Vcpu, error: Exception) -> None:
        self.on_failure(vcpu.index, error)

    def _thread(self, cpu: int) -> VcpuThread:
        """What runs it: made when something is first wanted of it, which may be when it is plugged in."""
        inner = self._inner
        thread = inner.cpus.thread_of(cpu)
        if thread is None:
            assert inner.accelerator is not None
            thread = VcpuThread(inner, inner.accelerator.create_vcpu(cpu))
            inner.cpus.threads = sorted([*inner.cpus.threads, thread], key=lambda thread: thread.index)
            inner.cpus.plugged[cpu] = ""
        return thread

    # --- state ---------------------------------------------------------------------------------------------------

    def save_cpu(self, cpu: int) -> X86State:
        """See hypervisor.Exchange. The machine has its local APIC back already."""
        state = self._thread(cpu).save()
        self._outer.msrs.load(self._inner.msrs.save())
        apic = self._outer.cpus.local_apics.get(cpu)
        if apic is not None:
            state.cr8, state.msrs[_APIC_BASE] = apic.cr8, apic.base
        return state

    def load_cpu(self, cpu: int, state: X86State) -> None:
        """See hypervisor.Exchange."""
        self._inner.msrs.load(self._outer.msrs.save())
        own = copy.copy(state)
        own.msrs = {number: value for number, value in state.msrs.items() if number not in _REGISTERS_OF_THE_APIC}
        self._thread(cpu).load(own)

    def tsc(self, cpu: int) -> int | None:
        """See hypervisor.Exchange."""
        counter = self._thread(cpu).vcpu.tsc()
        self._outer.tsc_hz = self._inner.tsc_hz
        return counter

    def set_tsc(self, cpu: int, value: int) -> None:
        """See hypervisor.Exchange."""
        self._thread(cpu).vcpu.set_tsc(value)

    def set_a20(self, enabled: bool) -> None:
        """See hypervisor.Exchange."""
        self._inner.hooks.call.a20_changed(enabled=enabled)

    def take(self, platform: str, state: dict[str, Any]) -> None:
        """See hypervisor.Exchange."""
        self._platform.take(platform, state)

    def give(self, platform: str) -> dict[str, Any]:
        """See hypervisor.Exchange."""
        if self._awake:
            self._awake = False
            self._inner.offload.end()
        return self._platform.give(platform)

    # --- life ----------------------------------------------------------------------------------------------------

    def attach(self, runner: Any) -> None:
        """`runner`, an accelerator, runs the CPUs."""
        runner.attach(self._inner)
        join(self._inner.hooks, runner, self._inner)
        self._inner.accelerator = runner

    def close(self) -> None:
        """The CPUs stand still, and don't go on."""
        for thread in self._inner.cpus.threads:
            thread.dismiss()
            thread.vcpu.close()
        self._inner.cpus.threads.clear()
        if self._inner.accelerator is not None:
            self._inner.accelerator.detach()
            self._inner.accelerator = None
