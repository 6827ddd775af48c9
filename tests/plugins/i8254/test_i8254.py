"""The timer: waveforms of the datasheet, latches, IRQ 0 and its exact times, port 61h, reset and saved state."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from southbridge import SouthbridgeError
from southbridge.testing import Bench

PULSE = Fraction(88_000, 105)
"""Of the timer's clock, in ns."""
CONTROL, PORT_61 = 0x43, 0x61
SPEAKER = 2


class Timer:
    """The device; time in clock pulses."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.device: Any = bench.plug("i8254")
        self.pulses = 0

    def wait(self, pulses: int) -> None:
        self.pulses += pulses
        now = -(-self.pulses * PULSE.numerator // PULSE.denominator)
        self.bench.clock.advance(ns=now - self.bench.clock.now())

    def program(self, counter: int, mode: int, count: int, *, bcd: bool = False) -> None:
        self.bench.write_port(CONTROL, counter << 6 | 0x30 | mode << 1 | bcd)
        self.write(counter, count)

    def write(self, counter: int, count: int) -> None:
        self.bench.write_port(0x40 + counter, count & 0xFF)
        self.bench.write_port(0x40 + counter, count >> 8)

    def read(self, counter: int) -> int:
        low = self.bench.read_port(0x40 + counter)
        return low | self.bench.read_port(0x40 + counter) << 8

    def status(self, counter: int) -> int:
        self.bench.write_port(CONTROL, 0xE0 | 2 << counter)
        return self.bench.read_port(0x40 + counter)

    def gate(self, level: int) -> None:
        self.bench.write_port(PORT_61, level)

    @property
    def out(self) -> int:
        return self.bench.read_port(PORT_61) >> 5 & 1

    def wave(self, pulses: int) -> tuple[list[int], str]:
        """The counts and levels of the speaker's counter over the next pulses."""
        counts, levels = [], ""
        for _ in range(pulses):
            self.wait(1)
            counts.append(self.read(SPEAKER))
            levels += str(self.out)
        return counts, levels


@pytest.fixture
def pit(bench: Bench) -> Timer:
    return Timer(bench)


@pytest.mark.parametrize(
    ("mode", "count", "counts", "levels"),
    [
        (0, 4, [4, 3, 2, 1, 0, 0xFFFF, 0xFFFE], "0000111"),
        (2, 3, [3, 2, 1, 3, 2, 1, 3], "1101101"),
        (3, 4, [4, 2, 4, 2, 4, 2, 4, 2], "11001100"),
        (3, 5, [4, 2, 0, 4, 2, 4, 2, 0, 4, 2], "1110011100"),
        (4, 3, [3, 2, 1, 0, 0xFFFF, 0xFFFE], "111011"),
    ],
)
def test_the_waveforms_of_the_datasheet(pit: Timer, mode: int, count: int, counts: list[int], levels: str) -> None:
    pit.gate(1)
    pit.program(SPEAKER, mode, count)
    assert pit.wave(len(counts)) == (counts, levels)


@pytest.mark.parametrize(
    ("mode", "counts", "levels"),
    [(1, [3, 2, 1, 0, 0xFFFF], "00011"), (5, [3, 2, 1, 0, 0xFFFF], "11101")],
)
def test_waveforms_that_the_gate_starts(pit: Timer, mode: int, counts: list[int], levels: str) -> None:
    pit.program(SPEAKER, mode, 3)
    assert pit.wave(3) == ([0, 0, 0], "111")
    pit.gate(1)
    assert pit.wave(5) == (counts, levels)
    pit.gate(0)
    pit.gate(1)
    assert pit.wave(2) == (counts[:2], levels[:2]), "retriggered"


def test_the_gate_stops_mode_0(pit: Timer) -> None:
    pit.program(SPEAKER, 0, 4)
    assert pit.wave(3) == ([4, 4, 4], "000"), "the count is loaded all the same"
    pit.gate(1)
    assert pit.wave(4) == ([3, 2, 1, 0], "0001")


