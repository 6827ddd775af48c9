"""Topics about interrupts. What a controller has to say it says itself: see the hook `monitor_info`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .line import Line
from .word import Word

if TYPE_CHECKING:
    from .monitor import HumanMonitor


def _irq(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    machine = monitor.machine
    with machine.lock:
        rows = []
        for number, wire in enumerate(machine.isa.wires):
            owner = machine.isa.owner(number)
            rows.append(f"IRQ {number:2}: {'high' if wire.level else 'low '} {owner.id if owner else ''}".rstrip())
        for cpu in sorted(machine.cpus.plugged):
            controller = machine.cpus.interrupts_of(cpu)
            vector = controller.pending_vector() if controller is not None else None
            rows.append(f"CPU {cpu}: {'no vector waits' if vector is None else f'vector {vector:#04x} waits'}")
    return "\n".join(rows)


def _pic(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    machine = monitor.machine
    with machine.lock:
        said = machine.hooks.call.monitor_info(machine=machine, topic="pic")
    return "\n".join(text for text in said if text)


TOPICS = (
    Word(("irq",), "", "show the interrupt lines, and what waits for the CPUs", _irq),
    Word(("pic",), "", "show PIC state", _pic),
)
