"""The local APICs: struct kvm_lapic_state, which is the page of registers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ..structures import LapicState

_PLACES = {
    "ID": 0x20,
    "VERSION": 0x30,
    "TPR": 0x80,
    "LDR": 0xD0,
    "DFR": 0xE0,
    "SVR": 0xF0,
    "ESR": 0x280,
    "ICR_LOW": 0x300,
    "ICR_HIGH": 0x310,
    "LVT_TIMER": 0x320,
    "LVT_THERMAL": 0x330,
    "LVT_PERFORMANCE": 0x340,
    "LVT_LINT0": 0x350,
    "LVT_LINT1": 0x360,
    "LVT_ERROR": 0x370,
    "INITIAL_COUNT": 0x380,
    "DIVIDE": 0x3E0,
}
_FIXED = ("VERSION",)
_CURRENT_COUNT, _DIVIDE = 0x390, 0x3E0
_BITMAPS = {"isr": 0x100, "tmr": 0x180, "irr": 0x200}
_DELIVERY_STATUS = 1 << 12
_WITH_STATUS = ("ICR_LOW", *(name for name in _PLACES if name.startswith("LVT")))
_PERIODIC = 1


def to_kvm(saved: dict[str, Any], now: int) -> LapicState:
    """`saved` is one CPU's, `now` the machine clock's time."""
    page = LapicState()
    registers, state = saved["registers"], saved["state"]
    for name, offset in _PLACES.items():
        _put(page, offset, registers[name])
    for name, offset in _BITMAPS.items():
        for word in range(8):
            _put(page, offset + 16 * word, state[name] >> 32 * word & 0xFFFF_FFFF)
    _put(page, _CURRENT_COUNT, _current(registers, saved["parts"]["timer"]["state"], now))
    return page


def from_kvm(page: LapicState, before: dict[str, Any], base: int, tsc_deadline: int, now: int) -> dict[str, Any]:
    """The state of what was `before` when KVM took it over. The event that the timer waits for is left to the model."""
    saved = copy.deepcopy(before)
    registers, state = saved["registers"], saved["state"]
    for name, offset in _PLACES.items():
        if name not in _FIXED:
            value = _get(page, offset)
            registers[name] = value & ~_DELIVERY_STATUS if name in _WITH_STATUS else value
    for name, offset in _BITMAPS.items():
        state[name] = sum(_get(page, offset + 16 * word) << 32 * word for word in range(8))
    state["base"] = base
    timer = saved["parts"]["timer"]
    count = _get(page, _CURRENT_COUNT)
    if not count and registers["INITIAL_COUNT"] and registers["LVT_TIMER"] >> 17 & 3 == _PERIODIC:
        count = 1  # within the last count of a period: 0 would be a timer that stands still
    timer["state"] |= {"count": count, "since": now, "tsc_deadline": tsc_deadline}
    timer["timers"] = {}
    return saved


def tsc_deadline(saved: dict[str, Any]) -> int:
    """IA32_TSC_DEADLINE in the saved state of one CPU's."""
    value: int = saved["parts"]["timer"]["state"]["tsc_deadline"]
    return value


def _current(registers: Mapping[str, int], timer: Mapping[str, int], now: int) -> int:
    """The timer's count, which is saved as of an earlier time. It counts with 1 GHz, divided."""
    code = registers["DIVIDE"] & 3 | registers["DIVIDE"] >> 1 & 4
    elapsed = max(now - timer["since"], 0) // (1 if code == 7 else 2 << code)
    if elapsed < timer["count"]:
        return timer["count"] - elapsed
    initial = registers["INITIAL_COUNT"]
    if registers["LVT_TIMER"] >> 17 & 3 == _PERIODIC and timer["count"] and initial:
        return initial - (elapsed - timer["count"]) % initial
    return 0


def _put(page: LapicState, offset: int, value: int) -> None:
    page.registers[offset : offset + 4] = list(value.to_bytes(4, "little"))


def _get(page: LapicState, offset: int) -> int:
    return int.from_bytes(bytes(page.registers[offset : offset + 4]), "little")
