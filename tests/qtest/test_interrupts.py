"""Interrupt controllers and the timer: Intel 8259A (231468), 82093AA (290566), 8254 (231164). COM1 asks."""

from __future__ import annotations

import pytest

from tests.qtest.machines import Pc

MASTER, SLAVE = 0x20, 0xA0
IOAPIC = 0xFEC0_0000
COM1 = 0x3F8
LINE = 4


def initialize(pc: Pc) -> None:
    """Vectors from 20h and 28h on; nothing is masked."""
    for base, words in ((MASTER, (0x20, 0x04, 0x01)), (SLAVE, (0x28, 0x02, 0x01))):
        pc.write_port(base, 0x11)
        for word in words:
            pc.write_port(base + 1, word)
        pc.write_port(base + 1, 0x00)


def ask(pc: Pc, level: bool) -> None:
    """COM1 asserts IRQ 4: its transmitter is empty."""
    pc.write_port(COM1 + 4, 0x08)
    pc.write_port(COM1 + 1, 0x02 if level else 0x00)


def registers(pc: Pc) -> tuple[int, int]:
    """IRR and ISR of the first 8259A."""
    pc.write_port(MASTER, 0x0A)
    requested = pc.read_port(MASTER)
    pc.write_port(MASTER, 0x0B)
    return requested, pc.read_port(MASTER)


def test_a_request_is_polled_and_ended(pc: Pc) -> None:
    initialize(pc)
    ask(pc, True)
    assert registers(pc) == (1 << LINE, 0)
    pc.write_port(MASTER, 0x0C)
    assert pc.read_port(MASTER) == 0x80 | LINE
    assert registers(pc) == (0, 1 << LINE)
    pc.write_port(MASTER, 0x20)
    assert registers(pc) == (0, 0)


def test_an_edge_that_goes_before_it_is_taken_is_none(pc: Pc) -> None:
    """The input must stay high until it is acknowledged (231468, "Edge and level triggered modes"); QEMU keeps it."""
    initialize(pc)
    ask(pc, True)
    ask(pc, False)
    assert registers(pc) == (0 if pc.ours else 1 << LINE, 0)


def test_a_masked_line_requests_and_isn_t_polled(pc: Pc) -> None:
    initialize(pc)
    pc.write_port(MASTER + 1, 1 << LINE)
    assert pc.read_port(MASTER + 1) == 1 << LINE
    ask(pc, True)
    assert registers(pc) == (1 << LINE, 0)
    pc.write_port(MASTER, 0x0C)
    assert not pc.read_port(MASTER) & 0x80


def test_a_specific_end(pc: Pc) -> None:
    initialize(pc)
    ask(pc, True)
    pc.write_port(MASTER, 0x0C)
    pc.read_port(MASTER)
    pc.write_port(MASTER, 0x60 | LINE - 1)
    assert registers(pc)[1] == 1 << LINE
    pc.write_port(MASTER, 0x60 | LINE)
    assert registers(pc)[1] == 0


def test_the_trigger_registers_leave_the_timer_s_and_keyboard_s_lines_alone(pc: Pc) -> None:
    pc.write_port(0x4D0, 0xFF)
    pc.write_port(0x4D1, 0xFF)
    assert (pc.read_port(0x4D0), pc.read_port(0x4D1)) == (0xF8, 0xDE)


def test_an_intercepted_line(pc: Pc) -> None:
    pc.intercept("ioapic")
    ask(pc, True)
    assert pc.irq(LINE)
    ask(pc, False)
    assert not pc.irq(LINE)
    assert pc.history == [f"IRQ raise {LINE}", f"IRQ lower {LINE}"]


# --- the I/O APIC -------------------------------------------------------------------------------------------------


def indexed(pc: Pc, index: int) -> int:
    pc.write_mmio(IOAPIC, index)
    return pc.read_mmio(IOAPIC + 0x10)


def set_indexed(pc: Pc, index: int, value: int) -> None:
    pc.write_mmio(IOAPIC, index)
    pc.write_mmio(IOAPIC + 0x10, value)


def test_identification(pc: Pc) -> None:
    assert indexed(pc, 1) >> 16 == 23
    set_indexed(pc, 0, 0x0F00_0000)
    assert indexed(pc, 0) == 0x0F00_0000
    assert indexed(pc, 2) == 0x0F00_0000


@pytest.mark.parametrize("entry", [0, 4, 23])
def test_redirection_entries(pc: Pc, entry: int) -> None:
    low = 0x10 + 2 * entry
    assert indexed(pc, low) == 0x1_0000
    set_indexed(pc, low + 1, 0xFFFF_FFFF)
    set_indexed(pc, low, 0x1_A930)
    assert indexed(pc, low + 1) & 0xFF00_0000 == 0xFF00_0000
    assert indexed(pc, low) == 0x1_A930


def test_status_bits_are_read_only(pc: Pc) -> None:
    set_indexed(pc, 0x10 + 2 * 5, 0x1_5020)
    assert indexed(pc, 0x10 + 2 * 5) == 0x1_0020


# --- the timer ----------------------------------------------------------------------------------------------------


def counter(pc: Pc, number: int) -> int:
    pc.write_port(0x43, number << 6)
    return pc.read_port(0x40 + number) | pc.read_port(0x40 + number) << 8


def load(pc: Pc, number: int, mode: int, count: int) -> None:
    pc.write_port(0x43, number << 6 | 0x30 | mode << 1)
    pc.write_port(0x40 + number, count & 0xFF)
    pc.write_port(0x40 + number, count >> 8)


def test_it_counts_down_and_interrupts(pc: Pc) -> None:
    pc.intercept("ioapic")
    load(pc, 0, 2, 0x8000)
    pc.until(lambda: pc.irq(0) and pc.history.count("IRQ raise 0") > 1)
    first = counter(pc, 0)
    pc.until(lambda: counter(pc, 0) != first)
    assert 0 < counter(pc, 0) <= 0x8000


def test_read_back(pc: Pc) -> None:
    """The status byte, then the count that was latched with it."""
    load(pc, 2, 3, 0x1234)
    pc.write_port(0x43, 0xC8)
    assert pc.read_port(0x42) & 0x3F == 0x36
    count = pc.read_port(0x42) | pc.read_port(0x42) << 8
    assert count <= 0x1234


def test_mode_0_ends_with_its_output_high(pc: Pc) -> None:
    pc.write_port(0x61, 0x01)
    load(pc, 2, 0, 2000)
    assert not pc.read_port(0x61) & 0x20
    pc.until(lambda: bool(pc.read_port(0x61) & 0x20))


def test_bytes_may_be_counted_in_decimal_digits(pc: Pc) -> None:
    pc.write_port(0x61, 0x00)
    pc.write_port(0x43, 0xB1)
    pc.write_port(0x42, 0x00)
    pc.write_port(0x42, 0x10)
    value = counter(pc, 2)
    assert all(value >> shift & 0xF <= 9 for shift in (0, 4, 8, 12))