@pytest.mark.parametrize("mode", [2, 3])
def test_the_gate_sets_the_output_and_starts_anew_in_the_periodic_modes(pit: Timer, mode: int) -> None:
    pit.gate(1)
    pit.program(SPEAKER, mode, 4)
    pit.wait(4)
    assert pit.out == 0
    pit.gate(0)
    assert pit.out == 1
    held = pit.read(SPEAKER)
    assert pit.wave(2) == ([held, held], "11")
    pit.gate(1)
    assert pit.wave(1) == ([4], "1")


def test_a_new_count_in_mode_2_waits_for_the_end_of_the_period(pit: Timer) -> None:
    pit.gate(1)
    pit.program(SPEAKER, 2, 4)
    pit.wait(2)
    pit.write(SPEAKER, 3)
    assert pit.status(SPEAKER) & 0x40, "null count"
    assert pit.wave(6) == ([2, 1, 3, 2, 1, 3], "101101")
    assert not pit.status(SPEAKER) & 0x40


def test_a_new_count_in_mode_3_waits_for_the_end_of_the_half_cycle(pit: Timer) -> None:
    pit.gate(1)
    pit.program(SPEAKER, 3, 6)
    pit.wait(2)
    pit.write(SPEAKER, 4)
    assert pit.wave(5) == ([2, 4, 2, 4, 2], "10011")


def test_the_first_byte_of_a_count_stops_mode_0(pit: Timer) -> None:
    pit.gate(1)
    pit.program(SPEAKER, 0, 4)
    pit.wait(6)
    assert pit.out == 1
    pit.bench.write_port(0x42, 2)
    assert pit.out == 0
    assert pit.wave(3)[1] == "000"
    pit.bench.write_port(0x42, 0)
    assert pit.wave(3) == ([2, 1, 0], "001")


def test_bcd_counts_in_decimal(pit: Timer) -> None:
    pit.gate(1)
    pit.program(SPEAKER, 0, 0x1001, bcd=True)
    assert pit.wave(4)[0] == [0x1001, 0x1000, 0x0999, 0x0998]
    pit.wait(998)
    assert pit.wave(1)[0] == [0x9999]


@pytest.mark.parametrize(("bcd", "period"), [(False, 65_536), (True, 10_000)])
def test_zero_is_the_largest_count(pit: Timer, bcd: bool, period: int) -> None:
    pit.program(0, 2, 0, bcd=bcd)
    pit.wait(1)
    assert pit.read(0) == 0
    pit.wait(period - 1)
    assert pit.read(0) == 1
    pit.wait(1)
    assert pit.read(0) == 0


@pytest.mark.parametrize(("access", "count"), [(1, 0x0012), (2, 0x1200)])
def test_counts_of_one_byte(pit: Timer, access: int, count: int) -> None:
    pit.gate(1)
    pit.bench.write_port(CONTROL, 0x80 | access << 4)
    pit.bench.write_port(0x42, 0x12)
    pit.wait(count)
    assert pit.out == 0
    assert pit.bench.read_port(0x42) == (1 if access == 1 else 0)
    pit.wait(1)
    assert pit.out == 1


def test_a_latched_count_stays_until_it_is_read(pit: Timer) -> None:
    pit.program(0, 2, 0x1234)
    pit.wait(5)
    pit.bench.write_port(CONTROL, 0x00)
    pit.wait(7)
    pit.bench.write_port(CONTROL, 0x00)
    assert pit.read(0) == 0x1230
    assert pit.read(0) == 0x1229


def test_reads_and_writes_of_two_bytes_may_be_interleaved(pit: Timer) -> None:
    pit.program(0, 2, 0x1234)
    pit.wait(1)
    low = pit.bench.read_port(0x40)
    pit.bench.write_port(0x40, 0x78)
    high = pit.bench.read_port(0x40)
    pit.bench.write_port(0x40, 0x56)
    assert high << 8 | low == 0x1234
    pit.wait(0x1234)
    assert pit.read(0) == 0x5678


