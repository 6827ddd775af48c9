"""The 8254 and port 61h: struct kvm_pit_state2.

KVM keeps a channel as its initial count and the time when that was loaded; the machine's model as what is left of it.
Between the two stands the number of pulses since the load, from which both follow.

KVM's channel 0 begins a new period whenever its state is set, and doesn't tell when its period began. So whoever hands
it over sets it again when the period that was under way ends (`Handover`), and remembers that moment.
"""

from __future__ import annotations

import copy
from typing import Any

from .. import ioctls as k
from ..structures import PitChannel, PitState2

PULSES, NANOSECONDS = 105, 88_000
"""The PC's timer clock is 14.31818 MHz, divided by 12: 105 pulses in 88 microseconds."""

_WORD = 3
_LSB_LATCHED, _MSB_LATCHED, _WORD_LATCHED = 1, 2, 3
_SECOND_BYTE = 4
"""KVM's states of a two-byte access."""
_IDLE = 0xFF
"""KVM's own mode for a counter that nobody programmed: it doesn't count."""
_PERIODIC = (2, 3)
_GATED = (0, 2, 3, 4)
_SPEAKER_CHANNEL = 2


def pulses(nanoseconds: int) -> int:
    """Whole pulses in that time."""
    return nanoseconds * PULSES // NANOSECONDS


