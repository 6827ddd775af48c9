"""The clock: time, updates, alarm and periodic interrupts, memory, what the firmware finds, reset and saved state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge import RealizeError, SouthbridgeError
from southbridge.board import MemoryRange
from southbridge.firmware_config import Geometry
from southbridge.plugins.mc146818 import Mc146818
from southbridge.plugins.mc146818.settings import memory_settings, more_cpus
from southbridge.testing import Bench
from southbridge.units import GiB, KiB, MiB

A, B, C, D, CENTURY = 0x0A, 0x0B, 0x0C, 0x0D, 0x32
SET, PIE, AIE, UIE, DM, HOURS_24 = 0x80, 0x40, 0x20, 0x10, 0x04, 0x02
UIP, IRQF, PF, AF, UF = 0x80, 0x80, 0x40, 0x20, 0x10
TIME = (0x04, 0x02, 0x00)
"""Hours, minutes, seconds."""
START = "2024-02-28T23:59:50"


class Clock:
    """The device on its bench."""

    def __init__(self, bench: Bench, base: str = START, **properties: Any) -> None:
        self.bench = bench
        self.device: Any = bench.plug("mc146818", base=base, **properties)

    def read(self, address: int) -> int:
        self.bench.write_port(0x70, address)
        return self.bench.read_port(0x71)

    def write(self, address: int, value: int) -> None:
        self.bench.write_port(0x70, address)
        self.bench.write_port(0x71, value)

    def time(self) -> list[int]:
        return [self.read(address) for address in TIME]

    def date(self) -> list[int]:
        """Century, year, month, date, day of the week."""
        return [self.read(address) for address in (CENTURY, 0x09, 0x08, 0x07, 0x06)]

    def alarm(self, hours: int, minutes: int, seconds: int) -> None:
        for address, value in ((0x05, hours), (0x03, minutes), (0x01, seconds)):
            self.write(address, value)

    def wait(self, **time: float) -> None:
        self.bench.clock.advance(**time)  # type: ignore[arg-type]


@pytest.fixture
def rtc(bench: Bench) -> Clock:
    return Clock(bench)


def test_time_and_date_pass(rtc: Clock) -> None:
    assert rtc.time() == [0x23, 0x59, 0x50]
    assert rtc.date() == [0x20, 0x24, 0x02, 0x28, 4]
    rtc.wait(ms=9_999)
    assert rtc.time() == [0x23, 0x59, 0x59]
    rtc.wait(ms=1)
    assert rtc.time() == [0, 0, 0]
    assert rtc.date() == [0x20, 0x24, 0x02, 0x29, 5]
    rtc.wait(ms=86_400_000)
    assert rtc.date() == [0x20, 0x24, 0x03, 0x01, 6]


@settings(deadline=None, max_examples=50)
@given(
    st.datetimes(datetime(1980, 1, 1), datetime(2200, 1, 1)).map(lambda when: when.replace(microsecond=0)),
    st.lists(st.integers(0, 10**7), max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_the_clock_agrees_with_datetime(start: datetime, waits: list[int], binary: bool, hours_24: bool) -> None:
    rtc = Clock(Bench(memory=1 * MiB), start.isoformat())
    rtc.write(B, SET)
    rtc.write(B, SET | binary << 2 | hours_24 << 1)
    fields = [start.second, start.minute, start.day, start.month, start.year % 100, start.year // 100]
    for address, field in zip((0x00, 0x02, 0x07, 0x08, 0x09, CENTURY), fields, strict=True):
        rtc.write(address, field if binary else int(str(field), 16))
    hour = start.hour if hours_24 else (start.hour - 1) % 12 + 1
    pm = 0x80 if not hours_24 and start.hour >= 12 else 0
    rtc.write(0x04, (hour if binary else int(str(hour), 16)) | pm)
    rtc.write(B, binary << 2 | hours_24 << 1)
    for wait in waits:
        rtc.wait(ms=wait * 1000)
    end = start + timedelta(seconds=sum(waits))

    def number(byte: int) -> int:
        return byte if binary else int(f"{byte:x}")

    assert [number(rtc.read(n)) for n in (CENTURY, 0x09, 0x08, 0x07)] == [
        end.year // 100,
        end.year % 100,
        end.month,
        end.day,
    ]
    assert rtc.read(0x06) == end.isoweekday() % 7 + 1
    assert [number(rtc.read(n)) for n in (0x02, 0x00)] == [end.minute, end.second]
    shown = rtc.read(0x04)
    hours = number(shown) if hours_24 else number(shown & 0x7F) % 12 + (12 if shown & 0x80 else 0)
    assert hours == end.hour


class AtNoon(Mc146818):
    """A host whose time is known."""

    def host_time(self) -> datetime:
        return datetime(2030, 6, 1, 12, 0, 0, 750_000, tzinfo=UTC)


@pytest.mark.parametrize("base", ["utc", "localtime"])
def test_the_hosts_time_is_taken_over_with_its_fraction(bench: Bench, base: str) -> None:
    rtc = Clock.__new__(Clock)
    rtc.bench, rtc.device = bench, bench.plug(AtNoon, base=base)
    here = datetime(2030, 6, 1, 12, tzinfo=UTC).astimezone(UTC if base == "utc" else None)
    assert rtc.time() == [int(str(here.hour), 16), int(str(here.minute), 16), 0]
    assert rtc.date()[:2] == [0x20, 0x30]
    rtc.wait(ms=249)
    assert rtc.time()[2] == 0
    rtc.wait(ms=1)
    assert rtc.time()[2] == 1


@pytest.mark.parametrize("base", ["yesterday", "2024-13-01", ""])
def test_a_wrong_base_is_named(bench: Bench, base: str) -> None:
    with pytest.raises(SouthbridgeError, match=r"base: .*expected utc, localtime, or a date"):
        bench.plug("mc146818", base=base)


# --- updates -----------------------------------------------------------------------------------------------------


def test_uip_announces_an_update_244_us_before(rtc: Clock) -> None:
    rtc.wait(us=1_000_000 - 245)
    assert not rtc.read(A) & UIP
    rtc.wait(us=1)
    assert rtc.read(A) & UIP
    rtc.wait(us=243)
    assert rtc.read(A) & UIP
    rtc.wait(us=1)
    assert not rtc.read(A) & UIP
    assert rtc.time()[2] == 0x51


def test_set_holds_the_time_and_switches_uie_and_uip_off(rtc: Clock) -> None:
    rtc.write(B, UIE | HOURS_24)
    rtc.write(B, SET | UIE | HOURS_24)
    assert rtc.read(B) == SET | HOURS_24
    rtc.wait(ms=2_999, us=900)
    assert not rtc.read(A) & UIP
    assert rtc.time()[2] == 0x50
    rtc.write(0x00, 0x10)
    rtc.write(B, HOURS_24)
    assert rtc.time()[2] == 0x10
    rtc.wait(us=100)
    assert rtc.time()[2] == 0x11, "the divider went on"
    assert not rtc.bench.irq(8)


def test_the_divider_can_be_held_in_reset(rtc: Clock) -> None:
    rtc.write(A, 0x76)
    rtc.wait(ms=5_000)
    assert rtc.time()[2] == 0x50
    assert not rtc.read(A) & UIP
    assert rtc.read(C) == 0
    rtc.write(A, 0x26)
    rtc.wait(ms=499)
    assert rtc.time()[2] == 0x50
    rtc.wait(ms=1)
    assert rtc.time()[2] == 0x51


def test_what_is_written_is_read_until_the_next_update(rtc: Clock) -> None:
    for address in (*TIME, 0x08, 0x07):
        rtc.write(address, 0xFF)
    assert rtc.time() == [0xFF, 0xFF, 0xFF]
    rtc.wait(ms=1_000)
    assert all(byte <= limit for byte, limit in zip(rtc.time(), (0x23, 0x59, 0x59), strict=True))
    assert rtc.read(C) & UF


def test_registers_c_and_d_are_read_only(rtc: Clock) -> None:
    rtc.write(C, 0xFF)
    rtc.write(D, 0)
    assert rtc.read(C) == 0
    assert rtc.read(D) == 0x80


# --- interrupts --------------------------------------------------------------------------------------------------


def test_the_update_ended_interrupt(rtc: Clock) -> None:
    rtc.write(B, UIE | HOURS_24)
    for _ in range(2):
        rtc.wait(us=999_999)
        assert not rtc.bench.irq(8)
        rtc.wait(us=1)
        assert rtc.bench.irq(8)
        assert rtc.read(C) & (IRQF | UF) == IRQF | UF
        assert not rtc.bench.irq(8)
        assert rtc.read(C) == 0


@pytest.mark.parametrize(
    ("alarm", "after"),
    [((0x23, 0x59, 0x55), 5), ((0xFF, 0x00, 0x02), 12), ((0xC0, 0xC0, 0xC0), 1), ((0x23, 0x59, 0x50), 86_400)],
)
def test_the_alarm(rtc: Clock, alarm: tuple[int, int, int], after: int) -> None:
    rtc.alarm(*alarm)
    rtc.write(B, AIE | HOURS_24)
    rtc.wait(ms=after * 1000 - 1)
    assert not rtc.bench.irq(8)
    rtc.wait(ms=1)
    assert rtc.bench.irq(8)
    assert rtc.read(C) & (IRQF | AF | UF) == IRQF | AF | UF
    assert not rtc.bench.irq(8)


def test_an_alarm_that_is_no_time_never_comes(rtc: Clock) -> None:
    rtc.alarm(0x24, 0, 0)
    rtc.write(B, AIE | HOURS_24)
    assert rtc.bench.clock.deadline() is None
    rtc.wait(ms=200_000_000)
    assert not rtc.read(C) & AF


def test_an_alarm_in_twelve_hours(bench: Bench) -> None:
    rtc = Clock(bench, "2024-01-01T11:59:58")
    rtc.write(B, 0)
    rtc.alarm(0x92, 0x00, 0x00)
    rtc.write(B, AIE)
    rtc.wait(ms=2_000)
    assert rtc.time() == [0x92, 0, 0]
    assert rtc.bench.irq(8)


@pytest.mark.parametrize(
    ("rate", "hertz"), [(1, 256), (2, 128), *((rate, 32_768 >> (rate - 1)) for rate in range(3, 16))]
)
def test_periodic_rates(rtc: Clock, rate: int, hertz: int) -> None:
    rtc.write(A, 0x20 | rate)
    rtc.write(B, PIE | HOURS_24)
    times = []
    for _ in range(5):
        deadline = rtc.bench.clock.deadline()
        assert deadline is not None
        rtc.wait(ns=deadline - rtc.bench.clock.now())
        assert rtc.bench.irq(8)
        assert rtc.read(C) & (IRQF | PF) == IRQF | PF
        times.append(rtc.bench.clock.now())
    assert times == [-(-n * 1_000_000_000 // hertz) for n in range(1, 6)]


def test_no_periodic_interrupt_without_a_rate(rtc: Clock) -> None:
    rtc.write(A, 0x20)
    rtc.write(B, PIE | HOURS_24)
    assert rtc.bench.clock.deadline() is None
    rtc.wait(ms=999)
    assert rtc.read(C) == 0


def test_an_unread_interrupt_needs_no_more_timers(rtc: Clock) -> None:
    rtc.write(B, PIE | UIE | HOURS_24)
    rtc.wait(ms=10)
    assert rtc.bench.irq(8)
    assert rtc.bench.clock.deadline() is None


def test_flags_are_set_without_being_enabled_and_interrupt_once_they_are(rtc: Clock) -> None:
    assert rtc.bench.clock.deadline() is None
    rtc.alarm(0xFF, 0xFF, 0x51)
    rtc.wait(ms=1_500)
    assert not rtc.bench.irq(8)
    rtc.write(B, UIE | HOURS_24)
    assert rtc.bench.irq(8)
    assert rtc.read(C) == IRQF | PF | AF | UF


def test_a_late_host_changes_no_time(rtc: Clock) -> None:
    rtc.write(B, UIE | HOURS_24)
    rtc.bench.clock.set(3_400_000_000)
    rtc.bench.clock.run_due()
    assert rtc.bench.irq(8)
    assert rtc.time()[2] == 0x53
    rtc.read(C)
    assert rtc.bench.clock.deadline() == 4_000_000_000


# --- memory ------------------------------------------------------------------------------------------------------


def test_memory_keeps_what_is_written_through_a_reset(rtc: Clock) -> None:
    for address in range(0x0E, 0x80):
        rtc.write(address, address ^ 0x5A)
    rtc.device.reset()
    assert all(rtc.read(address) == address ^ 0x5A for address in range(0x0E, 0x80) if address not in (CENTURY, 0x37))


def test_bit_7_of_the_index_is_the_nmi_mask_and_the_index_cannot_be_read(rtc: Clock) -> None:
    rtc.write(0x80 | 0x40, 0x77)
    assert rtc.read(0x40) == 0x77
    assert rtc.bench.read_port(0x70) == 0xFF
    assert rtc.bench.guest_errors == []


def test_what_the_firmware_finds(bench: Bench) -> None:
    rtc = Clock(bench)
    assert [rtc.read(n) for n in (0x10, 0x14, 0x15, 0x16)] == [0, 0x06, 0x80, 0x02]
    assert [rtc.read(n) for n in (0x17, 0x18, 0x30, 0x31)] == [0, 0x3C, 0, 0x3C]
    assert [rtc.read(n) for n in (0x34, 0x35, 0x5B, 0x5C, 0x5D)] == [0, 0, 0, 0, 0]
    assert (rtc.read(0x3D), rtc.read(0x38)) == (0x12, 0x30)
    assert [rtc.read(n) for n in (0x12, 0x39)] == [0, 0]


def test_floppy_drives_and_disks(bench: Bench) -> None:
    config = bench.machine.firmware_config
    config.floppy_drives = {0: 4, 1: 5}
    config.disks = {0: Geometry(203, 16, 63), 1: Geometry(16383, 16, 63), 3: Geometry(1025, 8, 9)}
    rtc = Clock(bench)
    assert [rtc.read(n) for n in (0x10, 0x14, 0x12, 0x19, 0x1A)] == [0x45, 0x47, 0xFF, 47, 47]
    assert bytes(rtc.read(n) for n in range(0x1B, 0x24)) == bytes.fromhex("cb0010ffffc8cb003f")
    assert bytes(rtc.read(n) for n in range(0x24, 0x2D)) == bytes.fromhex("ff3f10ffffc8ff3f3f")
    assert rtc.read(0x39) == 0b0100_0100


def test_one_boot_from_something_else(bench: Bench) -> None:
    rtc = Clock(bench, boot_order="c", boot_once="d", check_floppies=False)
    assert (rtc.read(0x3D), rtc.read(0x38)) == (0x03, 0x01)
    rtc.write(0x3D, 0x77)
    rtc.device.reset()
    assert (rtc.read(0x3D), rtc.read(0x38)) == (0x02, 0x01)
    rtc.write(0x3D, 0x77)
    rtc.device.reset()
    assert rtc.read(0x3D) == 0x77


def test_the_century_has_a_second_place(rtc: Clock) -> None:
    assert rtc.read(0x37) == rtc.read(0x32)
    rtc.write(0x37, 0x19)
    assert rtc.read(0x32) == 0x19


@pytest.mark.parametrize(
    ("ram", "expected"),
    [
        ([(0, 1 * MiB)], {0x15: 640, 0x17: 0, 0x34: 0, 0x5B: 0}),
        ([(0, 640 * KiB), (1 * MiB, 255 * MiB)], {0x15: 640, 0x17: 0xFFFF, 0x34: 0xF00, 0x5B: 0}),
        ([(0, 3 * GiB), (4 * GiB, 5 * GiB)], {0x15: 640, 0x17: 0xFFFF, 0x34: 0xBF00, 0x5B: 0x14000}),
        ([(0, 4 * GiB), (4 * GiB, 2048 * GiB)], {0x15: 640, 0x17: 0xFFFF, 0x34: 0xFF00, 0x5B: 0xFFFFFF}),
        ([(0, 512 * KiB)], {0x15: 512, 0x17: 0, 0x34: 0, 0x5B: 0}),
        ([], {0x15: 0, 0x17: 0, 0x34: 0, 0x5B: 0}),
    ],
)
def test_memory_sizes(ram: list[tuple[int, int]], expected: dict[int, int]) -> None:
    memory_map = [MemoryRange(start, size) for start, size in ram] + [MemoryRange(0xFEC0_0000, 4 * MiB, 2)]
    found = memory_settings(memory_map)
    assert {n: int.from_bytes(found[n], "little") for n in expected} == expected
    assert found[0x30] == found[0x17]


@pytest.mark.parametrize(("cpus", "more"), [(1, 0), (4, 3), (255, 254), (300, 255)])
def test_number_of_cpus(cpus: int, more: int) -> None:
    assert more_cpus(cpus) == bytes([more])


@pytest.mark.parametrize(("order", "first"), [("c", (0x02, 0)), ("acd", (0x21, 0x30)), ("nd", (0x34, 0))])
def test_boot_order(bench: Bench, order: str, first: tuple[int, int]) -> None:
    rtc = Clock(bench, boot_order=order)
    assert (rtc.read(0x3D), rtc.read(0x38)) == first


def test_a_wrong_boot_order_is_named(bench: Bench) -> None:
    with pytest.raises(SouthbridgeError, match="boot_order"):
        bench.plug("mc146818", boot_order="x")
    with pytest.raises(RealizeError, match="'cc' names a device twice"):
        bench.plug("mc146818", boot_order="cc")


# --- reset and state ---------------------------------------------------------------------------------------------


def test_a_reset_switches_the_interrupts_off_and_keeps_the_time(rtc: Clock) -> None:
    rtc.write(B, PIE | AIE | UIE | 0x08 | DM | HOURS_24)
    rtc.write(A, 0x2F)
    rtc.wait(ms=2_700)
    assert rtc.bench.irq(8)
    rtc.device.reset()
    assert not rtc.bench.irq(8)
    assert rtc.bench.clock.deadline() is None
    assert rtc.read(C) == 0
    assert (rtc.read(A), rtc.read(B)) == (0x2F, DM | HOURS_24)
    rtc.wait(ms=300)
    assert rtc.read(C) == UF | (PF if rtc.read(A) & 0xF else 0)


def test_state_round_trip(rtc: Clock) -> None:
    rtc.write(A, 0x2A)
    rtc.write(B, PIE | UIE | HOURS_24)
    rtc.write(0x44, 0x99)
    rtc.wait(us=40_100)
    rtc.read(C)
    saved, now = rtc.device.save(), rtc.bench.clock.now()
    deadline = rtc.bench.clock.deadline()
    rtc.device.reset()
    rtc.wait(ms=5_000)
    rtc.bench.clock.set(now)
    rtc.device.load(saved)
    assert rtc.device.save() == saved
    assert rtc.bench.clock.deadline() == deadline
    assert rtc.time() == [0x23, 0x59, 0x50]
    assert rtc.read(0x44) == 0x99


def test_a_restored_interrupt_is_asserted(rtc: Clock) -> None:
    rtc.write(B, UIE | HOURS_24)
    rtc.wait(ms=1_000)
    saved = rtc.device.save()
    rtc.read(C)
    rtc.device.load(saved)
    assert rtc.bench.irq(8)


@pytest.mark.parametrize("name", ["nvram", "set_up", "updated"])
def test_hostile_state_is_refused(rtc: Clock, name: str) -> None:
    saved = rtc.device.save()
    saved["state"][name] = bytes(200) if name == "nvram" else "x"
    with pytest.raises(SouthbridgeError, match=name):
        rtc.device.load(saved)


@pytest.mark.parametrize("when", [-(10**30), 10**30])
def test_a_clock_restored_into_another_age_goes_on(rtc: Clock, when: int) -> None:
    rtc.alarm(0xFF, 0xFF, 0xFF)
    rtc.write(B, PIE | AIE | UIE | HOURS_24)
    saved = rtc.device.save()
    saved["state"] |= {"updated": when, "looked": when}
    rtc.device.load(saved)
    rtc.wait(ms=2_000)
    assert len(rtc.time()) == 3
    deadline = rtc.bench.clock.deadline()
    assert deadline is None or deadline > rtc.bench.clock.now()


@pytest.mark.parametrize("mode", [HOURS_24, HOURS_24 | DM, 0, DM])
@pytest.mark.parametrize("address", [0x00, 0x02, 0x04, 0x06, 0x07, 0x08, 0x09, CENTURY])
def test_a_number_that_no_calendar_knows_stays_a_byte_after_an_update(bench: Bench, address: int, mode: int) -> None:
    """What doesn't fit a register couldn't be restored either."""
    rtc = Clock(bench)
    rtc.write(B, mode)
    for register in (0x09, CENTURY, address):
        rtc.write(register, 0xFF)
    rtc.wait(ms=2000)
    assert 0 <= rtc.read(address) <= 0xFF
    rtc.device.load(rtc.device.save())
