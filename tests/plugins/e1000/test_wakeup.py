"""Wake-up filters: what has a card that sleeps wake the machine, and what the driver finds then."""

from __future__ import annotations

from typing import Any

import pytest
from southbridge.life import WakeReason

from tests.plugins.e1000.driver import BAR, ICS, IMS, MAC, PEER, RA, RCTL, RDT, STATUS, Driver, frame

WUC, WUFC, WUS, IPAV, IP4AT, IP6AT, WUPL, WUPM = 0x5800, 0x5808, 0x5810, 0x5838, 0x5840, 0x5880, 0x5900, 0x5A00
FFLT, FFMT, FFVT = 0x5F00, 0x9000, 0x9800
PME_EN, PME_STATUS = 2, 4
PMCSR = 0xE0
GROUP = bytes.fromhex("0100 5e00 0001")
ADDRESS, ADDRESS_6 = bytes([10, 0, 0, 7]), bytes(range(16))
MAGIC = b"\xff" * 6 + MAC * 16


@pytest.fixture
def woken(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Why the machine is woken; the card's filters are set."""
    reasons: list[Any] = []
    monkeypatch.setattr(driver.card.machine.power, "request_wake", reasons.append)
    set_filters(driver)
    return reasons


def set_filters(driver: Driver) -> None:
    """What the card waits for when it sleeps."""
    driver.link()
    driver.write(IPAV, 0x1_0002)
    driver.write(IP4AT + 8, int.from_bytes(ADDRESS, "little"))
    for at in range(0, 16, 4):
        driver.write(IP6AT + at, int.from_bytes(ADDRESS_6[at : at + 4], "little"))
    driver.write(RA + 8, int.from_bytes(GROUP[:4], "little"))
    driver.write(RA + 12, int.from_bytes(GROUP[4:], "little") | 1 << 31)
    driver.write(FFLT + 16, 20)
    for at, value in ((14, 0x77), (19, 0x78)):
        driver.write(FFMT + 8 * at, 1 << 2)
        driver.write(FFVT + 8 * at, value << 16)
    driver.write(WUC, PME_EN)


def sleep(driver: Driver, causes: int) -> None:
    """Puts the card to sleep, from which it wakes by these bits of WUFC."""
    driver.write(WUFC, causes)
    driver.card.config_write(PMCSR, 2, 0x0103)


def get_up(driver: Driver) -> None:
    """D0 again, and a place for its registers."""
    driver.card.config_write(PMCSR, 2, 0x0100)
    driver.bench.place(driver.card, "bar0", BAR)


def arp(target: bytes) -> bytes:
    return frame(
        bytes.fromhex("0001 0800 0604 0001") + PEER + bytes(4) + bytes(6) + target, kind=0x0806, to=b"\xff" * 6
    )


CASES = {
    "magic": (0x02, frame(b"..." + MAGIC)),
    "magic to all": (0x02, frame(MAGIC, to=b"\xff" * 6)),
    "directed": (0x04, frame()),
    "another address of ours": (0x04, frame(to=GROUP)),
    "broadcast": (0x10, frame(to=b"\xff" * 6)),
    "ARP": (0x20, arp(ADDRESS)),
    "IPv4": (0x40, frame(bytes(16) + ADDRESS, kind=0x0800)),
    "IPv6": (0x80, frame(bytes(24) + ADDRESS_6, kind=0x86DD)),
    "flexible": (0x4_0000, frame(b"\x77....\x78", to=PEER)),
}


@pytest.mark.parametrize(("bit", "packet"), CASES.values(), ids=CASES)
def test_what_it_is_woken_by(driver: Driver, woken: list[Any], bit: int, packet: bytes) -> None:
    packet = packet.ljust(60, b"\0")
    sleep(driver, 0xF_00FF & ~bit)
    driver.line.give(packet)
    get_up(driver)
    assert not driver.read(WUS) & bit
    woken.clear()
    driver.write(WUS, 0)
    set_filters(driver)
    sleep(driver, bit)
    driver.line.give(frame(b"nothing", to=PEER))
    assert not woken
    driver.line.give(packet)
    assert woken == [WakeReason.NETWORK]
    assert driver.card.config_read(PMCSR, 2) & 0x8000
    get_up(driver)
    assert driver.read(WUS) == bit
    assert driver.read(WUC) & PME_STATUS
    assert driver.read(WUPL) == len(packet)
    assert driver.read(WUPM) == int.from_bytes(packet[:4], "little")


def test_the_link_wakes_it(driver: Driver, woken: list[Any]) -> None:
    sleep(driver, 1)
    driver.line.port.carrier = False
    assert woken == [WakeReason.NETWORK]
    get_up(driver)
    assert driver.read(WUS) == 1


def test_a_card_that_is_awake_wakes_nobody(driver: Driver, woken: list[Any]) -> None:
    driver.write(WUFC, 0xF_00FF)
    driver.line.give(frame(MAGIC))
    assert not woken


def test_the_driver_finds_why_after_the_machine_woke(driver: Driver, woken: list[Any]) -> None:
    sleep(driver, 2)
    driver.line.give(frame(MAGIC))
    driver.card.wake()
    assert driver.card.WUS.value == 2 and driver.card.PM_CONTROL.value == 0x8100
    driver.card.config_write(PMCSR, 2, 0x8000)
    assert driver.card.PM_CONTROL.value == 0


def test_in_d3_it_is_silent(driver: Driver) -> None:
    """It answers nowhere but in configuration space, takes and sends nothing, and lets go of its interrupt."""
    driver.start_transmitter()
    driver.start_receiver()
    driver.write(IMS, 0x81)
    driver.write(ICS, 0x80)
    assert driver.card.interrupt.pin.asserted
    driver.card.config_write(PMCSR, 2, 3)
    assert not driver.card.interrupt.pin.asserted
    assert driver.read(STATUS) == 0xFFFF_FFFF
    assert driver.line.give(frame())
    driver.send(frame())
    driver.bench.clock.advance(ms=10)
    assert not driver.line.frames and not driver.packets()
    assert driver.card.config_read(0, 4) == 0x100E_8086
    assert not driver.bench.guest_errors


def test_leaving_d3_resets_it(driver: Driver) -> None:
    driver.start_receiver()
    driver.card.config_write(PMCSR, 2, 0x0103)
    driver.card.config_write(PMCSR, 2, 0x0100)
    assert driver.card.config_read(0x10, 4) == 0 and driver.card.config_read(4, 2) == 0
    assert driver.card.config_read(PMCSR, 2) == 0x0100
    driver.bench.place(driver.card, "bar0", BAR)
    assert driver.read(RCTL) == driver.read(RDT) == 0
    driver.start_receiver()
    assert driver.line.give(frame())
    assert driver.packets() == [frame().ljust(60, b"\0")]


@pytest.mark.parametrize("state", [0, 3])
@pytest.mark.parametrize("asked", [1, 2])
def test_states_that_it_does_not_have(driver: Driver, state: int, asked: int) -> None:
    """A write that asks for D1 or D2 leaves the state as it is; the rest of it counts."""
    driver.card.config_write(PMCSR, 2, state)
    driver.card.config_write(PMCSR, 2, 0x0100 | asked)
    assert driver.card.config_read(PMCSR, 2) == 0x0100 | state
    assert driver.card.asleep is (state == 3)


def test_a_sleeping_card_is_restored_asleep(driver: Driver) -> None:
    driver.card.config_write(PMCSR, 2, 3)
    saved = driver.card.save()
    driver.card.config_write(PMCSR, 2, 0)
    driver.bench.place(driver.card, "bar0", BAR)
    driver.card.load(saved)
    assert driver.read(STATUS) == 0xFFFF_FFFF
