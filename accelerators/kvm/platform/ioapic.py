"""The I/O APIC: struct kvm_ioapic_state. KVM's is an 82093AA, with version 11h."""

from __future__ import annotations

import copy
from typing import Any

from ..structures import IoApicState

_ADDRESS = 0xFEC0_0000
_REMOTE_IRR, _LEVEL, _MASK = 1 << 14, 1 << 15, 1 << 16
_KEPT = 0xFF << 56 | _MASK | _LEVEL | _REMOTE_IRR | 1 << 13 | 1 << 11 | 0x7FF
"""All of an entry but the delivery status, which is never seen."""
_TIMER_INPUT = 2


def to_kvm(saved: dict[str, Any]) -> IoApicState:
    """KVM takes an input in `irr` for one that has just risen: only level-triggered ones are there."""
    registers, state = saved["registers"], saved["state"]
    chip = IoApicState(base_address=_ADDRESS, ioregsel=registers["IOREGSEL"], id=registers["IOAPICID"] >> 24)
    for index, entry in enumerate(state["table"]):
        chip.redirection[index] = entry
        if entry & _LEVEL and state["lines"] & _lines(index):
            chip.irr |= 1 << index
    return chip


def from_kvm(chip: IoApicState, before: dict[str, Any], lines: int) -> dict[str, Any]:
    """The state of what was `before` when KVM took it over; the ISA lines are `lines` now."""
    saved = copy.deepcopy(before)
    saved["registers"] |= {"IOREGSEL": chip.ioregsel & 0xFF, "IOAPICID": (chip.id & 0xF) << 24}
    saved["state"] |= {"table": [entry & _KEPT for entry in chip.redirection], "lines": lines}
    return saved


def edges(saved: dict[str, Any]) -> int:
    """The ISA lines that lead to an edge-triggered input."""
    table = saved["state"]["table"]
    return sum(1 << line for line in range(16) if not table[line or _TIMER_INPUT] & _LEVEL)


def _lines(index: int) -> int:
    """The ISA lines that lead to an input."""
    if index == _TIMER_INPUT:
        return 1 << 0 | 1 << 2
    return 1 << index if 0 < index < 16 else 0
