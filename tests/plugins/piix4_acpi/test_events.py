"""Events, the SCI, the timer and sleep, as the datasheet and the ACPI specification have them."""

from __future__ import annotations

from typing import Any

import pytest
from southbridge import ShutdownReason
from southbridge.life import WakeReason
from southbridge.plugins.piix4_acpi.power_registers import HALF, TIMER_HZ, counts, time_of
from southbridge.testing import Bench

BASE = 0x600
PMSTS, PMEN, PMCNTRL, PMTMR, GLBSTS, GLBCTL = BASE, BASE + 2, BASE + 4, BASE + 8, BASE + 0x18, BASE + 0x28
TMROF, GBL, PWRBTN, RTC, RSM = 1 << 0, 1 << 5, 1 << 8, 1 << 10, 1 << 15
SUS_EN = 1 << 13
GPE0_STS, GPE0_EN = 0xAFE0, 0xAFE2


class Power:
    """What the device asks of the machine."""

    def __init__(self) -> None:
        self.asked: list[Any] = []


@pytest.fixture
def chip(bench: Bench) -> Any:
    chip = bench.plug("piix4_acpi", addr="01.3")
    chip.machine_set_up()
    bench.write_port(0xB2, 0xF1)
    return chip


@pytest.fixture
def asked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    asked: list[Any] = []
    monkeypatch.setattr(bench.machine.power, "request_suspend", lambda: asked.append("suspend"))
    monkeypatch.setattr(bench.machine.power, "request_wake", asked.append)
    monkeypatch.setattr(bench.machine, "request_shutdown", asked.append)
    return asked


def sci(bench: Bench) -> bool:
    return bench.machine.isa.wires[9].level


def test_registers_are_where_the_guest_puts_them(bench: Bench, chip: Any) -> None:
    assert bench.read_port(PMCNTRL, 2) == 1
    bench.config_write(chip, 0x40, 4, 0xFFFF_FFFF)
    assert bench.config_read(chip, 0x40, 4) == 0xFFC1
    assert bench.read_port(PMCNTRL, 2) == 0xFFFF
    assert bench.read_port(0xFFC4, 2) == 1
    bench.config_write(chip, 0x80, 1, 0)
    assert bench.read_port(0xFFC4, 2) == 0xFFFF


def test_registers_yield_to_whatever_else_is_there(bench: Bench, chip: Any) -> None:
    bench.config_write(chip, 0x40, 4, 0xAFC0)
    assert bench.read_port(0xAFC4, 2) == 1
    bench.write_port(GPE0_EN, 2, 2)
    assert bench.read_port(GPE0_EN, 2) == 2
    bench.config_write(chip, 0x40, 4, 0x80)
    assert bench.read_port(0xB2) == 0xF1


def test_the_smi_command_port_chooses_who_is_told(bench: Bench, chip: Any) -> None:
    bench.write_port(PMEN, PWRBTN, 2)
    bench.write_port(0xB2, 0xF0)
    assert chip.machine_powerdown()
    assert bench.read_port(PMSTS, 2) == PWRBTN and not sci(bench)
    bench.write_port(0xB2, 0xF1)
    assert sci(bench)
    bench.write_port(0xB2, 0x55)
    assert sci(bench) and bench.read_port(PMCNTRL, 2) == 1
    bench.write_port(0xB3, 0xAA)
    assert bench.read_port(0xB3) == 0xAA


def test_an_event_interrupts_until_it_is_cleared(bench: Bench, chip: Any) -> None:
    chip.machine_powerdown()
    assert not sci(bench), "it isn't enabled"
    bench.write_port(PMEN, PWRBTN, 2)
    assert sci(bench)
    bench.write_port(PMSTS, RTC, 2)
    assert sci(bench), "that was another one's bit"
    bench.write_port(PMSTS + 1, PWRBTN >> 8)
    assert not sci(bench) and bench.read_port(PMSTS, 2) == 0


def test_general_events_are_told_too(bench: Bench, chip: Any) -> None:
    chip.general.happen(1)
    assert not sci(bench)
    bench.write_port(GPE0_EN, 0x02)
    assert sci(bench) and bench.read_port(GPE0_STS) == 2
    bench.write_port(GPE0_STS, 0x02)
    assert not sci(bench)


def test_other_devices_have_general_events_happen(bench: Bench, chip: Any) -> None:
    bench.write_port(GPE0_EN, 1 << 5, 2)
    assert bench.machine.hooks.call.acpi_event(number=5)
    assert bench.read_port(GPE0_STS, 2) == 1 << 5
    assert sci(bench)


def test_the_lock_is_released_in_both_directions(bench: Bench, chip: Any) -> None:
    bench.write_port(PMEN, GBL, 2)
    bench.write_port(GLBCTL, 2, 4)
    assert sci(bench) and bench.read_port(PMSTS, 2) == GBL and bench.read_port(GLBCTL, 4) == 0
    bench.write_port(PMCNTRL, 4 | 1, 2)
    assert bench.read_port(GLBSTS, 2) == 1 and bench.read_port(PMCNTRL, 2) == 1


