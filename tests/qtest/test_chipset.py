"""The host bridge's PAM, and power management: Intel 440FX (290549) and 82371AB PIIX4 (290562)."""

from __future__ import annotations

from tests.qtest.machines import Pc

HOST, ISA, POWER = (0, 0), (1, 0), (1, 3)
PAM = [
    (0x59, 4, 0xF_0000),
    *((0x5A + number // 2, number % 2 * 4, 0xC_0000 + number * 0x4000) for number in range(12)),
]
"""Register, shift of its four bits, and address of each part of memory."""
READ, WRITE = 1, 2


def test_pam_leads_reads_and_writes_to_memory(pc: Pc) -> None:
    """Where QEMU can't be compared with is in docs/fidelity.md."""
    for register, shift, address in PAM:
        outside = pc.read_mmio(address)
        pc.config_write(*HOST, register, 1, (READ | WRITE) << shift)
        pc.write_mmio(address, 0x1122_3344)
        assert pc.read_mmio(address) == 0x1122_3344
        pc.config_write(*HOST, register, 1, READ << shift)
        if pc.ours:
            pc.write_mmio(address, 0x5566_7788)
        assert pc.read_mmio(address) == 0x1122_3344
        pc.config_write(*HOST, register, 1, WRITE << shift)
        pc.write_mmio(address, 0x99AA_BBCC)
        if pc.ours:
            assert pc.read_mmio(address) == outside
        pc.config_write(*HOST, register, 1, READ << shift)
        assert pc.read_mmio(address) == 0x99AA_BBCC
        pc.config_write(*HOST, register, 1, 0)
        if pc.ours or not 0xE_0000 <= address < 0xF_0000:
            assert pc.read_mmio(address) == outside


def test_identities(pc: Pc) -> None:
    """Vendor, device and class of the chipset's functions; nobody is in slot 1f."""
    found = {place: (pc.config_read(*place, 0, 4), pc.config_read(*place, 0x0A, 2)) for place in (HOST, ISA, POWER)}
    assert found == {
        HOST: (0x1237_8086, 0x0600),
        ISA: (0x7000_8086, 0x0601),
        POWER: (0x7113_8086, 0x0680),
    }
    assert pc.config_read(0x1F, 0, 0, 4) == 0xFFFF_FFFF


def test_the_configuration_address_is_a_double_word(pc: Pc) -> None:
    pc.write_port(0xCF8, 0x8000_0000, 4)
    pc.write_port(0xCF8, 0x12, 1)
    pc.write_port(0xCFA, 0x34, 2)
    assert pc.read_port(0xCF8, 4) == 0x8000_0000
    assert pc.read_port(0xCFE, 2) == 0x1237


BASE = 0xB000


def power_ports(pc: Pc) -> None:
    pc.config_write(*POWER, 0x40, 4, BASE | 1)
    pc.config_write(*POWER, 0x80, 1, 1)


def test_the_timer_counts(pc: Pc) -> None:
    power_ports(pc)
    before = pc.read_port(BASE + 8, 4)
    if pc.ours:
        pc.clock.advance(ms=10)
        assert pc.read_port(BASE + 8, 4) - before in (35_795, 35_796)
    pc.until(lambda: pc.read_port(BASE + 8, 4) - before & 0xFF_FFFF > 100_000)


def test_the_timer_is_read_only(pc: Pc) -> None:
    power_ports(pc)
    before = pc.read_port(BASE + 8, 4)
    pc.write_port(BASE + 8, 0x12_3456, 4)
    assert pc.read_port(BASE + 8, 4) == before


def test_event_registers(pc: Pc) -> None:
    """Status is cleared by ones, enables are kept."""
    power_ports(pc)
    pc.write_port(BASE, 0xFFFF, 2)
    assert pc.read_port(BASE, 2) & 0x0101 == 0
    pc.write_port(BASE + 2, 0x0121, 2)
    assert pc.read_port(BASE + 2, 2) == 0x0121
    pc.write_port(BASE + 4, 0x0001, 2)
    assert pc.read_port(BASE + 4, 2) & 1 == 1


def test_the_timer_s_overflow_is_an_event(pc: Pc) -> None:
    """TMROF_STS is set when bit 23 changes, each 2.34 seconds."""
    power_ports(pc)
    pc.write_port(BASE, 0xFFFF, 2)
    pc.until(lambda: bool(pc.read_port(BASE, 2) & 1))
    pc.write_port(BASE, 1, 2)
    assert pc.read_port(BASE, 2) & 1 == 0
