"""The 6300ESB's watchdog: stages, the unlocking sequence, the lock, and what happens in the end."""

from __future__ import annotations

from typing import Any

import pytest
from southbridge import ResetReason, SouthbridgeError
from southbridge.testing import Bench

BAR = 0xE000_0000
PRELOAD_1, PRELOAD_2, GINTSR, RELOAD = 0x00, 0x04, 0x08, 0x0C
WDT_CONFIG, WDT_LOCK = 0x60, 0x68
LOCK, ENABLE, TOUT_CNF = 1, 2, 4
WDT_RELOAD, WDT_TIMEOUT = 0x100, 0x200
MICROSECOND, NO_OUTPUT = 0x04, 0x20
COUNT_MS = 32768 / 33_000
COUNT_US = 32 / 33

Asked = list[object]


@pytest.fixture
def asked(bench: Bench) -> Asked:
    """What the machine was asked for."""
    asked: Asked = []
    machine = bench.machine
    machine.request_reset = lambda reason: asked.append(reason)  # type: ignore[method-assign]
    machine.request_shutdown = lambda reason, status=0: asked.append(reason)  # type: ignore[method-assign]
    machine.request_powerdown = lambda: asked.append("power button")  # type: ignore[method-assign]
    machine.request_pause = lambda why="": asked.append(why)  # type: ignore[method-assign]
    machine.cpus.send_nmi = lambda cpu: asked.append(f"nmi {cpu}")  # type: ignore[method-assign]
    return asked


@pytest.fixture
def dog(bench: Bench, asked: Asked) -> Any:
    device = bench.plug("i6300esb")
    bench.place(device, "bar0", BAR)
    return device


def unlocked(bench: Bench, offset: int, value: int, size: int) -> None:
    """A write behind the sequence that makes it count."""
    bench.write_mmio(BAR + RELOAD, 0x80, 1)
    bench.write_mmio(BAR + RELOAD, 0x86, 1)
    bench.write_mmio(BAR + offset, value, size)


def start(bench: Bench, dog: Any, first: int, second: int, lock: int = ENABLE) -> None:
    unlocked(bench, PRELOAD_1, first, 4)
    unlocked(bench, PRELOAD_2, second, 4)
    bench.config_write(dog, WDT_LOCK, 1, lock)


def test_it_is_what_the_driver_looks_for(bench: Bench, dog: Any) -> None:
    assert bench.config_read(dog, 0, 4) == 0x25AB_8086
    assert bench.config_read(dog, 0x0A, 2) == 0x0880
    assert bench.config_read(dog, WDT_CONFIG, 2) == 0
    assert bench.read_mmio(BAR + PRELOAD_1) == bench.read_mmio(BAR + PRELOAD_2) == 0xF_FFFF


def test_two_stages_then_a_reset(bench: Bench, dog: Any, asked: Asked) -> None:
    start(bench, dog, 100, 50)
    bench.clock.advance(ms=100 * COUNT_MS - 0.1)
    assert bench.read_mmio(BAR + GINTSR) == 0
    bench.clock.advance(ms=0.2)
    assert bench.read_mmio(BAR + GINTSR) == 1
    bench.clock.advance(ms=50 * COUNT_MS - 0.2)
    assert asked == []
    bench.clock.advance(ms=0.2)
    assert asked == [ResetReason.WATCHDOG]
    assert bench.read_mmio(BAR + RELOAD, 2) == WDT_TIMEOUT


def test_petted_it_begins_anew(bench: Bench, dog: Any, asked: Asked) -> None:
    start(bench, dog, 100, 50)
    for _ in range(20):
        bench.clock.advance(ms=140)
        unlocked(bench, RELOAD, WDT_RELOAD, 2)
    assert asked == []
    bench.clock.advance(ms=100 * COUNT_MS + 50 * COUNT_MS + 1)
    assert asked == [ResetReason.WATCHDOG]


def test_linux_writes_the_sequence_as_words(bench: Bench, dog: Any) -> None:
    bench.write_mmio(BAR + RELOAD, 0x80, 2)
    bench.write_mmio(BAR + RELOAD, 0x86, 2)
    bench.write_mmio(BAR + PRELOAD_1, 0x1234, 4)
    assert bench.read_mmio(BAR + PRELOAD_1) == 0x1234


@pytest.mark.parametrize(
    "sequence", [[], [0x86], [0x80], [0x86, 0x80], [0x80, 0x80], [0x80, 0x85, 0x86], [0x80, 0x186]]
)
def test_a_wrong_sequence_unlocks_nothing(bench: Bench, dog: Any, asked: Asked, sequence: list[int]) -> None:
    for value in sequence:
        bench.write_mmio(BAR + RELOAD, value, 2)
    bench.write_mmio(BAR + PRELOAD_1, 5, 4)
    assert bench.read_mmio(BAR + PRELOAD_1) == 0xF_FFFF
    assert bench.guest_errors


def test_it_unlocks_one_write(bench: Bench, dog: Any) -> None:
    unlocked(bench, PRELOAD_1, 5, 4)
    bench.write_mmio(BAR + PRELOAD_2, 6, 4)
    assert bench.read_mmio(BAR + PRELOAD_1) == 5
    assert bench.read_mmio(BAR + PRELOAD_2) == 0xF_FFFF
    assert bench.guest_errors == ["i6300esb: PRELOAD_2 written without being unlocked"]


