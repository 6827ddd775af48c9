"""The platform that the hypervisor plays: interrupt controllers and timers of this project's own, in an inner machine.

They are found by the names under which they are installed, which are those of the platform devices.
"""

from __future__ import annotations

from typing import Any, cast

from southbridge.clock import Clock, Timer
from southbridge.construct import make_device
from southbridge.device import Device
from southbridge.discovery import load
from southbridge.interrupts import Pin
from southbridge.machine import Machine

CONTROLLERS = frozenset({"i8259", "ioapic", "lapic"})
"""Devices that listen to the others' lines and messages."""
LINKS = 4


class FollowingClock(Clock):
    """Has the time of `other`, and timers of its own, which one of the other's looks after."""

    def __init__(self, other: Clock) -> None:
        super().__init__()
        self._other = other
        self._alarm = Timer(other, lambda: self._due())
        self.on_deadline = self._set_alarm

    def now(self) -> int:
        """See Clock."""
        return self._other.now()

    @property
    def running(self) -> bool:
        """See Clock."""
        return self._other.running

    def close(self) -> None:
        """No timer runs any more."""
        self.on_deadline = None
        self._alarm.cancel()

    def _set_alarm(self) -> None:
        deadline = self.deadline()
        if deadline is not None:
            self._alarm.at(deadline)

    def _due(self) -> None:
        self.run_due()
        if self.on_deadline:
            self._set_alarm()


class Inner(Machine):
    """What is within the hypervisor: the guest's CPUs and RAM, and some devices. `outer` is the machine it serves."""

    def __init__(self, outer: Machine) -> None:
        super().__init__(
            name=f"{outer.name}'s hypervisor",
            memory=outer.ram.size,
            max_cpus=outer.cpus.max,
            cpu=outer.cpu,
            clock=FollowingClock(outer.clock),
            lock=outer.lock,
            strict=outer.strict,
        )
        self._outer = outer
        self.cpus.plugged = dict(outer.cpus.plugged)
        self.ram = outer.ram
        self.a20 = outer.a20
        self.guest_errors = outer.guest_errors
        self.accelerator_choices = outer.accelerator_choices
        self.tsc_hz = outer.tsc_hz

    def post(self, request: Any) -> None:
        """See Machine."""
        self._outer.post(request)


class Platform:
    """The devices that the hypervisor plays now, and the lines that lead to them. With the lock held."""

    def __init__(self, inner: Inner, outer: Machine) -> None:
        self._inner = inner
        self._outer = outer
        self._devices: dict[str, Device] = {}
        self._taken: dict[str, dict[str, Any]] = {}
        """What each was taken with."""
        self._states: dict[str, dict[str, Any]] = {}
        """Of the devices that are still to be given back."""
        self._lines: list[Pin] = [wire.pin() for wire in inner.isa.wires]
        self._link_pins: list[Pin] = [wire.pin() for wire in inner.isa.wires]
        self._asserted: set[tuple[int, int, int]] = set()
        self._routes = [0] * LINKS
        outer.isa.on_trigger_change.append(self._triggers_changed)
        inner.isa.trigger_registers.append(outer.isa.adopt_triggers)
        self._triggers_changed()

    def close(self) -> None:
        """The outer machine is left alone."""
        self._outer.isa.on_trigger_change.remove(self._triggers_changed)

    def take(self, name: str, state: dict[str, Any]) -> None:
        """Plays the device from its saved state on."""
        if not self._devices:
            self._let_go()
            self._taken.clear()
        device = make_device(self._inner, cast("type[Device]", load("devices", name)), name)
        self._inner.plug(device)
        device.load(state)
        self._devices[name] = device
        self._taken[name] = state
        # What a device does to its lines while it is taken is no event: controllers have seen it before.
        for controller in CONTROLLERS & self._devices.keys():
            self._devices[controller].load(self._taken[controller])

    def give(self, name: str) -> dict[str, Any]:
        """No longer does: its state, as it was while all were there, since those that go let go of their lines."""
        if not self._states:
            self._states = {name: device.save() for name, device in self._devices.items()}
        self._inner.unplug(self._devices.pop(name))
        return self._states.pop(name)

    def _let_go(self) -> None:
        """Who drives the lines says so anew."""
        self._asserted.clear()
        for pin in (*self._lines, *self._link_pins):
            pin.set(False)

    def _triggers_changed(self) -> None:
        self._inner.isa.set_level_triggered(self._outer.isa.level_triggered)

    # --- lines ---------------------------------------------------------------------------------------------------

    def set_isa_line(self, line: int, level: bool) -> None:
        """An ISA interrupt line's level, as the device model has it."""
        self._lines[line].set(level)

    def set_slot_pin(self, bus: int, slot: int, pin: int, level: bool) -> None:
        """INTA# to INTD# of a PCI slot, which are rotated from slot to slot as on a PC."""
        if level:
            self._asserted.add((bus, slot, pin))
        else:
            self._asserted.discard((bus, slot, pin))
        self._drive()

    def set_link_route(self, link: int, line: int) -> None:
        """Where PIRQA# to PIRQD# lead; 0: nowhere."""
        self._routes[link] = line
        self._drive()

    def _drive(self) -> None:
        links = {(slot - 1 + pin) % LINKS for _, slot, pin in self._asserted}
        high = {self._routes[link] for link in links} - {0}
        for line, pin in enumerate(self._link_pins):
            pin.set(line in high)
