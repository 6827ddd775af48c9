"""Interrupt wires: from a device's pin to whatever listens, and from there to a CPU.

A *wire* carries the wired-OR of the pins on it to its sinks. The sixteen ISA interrupt lines are wires whose sinks are
interrupt controllers; a PCI bus has four more per slot, which the chipset routes to ISA lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .errors import RealizeError
from .memory.regions import Owner

Sink = Callable[[bool], None]


class InterruptController(Protocol):
    """What drives a CPU's INTR pin."""

    def pending_vector(self) -> int | None:
        """The vector that the controller would give now, or None while it doesn't request. Has no side effect."""

    def acknowledge(self, vector: int) -> None:
        """The CPU took `vector`, which `pending_vector` gave."""


class LocalApic(InterruptController, Protocol):
    """A CPU's local APIC as the CPU itself reaches it; its registers are in memory."""

    @property
    def base(self) -> int:
        """IA32_APIC_BASE."""

    def set_base(self, value: int) -> bool:
        """The CPU writes IA32_APIC_BASE. False: #GP."""

    @property
    def cr8(self) -> int:
        """Bits 7 to 4 of the task priority."""

    @cr8.setter
    def cr8(self, value: int) -> None: ...


class Wire:
    """Carries the OR of its pins. Each sink is called with the new level when it changes."""

    __slots__ = ("_deaf", "_high", "_only", "_resting", "name", "on_lend", "sinks")

    def __init__(self, name: str) -> None:
        self.name = name
        self.sinks: list[Sink] = []
        self._deaf: dict[Sink, Callable[[], bool]] = {}
        self._resting: list[Callable[[], None]] = []
        self.on_lend: list[Callable[[], None]] = []
        """Called when `lent` changes: for an accelerator that plays one of those who aren't heard."""
        self._high = 0
        self._only: Pin | None = None

    @property
    def level(self) -> bool:
        """Whether any pin is asserted; or the one that has the wire to itself."""
        return self._high > 0 if self._only is None else self._only._asserted

    @property
    def lent(self) -> bool:
        """Whether one pin has the wire to itself."""
        return self._only is not None

    def lend(self, pin: Pin | None) -> None:
        """From now on `pin` has the wire to itself, and what the others do isn't heard; None: all have it again."""
        before = self.level
        changes = self.lent is not (pin is not None)
        self._only = pin
        if changes:
            for notify in self.on_lend:
                notify()
        after = self.level
        if after is not before:
            self._tell(after)
        self.attend()

    def pin(self) -> Pin:
        """A new pin on this wire, not asserted."""
        return Pin(self)

    def connect(self, sink: Sink, deaf: Callable[[], bool] | None = None) -> None:
        """`sink` is called with each new level, and at once if the wire is high.

        `deaf` says whether a pulse, a fall and a rise at once, would change nothing for it now. When that is over, it
        calls `attend`.
        """
        self.sinks.append(sink)
        if deaf is not None:
            self._deaf[sink] = deaf
        if self.level:
            sink(True)
        self.attend()

    def disconnect(self, sink: Sink) -> None:
        """`sink` hears no more."""
        self.sinks.remove(sink)
        self._deaf.pop(sink, None)

    def attend(self) -> None:
        """Pulses may be heard now: if they are, pins that rest go on."""
        if self._resting and self._hears_pulses:
            while self._resting:
                self._resting.pop()()

    @property
    def _hears_pulses(self) -> bool:
        deaf = self._deaf
        return not deaf or len(deaf) < len(self.sinks) or not all(is_deaf() for is_deaf in deaf.values())

    def _tell(self, level: bool) -> None:
        for sink in self.sinks:
            sink(level)


