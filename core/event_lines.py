"""ISA interrupt lines that are raised through event descriptors, by threads that don't hold the machine's lock.

    machine.event_lines.bind(descriptor, 5)     # each signal is an edge on IRQ 5

The accelerator takes a descriptor while it plays the interrupt controllers (hook `irq_eventfd`), so that the interrupt
reaches the guest without passing through this process's code. Otherwise a thread raises the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import SouthbridgeError
from .eventfds import EventWatch
from .interrupts import Pin

if TYPE_CHECKING:
    from .machine import Machine


class EventLines:
    """The bindings of one machine. Called with its lock held."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._watch = EventWatch(machine.lock, "interrupt events")
        self._lines: dict[int, tuple[int, Pin]] = {}
        """Line and pin of each descriptor."""
        self._given: set[int] = set()
        """Descriptors that the accelerator has."""

    def bind(self, descriptor: int, line: int) -> None:
        """Each signal of `descriptor`, a non-blocking eventfd, is an edge on ISA line `line` from now on.

        Raises SouthbridgeError if it is bound already.
        """
        if descriptor in self._lines:
            bound = self._lines[descriptor][0]
            raise SouthbridgeError(f"event descriptor {descriptor} is bound to IRQ {bound} already")
        self._lines[descriptor] = line, self._machine.isa.wires[line].pin()
        if not self._give(descriptor):
            self._watch.add(descriptor, lambda: self._edge(descriptor))

    def unbind(self, descriptor: int) -> None:
        """It no longer is one."""
        if descriptor in self._lines:
            self._take_back(descriptor)
            self._watch.remove(descriptor)
            self._lines.pop(descriptor)[1].set(False)

    def offload(self) -> None:
        """The accelerator plays the interrupt controllers now: whatever it takes is its."""
        for descriptor in self._lines:
            if self._give(descriptor):
                self._watch.remove(descriptor)
                self._lines[descriptor][1].set(False)

    def reclaim(self) -> None:
        """It is about to stop playing them."""
        for descriptor in list(self._given):
            self._take_back(descriptor)
            self._watch.add(descriptor, lambda descriptor=descriptor: self._edge(descriptor))  # type: ignore[misc]

    def close(self) -> None:
        """Ends all of them."""
        for descriptor in list(self._lines):
            self.unbind(descriptor)
        self._watch.close()

    def _give(self, descriptor: int) -> bool:
        line, _ = self._lines[descriptor]
        if self._machine.hooks.call.irq_eventfd(descriptor=descriptor, line=line, bound=True):
            self._given.add(descriptor)
        return descriptor in self._given

    def _take_back(self, descriptor: int) -> None:
        if descriptor in self._given:
            self._given.remove(descriptor)
            line, _ = self._lines[descriptor]
            self._machine.hooks.call.irq_eventfd(descriptor=descriptor, line=line, bound=False)

    def _edge(self, descriptor: int) -> None:
        """The line rises, and stays up: an 8259A forgets a request that goes away before it is acknowledged."""
        pin = self._lines[descriptor][1]
        pin.set(False)
        pin.set(True)