def duration(count: int) -> int:
    """Nanoseconds that so many pulses take."""
    return -(-count * NANOSECONDS // PULSES)


def to_kvm(saved: dict[str, Any], now: int, monotonic: int) -> PitState2:
    """`now` is the machine clock's time of the moment that the host's monotonic clock calls `monotonic`."""
    pit = PitState2()
    for index in range(3):
        counter = saved["parts"][f"counters[{index}]"]
        channel, elapsed = _channel(counter, now)
        if index == 0 and channel.mode not in (*_PERIODIC, _IDLE):
            # It fires when the count given now has passed: what is left.
            channel.count = max(channel.count - elapsed, 1) if elapsed < channel.count else channel.count
        channel.count_load_time = monotonic - duration(elapsed)
        pit.channels[index] = channel
    if saved["registers"]["NMISC"] & 2:
        pit.flags |= k.PIT_FLAGS_SPEAKER_DATA_ON
    return pit


def from_kvm(pit: PitState2, before: dict[str, Any], now: int, elapsed: list[int]) -> dict[str, Any]:
    """The state of what was `before` when KVM took it over; `elapsed` are the pulses since each channel was loaded."""
    saved = copy.deepcopy(before)
    for index in range(3):
        _counter(saved["parts"][f"counters[{index}]"], pit.channels[index], now, elapsed[index])
    gate, speaker = pit.channels[_SPEAKER_CHANNEL].gate & 1, bool(pit.flags & k.PIT_FLAGS_SPEAKER_DATA_ON)
    saved["registers"]["NMISC"] = saved["registers"]["NMISC"] & ~3 | gate | speaker << 1
    saved["timers"] = {}
    rise = _next_rise(saved["parts"]["counters[0]"]["parts"]["element"]["state"])
    if rise is not None:
        saved["timers"]["tick"] = {"deadline": max(-(-rise * NANOSECONDS // PULSES), 0), "arguments": {}}
    return saved


def period(channel: PitChannel) -> int | None:
    """Nanoseconds from tick to tick, if it ticks."""
    return duration(channel.count) if channel.mode in _PERIODIC else None


def same_programming(one: PitChannel, other: PitChannel) -> bool:
    """Whether nobody programmed the channel anew (or just as it was) between the two."""
    return (one.count, one.mode, one.bcd) == (other.count, other.mode, other.bcd)


# --- one counter -----------------------------------------------------------------------------------------------------


def _channel(counter: dict[str, Any], now: int) -> tuple[PitChannel, int]:
    """KVM's channel, and the pulses since its count was loaded."""
    state, element = counter["state"], counter["parts"]["element"]["state"]
    access, latched = state["access"], state["latched_count"]
    count_latched = 0
    if latched is not None:
        count_latched = _MSB_LATCHED if state["msb_next"] else access
    channel = PitChannel(
        count=min(element["initial"], 0x1_0000),
        latched_count=latched or 0,
        count_latched=count_latched,
        status_latched=state["latched_status"] is not None,
        status=state["latched_status"] or 0,
        read_state=_SECOND_BYTE if state["msb_next"] and latched is None else access,
        write_state=access if state["first_byte"] is None else _SECOND_BYTE,
        write_latch=state["first_byte"] or 0,
        rw_mode=access,
        mode=element["mode"],
        bcd=element["decimal"],
        gate=element["gate"],
    )
    if not element["written"]:
        channel.mode = _IDLE
        return channel, 0
    return channel, _elapsed(element, pulses(now))


def _elapsed(element: dict[str, Any], pulse: int) -> int:
    """Pulses since the count was loaded, at `pulse`."""
    steps: int = max(pulse - element["pulse"], 0)
    initial: int = element["initial"]
    if element["load_next"]:
        return max(steps - 1, 0)
    if not element["counting"]:
        return 0
    if element["mode"] == 3:
        rest = element["count"] // 2 + (element["odd"] and element["output"])
        done: int = (initial + 1) // 2 - rest if element["output"] else initial - rest
    elif element["expired"]:
        done = initial + (-element["count"] % (10_000 if element["decimal"] else 0x1_0000))
    else:
        done = initial - element["count"]
    if not element["gate"] and element["mode"] in _GATED:
        steps = 0
    return max(done, 0) + steps


def _counter(counter: dict[str, Any], channel: PitChannel, now: int, elapsed: int) -> None:
    """Puts KVM's channel into the saved state of a counter."""
    state, element = counter["state"], counter["parts"]["element"]["state"]
    mode = channel.mode
    element |= {"pulse": pulses(now), "gate": bool(channel.gate)}
    latched = channel.count_latched
    state |= {
        "access": channel.rw_mode & 3 or _WORD,
        "first_byte": channel.write_latch if channel.write_state == _SECOND_BYTE else None,
        "latched_count": channel.latched_count if latched else None,
        "latched_status": channel.status if channel.status_latched else None,
        "msb_next": channel.rw_mode == _WORD
        and (latched == _MSB_LATCHED if latched else channel.read_state == _SECOND_BYTE),
    }
    if mode == _IDLE:
        return
    initial = channel.count or 0x1_0000
    if state["mode_bits"] & 3 != mode & 3 or state["mode_bits"] < 4:
        state["mode_bits"] = mode
    element |= {
        "mode": mode,
        "decimal": bool(channel.bcd),
        "initial": initial,
        "written": True,
        "counting": True,
        "load_next": False,
        "null_count": False,
        "expired": False,
        "odd": False,
    }
    if mode == 3:
        _square_wave(element, initial, elapsed % initial)
    elif mode == 2:
        element["count"] = initial - elapsed % initial
        element["output"] = element["count"] != 1
    else:
        element["expired"] = elapsed >= initial
        modulus = 10_000 if channel.bcd else 0x1_0000
        element["count"] = (initial - elapsed) % modulus if elapsed >= initial else initial - elapsed
        element["output"] = elapsed >= initial if mode < 2 else elapsed != initial


def _square_wave(element: dict[str, Any], initial: int, elapsed: int) -> None:
    """Mode 3: its output is high for the first half of the period, the longer one of an odd count."""
    high = (initial + 1) // 2
    element["odd"] = bool(initial & 1)
    element["output"] = elapsed < high
    rest = high - elapsed if elapsed < high else initial - elapsed
    element["count"] = 2 * (rest - (element["odd"] and element["output"]))


def _next_rise(element: dict[str, Any]) -> int | None:
    """The pulse with which OUT goes high next, of an element that is up to date."""
    mode: int = element["mode"]
    count: int = element["count"]
    pulse: int = element["pulse"]
    if not element["counting"] or element["expired"] or (not element["gate"] and mode in _GATED):
        return None
    if mode == 3:
        rest = count // 2 + (element["odd"] and element["output"])
        rise = pulse + rest + (element["initial"] // 2 if element["output"] else 0)
    else:
        rise = pulse + count + (mode > 3)
    return max(int(rise), pulse + 1)