def test_reads_leave_it_unlocked(bench: Bench, dog: Any) -> None:
    """Linux's driver looks at the timeout bit in between."""
    bench.write_mmio(BAR + RELOAD, 0x80, 1)
    bench.write_mmio(BAR + RELOAD, 0x86, 1)
    bench.read_mmio(BAR + RELOAD, 2)
    bench.write_mmio(BAR + PRELOAD_1, 5, 4)
    assert bench.read_mmio(BAR + PRELOAD_1) == 5


def test_twenty_bits_are_kept(bench: Bench, dog: Any) -> None:
    unlocked(bench, PRELOAD_2, 0xFFFF_FFFF, 4)
    assert bench.read_mmio(BAR + PRELOAD_2) == 0xF_FFFF


def test_counts_of_a_microsecond(bench: Bench, dog: Any, asked: Asked) -> None:
    bench.config_write(dog, WDT_CONFIG, 2, MICROSECOND)
    start(bench, dog, 1000, 1000)
    bench.clock.advance(us=2000 * COUNT_US - 1)
    assert asked == []
    bench.clock.advance(us=2)
    assert asked == [ResetReason.WATCHDOG]


def test_disabled_it_stops(bench: Bench, dog: Any, asked: Asked) -> None:
    start(bench, dog, 100, 50)
    bench.config_write(dog, WDT_LOCK, 1, 0)
    bench.clock.advance(ms=10_000)
    assert asked == []


def test_locked_it_cannot_be_stopped(bench: Bench, dog: Any, asked: Asked) -> None:
    start(bench, dog, 100, 50, ENABLE | LOCK)
    bench.config_write(dog, WDT_LOCK, 1, 0)
    assert bench.config_read(dog, WDT_LOCK, 1) == ENABLE | LOCK
    bench.clock.advance(ms=1000)
    assert asked == [ResetReason.WATCHDOG]
    dog.reset()
    assert bench.config_read(dog, WDT_LOCK, 1) == 0


def test_enabled_twice_it_does_not_begin_anew(bench: Bench, dog: Any, asked: Asked) -> None:
    start(bench, dog, 100, 50)
    bench.clock.advance(ms=120)
    bench.config_write(dog, WDT_LOCK, 1, ENABLE)
    bench.clock.advance(ms=40)
    assert asked == [ResetReason.WATCHDOG]


def test_without_its_output_it_only_notes(bench: Bench, dog: Any, asked: Asked) -> None:
    bench.config_write(dog, WDT_CONFIG, 2, NO_OUTPUT | 3)
    start(bench, dog, 100, 50)
    bench.clock.advance(ms=1000)
    assert asked == []
    assert bench.read_mmio(BAR + RELOAD, 2) == WDT_TIMEOUT


def test_the_timeout_bit_outlasts_a_reset_until_it_is_cleared(bench: Bench, dog: Any) -> None:
    start(bench, dog, 1, 1)
    bench.clock.advance(ms=10)
    dog.reset()
    bench.place(dog, "bar0", BAR)
    assert bench.read_mmio(BAR + RELOAD, 2) == WDT_TIMEOUT
    unlocked(bench, RELOAD, WDT_TIMEOUT | WDT_RELOAD, 2)
    assert bench.read_mmio(BAR + RELOAD, 2) == 0


def test_free_running_it_runs_out_again_and_again(bench: Bench, asked: Asked) -> None:
    dog = bench.plug("i6300esb", action="pause")
    bench.place(dog, "bar0", BAR)
    start(bench, dog, 100, 50, ENABLE | TOUT_CNF)
    bench.clock.advance(ms=3 * 50 * COUNT_MS + 1)
    assert asked == ["watchdog"] * 3


@pytest.mark.parametrize("preload", [0, 1])
def test_the_shortest_period_does_not_hang_the_machine(bench: Bench, preload: int) -> None:
    dog = bench.plug("i6300esb", action="none")
    bench.place(dog, "bar0", BAR)
    bench.config_write(dog, WDT_CONFIG, 2, MICROSECOND)
    start(bench, dog, preload, preload, ENABLE | TOUT_CNF)
    bench.clock.advance(us=100)
    assert bench.read_mmio(BAR + RELOAD, 2) == WDT_TIMEOUT


@pytest.mark.parametrize(
    ("action", "what"),
    [
        ("poweroff", "guest-shutdown"),
        ("shutdown", "power button"),
        ("pause", "watchdog"),
        ("inject-nmi", "nmi 0"),
        ("none", None),
        ("debug", None),
    ],
)
def test_actions(bench: Bench, asked: Asked, action: str, what: str | None) -> None:
    dog = bench.plug("i6300esb", action=action)
    bench.place(dog, "bar0", BAR)
    start(bench, dog, 1, 1)
    bench.clock.advance(ms=10)
    assert [getattr(item, "value", item) for item in asked] == ([] if what is None else [what])


def test_without_a_power_button_the_log_says_so(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    dog = bench.plug("i6300esb", action="shutdown")
    bench.place(dog, "bar0", BAR)
    start(bench, dog, 1, 1)
    bench.clock.advance(ms=10)
    assert "i6300esb: bench has no power button" in caplog.messages


def test_other_actions_are_refused(bench: Bench) -> None:
    with pytest.raises(SouthbridgeError, match="action"):
        bench.plug("i6300esb", action="explode")


def test_saved_in_the_second_stage_it_runs_out_elsewhere(bench: Bench, dog: Any, asked: Asked) -> None:
    start(bench, dog, 100, 50)
    bench.clock.advance(ms=120)
    saved = dog.save()
    dog.reset()
    bench.clock.advance(ms=10)
    assert asked == []
    dog.load(saved)
    bench.clock.advance(ms=30)
    assert asked == [ResetReason.WATCHDOG]
