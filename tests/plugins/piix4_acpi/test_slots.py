"""Devices come and go: the registers of the slots."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from southbridge import PciDevice, PciIds, RunState, SouthbridgeError
from southbridge.testing import Bench

PCIU, PCID, B0EJ, RMV, BNUM = range(0xAE00, 0xAE14, 4)
GPE0_STS = 0xAFE0


class Card(PciDevice):
    ids: ClassVar[PciIds] = PciIds(0x1234, 0x0002, class_code=0xFF0000)


class Soldered(Card):
    hotpluggable: ClassVar[bool] = False


@pytest.fixture
def chip(bench: Bench) -> Any:
    """In a machine that runs."""
    chip = bench.plug("piix4_acpi", addr="01.3")
    bench.plug(Soldered, "soldered", addr="02.0")
    bench.machine.state = RunState.RUNNING
    return chip


def plugged(bench: Bench) -> set[str]:
    return set(bench.machine.devices)


def test_a_device_that_comes_is_an_event(bench: Bench, chip: Any) -> None:
    assert bench.read_port(GPE0_STS, 2) == 0
    bench.plug(Card, "card", addr="05.0")
    assert bench.read_port(GPE0_STS, 2) == 2
    assert bench.read_port(PCIU, 4) == 1 << 5
    assert bench.read_port(PCIU, 4) == 0, "it is told once"


def test_a_function_of_a_card_that_isnt_whole_yet_is_none(bench: Bench, chip: Any) -> None:
    """The system looks at function 0, so that comes last."""
    bench.plug(Card, "second", addr="05.1")
    assert bench.read_port(PCIU, 4) == 0
    bench.plug(Card, "first", addr="05.0")
    assert bench.read_port(PCIU, 4) == 1 << 5


def test_a_device_goes_when_the_guest_ejects_it(bench: Bench, chip: Any) -> None:
    bench.plug(Card, "card", addr="05.0")
    bench.plug(Card, "function", addr="05.3")
    bench.write_port(GPE0_STS, 2, 2)
    bench.machine.hotplug.request_removal("card")
    assert bench.read_port(GPE0_STS, 2) == 2
    assert bench.read_port(PCID, 4) == 1 << 5
    assert "card" in plugged(bench)
    bench.write_port(B0EJ, 1 << 5, 4)
    assert plugged(bench) == {"piix4_acpi", "soldered"}
    assert bench.read_port(PCID, 4) == 0
    bench.write_port(B0EJ, 1 << 5, 4)


def test_what_is_soldered_in_isnt_ejected(bench: Bench, chip: Any) -> None:
    """CVE-2011-1751: the guest ejects the chip set."""
    before = plugged(bench)
    bench.write_port(B0EJ, 0xFFFF_FFFF, 4)
    assert plugged(bench) == before
    assert "soldered in" in bench.machine.guest_errors[-1]
    assert bench.read_port(RMV, 4) == 0xFFFF_FFFF & ~(1 << 1 | 1 << 2)
    with pytest.raises(SouthbridgeError, match="can't be unplugged"):
        bench.machine.hotplug.request_removal("soldered")


def test_another_bus_has_nothing(bench: Bench, chip: Any) -> None:
    bench.plug(Card, "card", addr="05.0")
    bench.write_port(BNUM, 1, 4)
    assert [bench.read_port(port, 4) for port in (PCIU, PCID, RMV)] == [0, 0, 0]
    bench.write_port(B0EJ, 1 << 5, 4)
    assert "card" in plugged(bench)
    bench.write_port(BNUM, 0, 4)
    assert bench.read_port(PCIU, 4) == 1 << 5


def test_a_reset_completes_what_the_guest_was_asked_for(bench: Bench, chip: Any) -> None:
    bench.plug(Card, "card", addr="05.0")
    bench.machine.hotplug.request_removal("card")
    chip.reset()
    chip.machine_reset()
    assert "card" not in plugged(bench)


def test_without_hot_plug_a_device_goes_at_once(bench: Bench) -> None:
    bench.plug(Card, "card", addr="05.0")
    bench.machine.state = RunState.RUNNING
    bench.machine.hotplug.request_removal("card")
    assert plugged(bench) == set()
