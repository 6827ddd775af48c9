"""General registers, the EEPROM, the PHY and its link, as Linux's driver and its self-test use them."""

from __future__ import annotations

import pytest
from southbridge.errors import SouthbridgeError
from southbridge.net import default_mac
from southbridge.testing import Bench
from southbridge.testing.network import NetworkLine

from tests.plugins.e1000.driver import (
    CTRL,
    CTRL_EXT,
    EECD,
    EERD,
    ICR,
    ICS,
    IMC,
    IMS,
    LINK_UP,
    MAC,
    MDIC,
    MTA,
    RA,
    RCTL,
    RDBAL,
    RDH,
    RDLEN,
    RDTR,
    STATUS,
    TCTL,
    TDLEN,
    TIDV,
    VET,
    Driver,
)

IO_BAR = 0xC000


@pytest.mark.parametrize(
    ("register", "mask", "written"),
    [
        (0x28, 0xFFFF_FFFF, 0xFFFF_FFFF),
        (0x2C, 0xFFFF, 0xFFFF_FFFF),
        (0x30, 0xFFFF, 0xFFFF_FFFF),
        (VET, 0xFFFF, 0xFFFF_FFFF),
        (RDTR, 0xFFFF, 0xFFFF_FFFF),
        (RDLEN, 0xF_FF80, 0xF_FFFF),
        (RDH, 0xFFFF, 0xFFFF),
        (RDBAL, 0xFFFF_FFF0, 0xFFFF_FFFF),
        (TDLEN, 0xF_FF80, 0xF_FFFF),
        (TIDV, 0xFFFF, 0xFFFF),
        (0x2168, 0xFFF8, 0xFFF8),
        (0x170, 0xFFFF, 0xFFFF),
        (0x178, 0xC000_FFFF, 0xFFFF),
        (0x410, 0x3FFF_FFFF, 0x3FFF_FFFF),
        (RA + 12, 0x8003_FFFF, 0xFFFF_FFFF),
        (MTA + 4 * 127, 0xFFFF_FFFF, 0xFFFF_FFFF),
    ],
)
def test_bits_that_can_be_written(driver: Driver, register: int, mask: int, written: int) -> None:
    for pattern in (0x5A5A_5A5A, 0xA5A5_A5A5, 0, 0xFFFF_FFFF):
        driver.write(register, written & pattern)
        assert driver.read(register) == written & pattern & mask


def test_receive_control_has_all_its_bits(driver: Driver) -> None:
    for written in (0x003F_FFFB, 0xFFFF_FFFF, 0):
        driver.write(RCTL, written & 0x06DF_B3FE)
        assert driver.read(RCTL) == written & 0x06DF_B3FE
    driver.write(STATUS, 0)
    assert driver.read(STATUS) & 0xC0 == 0x80


def test_registers_by_way_of_ports(bench: Bench, driver: Driver) -> None:
    bench.place(driver.card, "bar2", IO_BAR)
    bench.write_port(IO_BAR, RDBAL, 4)
    bench.write_port(IO_BAR + 4, 0x1234_5678, 4)
    assert driver.read(RDBAL) == 0x1234_5670
    assert bench.read_port(IO_BAR + 4, 4) == 0x1234_5670
    bench.write_port(IO_BAR, 0x2_0000, 4)
    assert bench.read_port(IO_BAR + 4, 4) == 0xFFFF_FFFF
    assert "IOADDR 0x20000" in bench.guest_errors[-1]


def test_a_software_reset_keeps_the_link_and_the_address(driver: Driver) -> None:
    driver.link()
    driver.write(RDBAL, 0x1000)
    driver.write(RA, 0)
    driver.write(IMS, 0xFF)
    driver.write(CTRL, 1 << 26)
    assert driver.read(RDBAL) == driver.read(IMS) == 0
    assert driver.read(RA) == int.from_bytes(MAC[:4], "little")
    assert driver.read(RA + 4) == 0x8000_0000 | int.from_bytes(MAC[4:], "little")
    assert driver.read(STATUS) & LINK_UP
    driver.write(RA, 0)
    driver.write(CTRL_EXT, 1 << 13)
    assert driver.read(RA) == int.from_bytes(MAC[:4], "little")