def test_read_back_latches_status_before_count(pit: Timer) -> None:
    pit.program(0, 2, 100)
    pit.program(1, 4, 50, bcd=True)
    pit.wait(3)
    pit.bench.write_port(CONTROL, 0xC6)
    pit.wait(10)
    assert [pit.bench.read_port(0x40) for _ in range(3)] == [0xB4, 98, 0]
    assert [pit.bench.read_port(0x41) for _ in range(3)] == [0xB9, 0x30, 0]
    assert pit.bench.read_port(0x40) == 88, "as it goes"


def test_status_names_the_mode_as_it_was_written_and_shows_the_null_count(pit: Timer) -> None:
    pit.bench.write_port(CONTROL, 0x7E)
    assert pit.status(1) == 0x80 | 0x40 | 0x3E
    pit.write(1, 10)
    assert pit.status(1) & 0x40
    pit.wait(1)
    assert pit.status(1) == 0x80 | 0x3E


def test_a_control_word_drops_what_was_latched(pit: Timer) -> None:
    pit.program(0, 2, 100)
    pit.wait(1)
    pit.bench.write_port(CONTROL, 0xC2)
    pit.bench.write_port(0x40, 1)
    pit.program(0, 4, 70)
    pit.wait(1)
    assert pit.read(0) == 70


