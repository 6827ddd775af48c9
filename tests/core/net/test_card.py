"""A card's end of the cable: pauses, and set_link."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from southbridge.control.commands import CommandError
from southbridge.qmp.network import NetworkCommands
from southbridge.testing import Bench

from tests.plugins.e1000.driver import DD, EOP, IFCS, RS, TX_BUFFERS, Driver, frame, legacy


@pytest.fixture
def driver(bench: Bench) -> Iterator[Driver]:
    made = Driver(bench)
    made.start_transmitter()
    made.start_receiver()
    yield made


def paused(bench: Bench, now: bool) -> None:
    hooks = bench.machine.hooks.call
    (hooks.machine_paused if now else hooks.machine_resumed)(machine=bench.machine)


def test_while_the_machine_is_paused_nothing_comes_in(bench: Bench, driver: Driver) -> None:
    paused(bench, True)
    assert not driver.line.give(frame(length=60))
    assert driver.line.port.send_batch([frame(length=60)]) == 0
    assert driver.packets() == []
    paused(bench, False)
    assert driver.line.told_sendable == 1
    assert driver.line.give(frame(length=60))
    assert len(driver.packets()) == 1


def test_nor_does_the_card_go_on_sending(bench: Bench, driver: Driver) -> None:
    driver.line.room = 1
    bench.write_memory(TX_BUFFERS, frame(length=60))
    driver.put(*[legacy(TX_BUFFERS, 60, EOP | IFCS | RS)] * 3)
    driver.go()
    assert [driver.status(number) for number in range(3)] == [DD, DD, 0]
    paused(bench, True)
    driver.line.make_room(10)
    assert driver.status(2) == 0
    paused(bench, False)
    assert driver.status(2) == DD
    assert len(driver.line.frames) == 3


def test_set_link(bench: Bench, driver: Driver) -> None:
    bench.machine.backends["netdevs"]["net0"] = driver.line
    set_link = NetworkCommands(bench.machine).commands()["set_link"]
    for name in ("e1000", "net0"):
        set_link(name=name, up=False)
        assert not driver.card.phy.link
        set_link(name=name, up=True)
        driver.link()
    with pytest.raises(CommandError, match="Device 'x' not found"):
        set_link(name="x", up=False)