def test_statistics_are_cleared_by_reading(driver: Driver) -> None:
    driver.start_transmitter()
    driver.send(bytes(60))
    driver.send(b"\xff" * 6 + bytes(994))
    assert driver.line.frames == [bytes(60), b"\xff" * 6 + bytes(994)]
    assert driver.read(0x4080) == 2
    assert driver.read(0x4080) == 0
    assert (driver.read(0x40D8), driver.read(0x40E8), driver.read(0x40F4)) == (1, 1, 1)
    assert driver.read(0x4090) == driver.read(0x4090) == 1068
    assert driver.read(0x4094) == 0
    assert driver.read(0x4090) == 0


def test_every_cause_can_be_set_masked_and_cleared(driver: Driver) -> None:
    for number in range(17):
        driver.write(ICS, 1 << number)
        assert not driver.card.interrupt.asserted
        driver.write(IMS, 1 << number)
        assert driver.card.interrupt.asserted
        assert driver.read(ICR) == 1 << number
        assert not driver.card.interrupt.asserted
        driver.write(ICS, 1 << number)
        assert driver.card.interrupt.asserted
        driver.write(IMC, 0xFFFF_FFFF)
        assert not driver.card.interrupt.asserted
        driver.write(ICR, 1 << number)
        assert driver.read(ICR) == driver.read(IMS) == 0


# --- the EEPROM ------------------------------------------------------------------------------------------------------


def test_its_words_add_up(driver: Driver) -> None:
    words = []
    for address in range(64):
        driver.write(EERD, address << 8 | 1)
        assert driver.read(EERD) & 0x11 == 0x10
        words.append(driver.read(EERD) >> 16)
    assert sum(words) & 0xFFFF == 0xBABA
    assert b"".join(word.to_bytes(2, "little") for word in words[:3]) == MAC
    assert words[0x0D] == 0x100E


class Microwire:
    """The EEPROM's pins, as a driver moves them."""

    SK, CS, DI, DO, REQ, GNT = 1, 2, 4, 8, 0x40, 0x80

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        driver.write(EECD, self.REQ)
        assert driver.read(EECD) & self.GNT

    def shift_out(self, value: int, count: int) -> None:
        for place in reversed(range(count)):
            bit = self.DI if value >> place & 1 else 0
            for clock in (0, self.SK, 0):
                self.driver.write(EECD, self.REQ | self.CS | bit | clock)

    def shift_in(self) -> int:
        value = 0
        for _ in range(16):
            self.driver.write(EECD, self.REQ | self.CS | self.SK)
            value = value << 1 | bool(self.driver.read(EECD) & self.DO)
            self.driver.write(EECD, self.REQ | self.CS)
        return value

    def end(self) -> None:
        self.driver.write(EECD, self.REQ)

    def read(self, address: int) -> int:
        self.shift_out(0b110, 3)
        self.shift_out(address, 6)
        value = self.shift_in()
        self.end()
        return value

    def command(self, bits: int) -> None:
        self.shift_out(bits, 9)
        self.end()

    def write(self, address: int, value: int) -> None:
        self.shift_out(0b101 << 6 | address, 9)
        self.shift_out(value, 16)
        self.end()
        self.driver.write(EECD, self.REQ | self.CS)
        assert self.driver.read(EECD) & self.DO, "ready"
        self.end()


def test_reading_by_its_pins(driver: Driver) -> None:
    wire = Microwire(driver)
    assert wire.read(0) == int.from_bytes(MAC[:2], "little")
    assert wire.read(0x3F) != 0
    wire.shift_out(0b110 << 6 | 1, 9)
    assert [wire.shift_in(), wire.shift_in()] == [int.from_bytes(MAC[at : at + 2], "little") for at in (2, 4)]


def test_writing_by_its_pins(driver: Driver) -> None:
    wire = Microwire(driver)
    wire.write(5, 0x1234)
    assert wire.read(5) != 0x1234
    assert "EWEN" in driver.bench.guest_errors[-1]
    wire.command(0b100110000)
    wire.write(5, 0x1234)
    assert wire.read(5) == 0x1234
    wire.command(0b111 << 6 | 5)
    assert wire.read(5) == 0xFFFF
    wire.shift_out(0b100010000, 9)
    wire.shift_out(0xBEEF, 16)
    wire.end()
    assert {wire.read(address) for address in range(64)} == {0xBEEF}
    wire.command(0b100000000)
    wire.write(5, 0)
    driver.card.reset()
    assert driver.card.eeprom.words == [0xBEEF] * 64


# --- the address -----------------------------------------------------------------------------------------------------


