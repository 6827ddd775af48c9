"""KVM's timer in place of the 8254, with the period that was under way (see `pit`)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from southbridge.clock import Timer

from .. import ioctls as k
from ..structures import IrqLevel, PitChannel, PitState2
from ..vm import Vm
from . import pit

if TYPE_CHECKING:
    from southbridge.machine import Machine

_IRQ = 0


class KernelTimer:
    """Of one virtual machine."""

    def __init__(self, vm: Vm, machine: Machine) -> None:
        self._vm = vm
        self._clock = machine.clock
        self._end_of_period = Timer(machine.clock, self._period_ended)
        self._given: PitChannel | None = None
        """Channel 0 as KVM got it."""
        self._began = 0
        """When one of its periods began, in the machine clock's nanoseconds."""
        self._before: dict[str, Any] = {}
        self._wire = machine.isa.wires[_IRQ]

    def take(self, saved: dict[str, Any]) -> None:
        """KVM goes on where the device is. IRQ 0 is low: KVM's own timer pulses it."""
        now = self._clock.now()
        state = pit.to_kvm(saved, now, time.monotonic_ns())
        self._follow_wire(state)
        self._vm.set(k.KVM_SET_PIT2, state)
        self._wire.on_lend.append(self._lent)
        self._vm.set(k.KVM_IRQ_LINE, IrqLevel(_IRQ, 0))
        self._before, self._given, self._began = saved, state.channels[0], now
        tick = saved["timers"].get("tick")
        period = pit.period(state.channels[0])
        if tick is not None and period is not None:
            self._began = tick["deadline"] - period
            self._end_of_period.at(tick["deadline"])

    def give_back(self) -> dict[str, Any]:
        """The device's state."""
        self._wire.on_lend.remove(self._lent)
        self._end_of_period.cancel()
        now, monotonic = self._clock.now(), time.monotonic_ns()
        state = self._state()
        elapsed = [pit.pulses(max(monotonic - channel.count_load_time, 0)) for channel in state.channels]
        elapsed[0] = pit.pulses(max(now - self._began, 0)) if self._unchanged(state) else 0
        return pit.from_kvm(state, self._before, now, elapsed)

    def _period_ended(self) -> None:
        """The period that was under way when KVM got the timer: the tick, and KVM's own periods from now on."""
        state = self._state()
        if self._unchanged(state):
            self._vm.set(k.KVM_SET_PIT2, state)
            period = pit.period(state.channels[0])
            assert period is not None
            self._began += period
            for level in () if self._wire.lent else (1, 0):
                self._vm.set(k.KVM_IRQ_LINE, IrqLevel(_IRQ, level))

    def _follow_wire(self, state: PitState2) -> None:
        """KVM's timer isn't heard while somebody else, the HPET, has IRQ 0 to itself."""
        state.flags &= ~k.PIT_FLAGS_HPET_LEGACY
        if self._wire.lent:
            state.flags |= k.PIT_FLAGS_HPET_LEGACY

    def _lent(self) -> None:
        """Another one has IRQ 0 to itself, or no longer. KVM's period begins anew with this."""
        state = self._state()
        self._follow_wire(state)
        self._vm.set(k.KVM_SET_PIT2, state)

    def _state(self) -> PitState2:
        state = PitState2()
        self._vm.get(k.KVM_GET_PIT2, state)
        return state

    def _unchanged(self, state: PitState2) -> bool:
        return self._given is not None and pit.same_programming(self._given, state.channels[0])