class Pin:
    """One device's output on a wire."""

    __slots__ = ("_asserted", "_resume", "_watchers", "_wire")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._asserted = False
        self._resume: Callable[[], None] | None = None
        self._watchers: tuple[Sink, ...] = ()

    @property
    def asserted(self) -> bool:
        """Whether this device asserts the line."""
        return self._asserted

    def watch(self, watcher: Sink) -> None:
        """`watcher` is called with this pin's new level from now on, whatever the others on the wire do."""
        self._watchers = (*self._watchers, watcher)
        if self._resume in self._wire._resting:
            self._wire._resting.remove(self._resume)
            self._resume()

    def give_back(self) -> None:
        """The wire is everybody's again, if this pin had it to itself."""
        if self._wire._only is self:
            self._wire.lend(None)

    def rest(self, resume: Callable[[], None]) -> bool:
        """For a device whose pin, which is asserted, only gives pulses from now on: whether it may leave them out, as
        they change nothing. `resume` is called once they would, unless the device uses the pin before.
        """
        wire = self._wire
        if self._watchers or wire._hears_pulses:
            return False
        self._resume = resume
        wire._resting.append(resume)
        return True

    def set(self, level: bool | int) -> None:
        """Asserts the line, or lets go of it."""
        level = bool(level)
        if level is self._asserted:
            return
        self._asserted = level
        for watch in self._watchers:
            watch(level)
        wire = self._wire
        if self._resume is not None:
            if self._resume in wire._resting:
                wire._resting.remove(self._resume)
            self._resume = None
        wire._high += 1 if level else -1
        heard = wire._high == level if wire._only is None else wire._only is self  # the first one up, the last one down
        if heard:
            wire._tell(level)


class IsaInterrupts:
    """The sixteen ISA interrupt lines of a PC, IRQ 0 to 15.

    Whether a line is edge- or level-triggered is the chipset's choice (ELCR); interrupt controllers ask here.
    """

    def __init__(self) -> None:
        self.wires = [Wire(f"IRQ {n}") for n in range(16)]
        self.level_triggered = 0
        """A bit mask by line: the line is level-triggered, and may be shared."""
        self.on_trigger_change: list[Callable[[], None]] = []
        self.trigger_registers: list[Callable[[int], None]] = []
        """Whoever has ELCR takes over what `adopt_triggers` gives."""
        self._claims: dict[int, Owner] = {}
        self._pins: list[tuple[Owner, Pin]] = []

    def claim(self, number: int, owner: Owner) -> Pin:
        """A pin on line `number` for an ISA device; edge-triggered lines aren't shared.

        Raises RealizeError if another ISA device has it.
        """
        if not 0 <= number < 16:
            raise RealizeError(f"{owner.id}: there is no IRQ {number}; ISA has 0 to 15")
        other = self._claims.get(number)
        if other is not None and other is not owner:
            raise RealizeError(f"{owner.id}: IRQ {number} is taken by {other.id}")
        self._claims[number] = owner
        return self.share(number, owner)

    def share(self, number: int, owner: Owner) -> Pin:
        """A pin on line `number` beside whoever claimed it, if anybody did."""
        pin = self.wires[number].pin()
        self._pins.append((owner, pin))
        return pin

    def let_go(self, owner: Owner) -> None:
        """No pin of `owner` asserts its line any more."""
        for other, pin in self._pins:
            if other is owner:
                pin.set(False)

    def release(self, owner: Owner) -> None:
        """`owner` no longer uses its lines, and lets go of them."""
        self.let_go(owner)
        for other, pin in self._pins:
            if other is owner:
                pin.give_back()
        self._pins = [(other, pin) for other, pin in self._pins if other is not owner]
        self._claims = {number: other for number, other in self._claims.items() if other is not owner}

    def pins_of(self, owner: Owner) -> list[Pin]:
        """The pins of `owner`, in the order in which it took them."""
        return [pin for other, pin in self._pins if other is owner]

    def owner(self, number: int) -> Owner | None:
        """Which ISA device has line `number`."""
        return self._claims.get(number)

    def set_level_triggered(self, mask: int) -> None:
        """Makes the lines in `mask` level-triggered, the others edge-triggered."""
        if mask != self.level_triggered:
            self.level_triggered = mask
            for notify in self.on_trigger_change:
                notify()

    def adopt_triggers(self, mask: int) -> None:
        """An interrupt controller that an accelerator played has an ELCR of its own: the guest left `mask` there."""
        for take_over in self.trigger_registers:
            take_over(mask)
        self.set_level_triggered(mask)