# --- the timer -------------------------------------------------------------------------------------------------------


def test_the_timer_counts(bench: Bench, chip: Any) -> None:
    bench.clock.advance(ms=1000)
    assert bench.read_port(PMTMR, 4) == TIMER_HZ
    assert bench.read_port(PMTMR + 1, 2) == TIMER_HZ >> 8 & 0xFFFF
    bench.write_port(PMTMR, 0, 4)
    assert bench.read_port(PMTMR, 4) == TIMER_HZ
    bench.clock.advance(ms=9000)
    assert bench.read_port(PMTMR, 4) == 10 * TIMER_HZ & 0xFF_FFFF


@pytest.mark.parametrize("count", [0, 1, HALF, 3 * HALF, 12_345_678])
def test_when_a_count_is_reached(count: int) -> None:
    when = time_of(count)
    assert counts(when) == count
    assert not when or counts(when - 1) == count - 1


def test_each_change_of_its_highest_bit_is_an_event(bench: Bench, chip: Any) -> None:
    bench.write_port(PMEN, TMROF, 2)
    for change in range(1, 4):
        bench.clock.advance(ns=time_of(change * HALF) - bench.clock.now() - 1)
        assert not sci(bench)
        bench.clock.advance(ns=1)
        assert sci(bench), "without anybody looking"
        bench.write_port(PMSTS, TMROF, 2)
        assert not sci(bench)


def test_a_change_that_nobody_waits_for_shows_too(bench: Bench, chip: Any) -> None:
    bench.clock.advance(ns=time_of(HALF))
    assert bench.clock.deadline() is None
    assert bench.read_port(PMSTS, 2) == TMROF
    chip.reset()
    assert chip.power.PMSTS.value == 0


# --- sleep -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "what"),
    [(0, ShutdownReason.GUEST_SHUTDOWN), (1, "suspend"), (2, ShutdownReason.GUEST_HIBERNATE)],
)
def test_sleep_types(bench: Bench, chip: Any, asked: list[Any], kind: int, what: Any) -> None:
    bench.write_port(PMCNTRL, kind << 10 | 1, 2)
    assert asked == [], "the type alone does nothing"
    bench.write_port(PMCNTRL, kind << 10 | SUS_EN | 1, 2)
    assert asked == [what]
    assert bench.read_port(PMCNTRL, 2) == kind << 10 | 1, "SUS_EN reads as 0"


@pytest.mark.parametrize("kind", range(3, 8))
def test_a_sleep_type_that_isnt_there(bench: Bench, chip: Any, asked: list[Any], kind: int) -> None:
    bench.write_port(PMCNTRL, kind << 10 | SUS_EN, 2)
    assert asked == []
    assert f"sleep type {kind}" in bench.machine.guest_errors[-1]


def test_the_alarm_is_an_event_and_wakes_if_that_is_enabled(bench: Bench, chip: Any, asked: list[Any]) -> None:
    alarm = bench.machine.power.alarm.pin()
    alarm.set(True)
    assert bench.read_port(PMSTS, 2) == RTC and asked == []
    alarm.set(False)
    bench.write_port(PMSTS, RTC, 2)
    bench.write_port(PMEN, RTC, 2)
    alarm.set(True)
    assert sci(bench) and asked == [WakeReason.RTC]


def test_an_alarm_just_before_sleep_wakes_it_at_once(bench: Bench, chip: Any, asked: list[Any]) -> None:
    bench.write_port(PMEN, RTC, 2)
    bench.machine.power.alarm.pin().set(True)
    asked.clear()
    chip.machine_suspended()
    assert asked == [WakeReason.RTC]


def test_the_button_wakes(chip: Any, asked: list[Any]) -> None:
    chip.machine_powerdown()
    assert asked == [WakeReason.BUTTON]


def test_events_survive_sleep_and_nothing_else_does(bench: Bench, chip: Any) -> None:
    bench.write_port(PMEN, RTC, 2)
    bench.write_port(GPE0_EN, 2, 2)
    bench.machine.power.alarm.pin().set(True)
    chip.wake()
    chip.machine_woken()
    assert bench.read_port(PMCNTRL, 2) == 0xFFFF, "firmware places the registers again"
    chip.machine_set_up()
    assert bench.read_port(PMSTS, 2) == RTC | RSM
    assert (bench.read_port(PMEN, 2), bench.read_port(GPE0_EN, 2)) == (RTC, 2)
    assert bench.read_port(PMCNTRL, 2) == 0 and not sci(bench)
    chip.reset()
    assert chip.power.PMSTS.value == chip.power.PMEN.value == chip.general.GPE0_EN.value == 0