def test_each_card_has_its_own_address(bench: Bench) -> None:
    one, other = bench.plug("e1000", "one"), bench.plug("e1000", "other")
    assert (one.mac_address, other.mac_address) == (MAC, MAC[:5] + b"\x57")
    assert bench.plug("e1000", "third", mac="02-00-00-00-00-07").mac_address == bytes.fromhex("020000000007")
    assert default_mac([MAC]) == other.mac_address


@pytest.mark.parametrize("mac", ["01:00:00:00:00:00", "00:00:00:00:00:00", "12:34"])
def test_an_address_that_no_card_can_have(bench: Bench, mac: str) -> None:
    with pytest.raises(SouthbridgeError, match="mac"):
        bench.plug("e1000", mac=mac)


def test_a_back_end_has_one_card(bench: Bench) -> None:
    line = NetworkLine()
    bench.plug("e1000", "one", netdev=line)
    with pytest.raises(SouthbridgeError, match="one card only"):
        bench.plug("e1000", "two", netdev=line)
    bench.machine.unplug(bench.machine.devices["one"])
    bench.plug("e1000", "three", netdev=line)


# --- the PHY ---------------------------------------------------------------------------------------------------------


def mdio(driver: Driver, number: int, value: int | None = None) -> int:
    operation = 2 << 26 if value is None else 1 << 26 | value
    driver.write(MDIC, operation | 1 << 21 | number << 16)
    assert driver.read(MDIC) & 0x5000_0000 == 0x1000_0000
    return driver.read(MDIC) & 0xFFFF


def test_auto_negotiation_takes_its_time(driver: Driver) -> None:
    driver.write(IMS, 4)
    assert mdio(driver, 1) & 0x24 == 0
    driver.bench.clock.advance(ms=499)
    assert not driver.read(STATUS) & LINK_UP
    assert not driver.card.interrupt.asserted
    driver.bench.clock.advance(ms=2)
    assert driver.read(STATUS) & 0xC3 == 0x83
    assert driver.card.interrupt.asserted
    assert driver.read(ICR) == 4
    assert not driver.card.interrupt.asserted
    assert mdio(driver, 1) & 0x24 == 0x20, "the link was down since the last look"
    assert mdio(driver, 1) & 0x24 == 0x24
    assert mdio(driver, 17) & 0xEC00 == 0xAC00
    assert mdio(driver, 2) << 16 | mdio(driver, 3) == 0x0141_0C20
    mdio(driver, 0, 0x1340)
    assert not driver.read(STATUS) & LINK_UP
    driver.link()


@pytest.mark.parametrize(
    ("gigabit", "basic", "status"),
    [(0x0300, 0x01E1, 0x83), (0, 0x01E1, 0x43), (0, 0x00A1, 0x42), (0, 0x0061, 0x03), (0, 0x0021, 0x02)],
)
def test_what_is_advertised_decides(driver: Driver, gigabit: int, basic: int, status: int) -> None:
    mdio(driver, 9, gigabit)
    mdio(driver, 4, basic)
    mdio(driver, 0, 0x1340)
    driver.bench.clock.advance(ms=600)
    assert driver.read(STATUS) & 0xC3 == status


def test_the_cable_is_pulled_and_put_back(driver: Driver) -> None:
    driver.link()
    driver.write(IMS, 4)
    driver.read(ICR)
    driver.line.port.carrier = False
    assert not driver.read(STATUS) & LINK_UP
    assert driver.read(ICR) == 4
    driver.bench.clock.advance(ms=1000)
    assert not driver.read(STATUS) & LINK_UP
    driver.line.port.carrier = True
    driver.link()
    assert driver.read(ICR) == 4


def test_without_power_or_cable_there_is_no_link(bench: Bench, driver: Driver) -> None:
    driver.link()
    mdio(driver, 0, 0x1940)
    bench.clock.advance(ms=1000)
    assert not driver.read(STATUS) & LINK_UP
    alone = bench.plug("e1000", "alone")
    bench.clock.advance(ms=1000)
    assert not alone.phy.link


def test_there_is_one_phy(driver: Driver) -> None:
    driver.write(MDIC, 2 << 26 | 2 << 21)
    assert driver.read(MDIC) & 0x4000_0000
    assert "no PHY 2" in driver.bench.guest_errors[-1]


def test_a_link_that_the_driver_doesnt_want(driver: Driver) -> None:
    driver.link()
    driver.write(CTRL, 0)
    assert not driver.read(STATUS) & LINK_UP
    driver.write(TCTL, 0)