@pytest.mark.parametrize("mode", [2, 3])
def test_a_count_of_1_in_a_periodic_mode_is_a_guest_error_and_no_storm(pit: Timer, mode: int) -> None:
    pit.program(0, mode, 1)
    assert "not allowed" in pit.bench.guest_errors[-1]
    pit.wait(1)
    first = pit.device.tick.deadline
    assert first == -(-65_538 * 88_000 // 105)


# --- IRQ 0 -------------------------------------------------------------------------------------------------------


def rises(bench: Bench) -> list[int]:
    """The times at which IRQ 0 rises, from now on."""
    times: list[int] = []
    bench.machine.isa.wires[0].connect(lambda level: times.append(bench.clock.now()) if level else None)
    return times


@pytest.mark.parametrize("mode", [2, 3])
def test_a_rate_on_irq_0_is_exact_and_does_not_drift(pit: Timer, mode: int) -> None:
    pit.program(0, mode, 1193)
    times = rises(pit.bench)
    times.clear()
    pit.bench.clock.advance(ms=10_000)
    assert times == [-(-(1 + 1193 * n) * 88_000 // 105) for n in range(1, len(times) + 1)]
    assert len(times) == 10_001


def test_one_shots_on_irq_0(pit: Timer) -> None:
    pit.program(0, 0, 100)
    assert not pit.bench.irq(0)
    times = rises(pit.bench)
    pit.wait(300)
    assert times == [-(-101 * 88_000 // 105)]
    assert not pit.device.tick.pending
    pit.program(0, 4, 100)
    pit.wait(300)
    assert times[1:] == [-(-(300 + 102) * 88_000 // 105)], "when the strobe of one pulse ends"
    assert not pit.device.tick.pending


def test_a_late_host_gets_one_edge_for_those_it_missed_and_the_next_one_in_time(pit: Timer) -> None:
    clock = pit.bench.clock
    pit.program(0, 2, 1000)
    pit.wait(1)
    times = rises(pit.bench)
    times.clear()
    late = -(-3500 * 88_000 // 105)
    clock.set(late)
    clock.run_due()
    assert times == [late]
    clock.advance(ms=1)
    assert times[1] == -(-4001 * 88_000 // 105)


def test_the_guest_sees_no_count_beyond_an_edge_that_it_did_not_get(pit: Timer) -> None:
    pit.program(0, 2, 1000)
    pit.wait(1)
    times = rises(pit.bench)
    times.clear()
    pit.bench.clock.set(-(-1001 * 88_000 // 105))
    assert pit.read(0) == 1000
    assert len(times) == 1


def test_only_the_system_timer_sets_a_timer(pit: Timer) -> None:
    pit.gate(1)
    for counter in (1, 2):
        pit.program(counter, 2, 18)
    assert pit.bench.clock.deadline() is None
    pit.program(0, 2, 18)
    assert pit.bench.clock.deadline() is not None


# --- port 61h ----------------------------------------------------------------------------------------------------


def test_port_61_keeps_its_control_bits(pit: Timer) -> None:
    pit.bench.write_port(PORT_61, 0xFF)
    assert pit.bench.read_port(PORT_61) & 0xCF == 0x0F
    pit.bench.write_port(PORT_61, 0x02)
    assert pit.bench.read_port(PORT_61) & 0xCF == 0x02


def test_the_refresh_toggle(pit: Timer) -> None:
    toggles = []
    for _ in range(6):
        pit.wait(17)
        toggles.append(pit.bench.read_port(PORT_61) >> 4 & 1)
        pit.wait(1)
        toggles.append(pit.bench.read_port(PORT_61) >> 4 & 1)
    assert toggles == [0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0]


def test_a_delay_by_the_speakers_counter_as_firmware_makes_it(pit: Timer) -> None:
    pit.bench.write_port(PORT_61, 0x01)
    pit.program(SPEAKER, 0, 11_932)
    started = pit.bench.clock.now()
    while not pit.out:
        pit.bench.clock.advance(us=10)
    assert 10_000_000 <= pit.bench.clock.now() - started < 10_020_000


# --- reset and state ---------------------------------------------------------------------------------------------


def test_a_reset_stops_everything(pit: Timer) -> None:
    pit.bench.write_port(PORT_61, 0x03)
    for counter in range(3):
        pit.program(counter, 2, 100)
    pit.wait(250)
    pit.device.reset()
    assert not pit.bench.irq(0)
    assert pit.bench.clock.deadline() is None
    assert pit.bench.read_port(PORT_61) & 0x2F == 0
    pit.wait(100)
    assert pit.read(0) == 0
    pit.program(SPEAKER, 0, 10)
    pit.wait(20)
    assert pit.out == 0, "the gate is low"


def test_a_restored_timer_goes_on_as_if_nothing_had_happened(pit: Timer) -> None:
    pit.bench.write_port(PORT_61, 0x01)
    pit.program(0, 2, 1000)
    pit.program(SPEAKER, 3, 77, bcd=True)
    pit.wait(333)
    pit.bench.write_port(0x40, 0x55)
    pit.bench.write_port(CONTROL, 0xC4)
    saved = pit.device.save()
    now = pit.bench.clock.now()
    seen = []
    for _ in range(2):
        pit.device.reset()
        pit.bench.clock.set(now)
        pit.device.load(saved)
        assert pit.device.save() == saved
        assert pit.bench.irq(0)
        times = rises(pit.bench)
        times.clear()
        pit.bench.write_port(0x40, 0x02)
        pit.bench.clock.advance(ms=3)
        seen.append((list(times), pit.read(0), pit.out, [pit.bench.read_port(0x41) for _ in range(3)]))
    assert seen[0] == seen[1]
    assert seen[0][0][0] == -(-1001 * 88_000 // 105)
    assert seen[0][0][1] - seen[0][0][0] == pytest.approx(0x255 * float(PULSE), abs=1)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("counter", "access", 0),
        ("counter", "mode_bits", 8),
        ("counter", "first_byte", 256),
        ("element", "mode", 6),
        ("element", "initial", 0),
        ("element", "count", 1 << 20),
        ("element", "pulse", -1),
    ],
)
def test_hostile_state_is_refused(pit: Timer, part: str, name: str, value: int) -> None:
    saved = pit.device.save()
    counter = saved["parts"]["counters[0]"]
    (counter if part == "counter" else counter["parts"]["element"])["state"][name] = value
    with pytest.raises(SouthbridgeError, match=name):
        pit.device.load(saved)


@pytest.mark.parametrize("mode", range(6))
def test_restored_state_that_no_counter_can_get_into_makes_no_endless_loop(pit: Timer, mode: int) -> None:
    saved = pit.device.save()
    state = saved["parts"]["counters[0]"]["parts"]["element"]["state"]
    state |= {"mode": mode, "initial": 1, "count": 0, "counting": True, "output": False, "odd": True}
    saved["timers"]["tick"] = {"deadline": 0, "arguments": {}}
    pit.device.load(saved)
    pit.bench.clock.advance(us=50)
    assert pit.read(0) >= 0
    deadline = pit.device.tick.deadline
    assert deadline is None or deadline > pit.bench.clock.now()
