from __future__ import annotations

from typing import Any

import pytest
from southbridge import Device, MmioBank, PortBank, Property, RealizeError, RunState, SouthbridgeError, hookimpl, timer
from southbridge.construct import make_device
from southbridge.memory.regions import Io
from southbridge.testing import Bench


class Card(Device):
    """An ISA card: ports, memory, an interrupt line, a timer."""

    iobase: int = Property(0x300, ge=0, doc="First of eight ports.")
    membase: int = Property(0xFEB0_0000, ge=0, doc="Where its memory is.")
    irq: int = Property(5, ge=0, doc="Interrupt line.")
    priority: int = Property(0, doc="Of its memory.")

    ports = PortBank(8)
    memory = MmioBank(0x1000)
    DATA = ports.register(0)

    def realize(self) -> None:
        self.claim_ports(self.ports, self.iobase)
        self.claim_memory(self.memory, self.membase, priority=self.priority)
        self.interrupt = self.claim_irq(self.irq)

    @timer
    def expire(self) -> None:
        self.interrupt.set(True)


@pytest.fixture
def plain() -> Bench:
    return Bench()


def layout(bench: Bench) -> tuple[Any, ...]:
    """What a device takes of a machine."""
    machine = bench.machine
    return (
        machine.ports.sections,
        machine.memory.sections,
        [machine.isa.owner(number) for number in range(16)],
        [wire.level for wire in machine.isa.wires],
        dict(machine.devices),
        bench.clock.deadline(),
    )


def test_a_device_answers_where_it_claimed(plain: Bench) -> None:
    card = plain.plug(Card, "card", iobase=0x220, irq=7)
    plain.write_port(0x220, 0x5A)
    assert card.DATA.value == 0x5A
    assert plain.read_mmio(0xFEB0_0000) == 0
    card.interrupt.set(True)
    assert plain.irq(7)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"iobase": 0x307}, "two: ports 0x307 to 0x30e (8 B) overlap 0x300 to 0x307, which one has"),
        ({"iobase": 0x2F9}, "two: ports 0x2f9 to 0x300 (8 B) overlap 0x300 to 0x307, which one has"),
        ({"iobase": 0xFFF9}, "two: ports 0xfff9 to 0x10000 lie outside the machine"),
        (
            {"membase": 0xFEB0_0FFF},
            "two: memory 0xfeb00fff to 0xfeb01ffe (4 KiB) overlap 0xfeb00000 to 0xfeb00fff, which one has",
        ),
        ({"membase": 0}, "two: memory 0x0 to 0xfff (4 KiB) overlap 0x0 to 0xffffff, which ram has"),
        ({"membase": 1 << 52}, f"two: memory {1 << 52:#x} to {(1 << 52) + 0xFFF:#x} lie outside the machine"),
        ({"irq": 5}, "two: IRQ 5 is taken by one"),
        ({"irq": 16}, "two: there is no IRQ 16; ISA has 0 to 15"),
    ],
)
def test_a_device_that_finds_its_place_taken_leaves_the_machine_as_it_was(
    plain: Bench, properties: dict[str, int], message: str
) -> None:
    plain.plug(Card, "one")
    before = layout(plain)
    with pytest.raises(RealizeError) as caught:
        plain.plug(Card, "two", **{"iobase": 0x310, "membase": 0xFEC0_0000, "irq": 6} | properties)
    assert str(caught.value) == message
    assert layout(plain) == before


def test_claims_of_other_priorities_may_overlap(plain: Bench) -> None:
    plain.plug(Card, "low")
    high = plain.plug(Card, "high", membase=0xFEB0_0800, priority=1, iobase=0x310, irq=6)
    section = plain.machine.memory.find(0xFEB0_0900)
    assert section is not None
    assert section.region is high.memory


def test_neighbours_do_not_overlap(plain: Bench) -> None:
    plain.plug(Card, "one", iobase=0x300)
    plain.plug(Card, "two", iobase=0x308, membase=0xFEB0_1000, irq=6)
    assert len(plain.machine.devices) == 2


def test_an_unplugged_device_gives_back_everything(plain: Bench) -> None:
    before = layout(plain)
    card = plain.plug(Card, "card")
    card.interrupt.set(True)
    card.expire.after(ms=1)
    plain.machine.unplug(card)
    assert layout(plain) == before
    assert plain.read_port(0x300) == 0xFF
    plain.plug(Card, "card")


def test_a_device_that_went_may_come_and_go_again(plain: Bench) -> None:
    before = layout(plain)
    card = plain.plug(Card, "card")
    for _ in range(2):
        plain.machine.unplug(card)
        assert layout(plain) == before
        plain.machine.plug(card)
    card.interrupt.set(True)
    assert plain.irq(5)


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.PAUSED])
def test_what_is_soldered_in_stays_while_the_machine_runs(plain: Bench, state: RunState) -> None:
    """CVE-2011-1751: a device that can't be unplugged isn't."""
    card = plain.plug(Card, "card")
    before = layout(plain)
    plain.machine.state = state
    with pytest.raises(SouthbridgeError, match="card: a Card can't be unplugged"):
        plain.machine.unplug(card)
    assert layout(plain) == before


def test_two_devices_of_one_name_are_an_error(plain: Bench) -> None:
    plain.plug(Card, "card")
    before = layout(plain)
    with pytest.raises(RealizeError, match="two devices named 'card'"):
        plain.plug(Card, "card", iobase=0x310, membase=0xFEC0_0000, irq=6)
    assert layout(plain) == before


def test_what_a_device_raises_as_it_is_realized_leaves_the_machine_as_it_was(plain: Bench) -> None:
    class Faulty(Card):
        def realize(self) -> None:
            super().realize()
            self.interrupt.set(True)
            raise ZeroDivisionError

    before = layout(plain)
    with pytest.raises(ZeroDivisionError):
        plain.plug(Faulty)
    assert layout(plain) == before


def test_regions_are_banks_and_what_else_was_claimed(plain: Bench) -> None:
    class More(Card):
        def realize(self) -> None:
            super().realize()
            self.extra = Io("extra", 4, lambda offset, size: 0, lambda offset, size, value: None, owner=self)
            self.claim_ports(self.extra, 0x400)

    more = plain.plug(More, "more")
    assert {region.name for region in more.regions()} == {"more.ports", "more.memory", "extra"}


# --- hooks of devices --------------------------------------------------------------------------------------------


class Watcher(Device):
    """Implements a hook."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.heard: list[bool] = []

    @hookimpl
    def a20_changed(self, enabled: bool) -> None:
        self.heard.append(enabled)


def test_a_devices_hooks_are_called_while_it_is_plugged_in(plain: Bench) -> None:
    watcher = plain.plug(Watcher)
    plain.machine.a20.set("test", False)
    plain.machine.unplug(watcher)
    plain.machine.a20.set("test", True)
    assert watcher.heard == [False]


def test_a_device_whose_hook_does_not_fit_is_not_plugged_in(plain: Bench) -> None:
    class Misfit(Card):
        @hookimpl
        def a20_changed(self, colour: str) -> None: ...

    before = layout(plain)
    with pytest.raises(SouthbridgeError, match=r"devices\.misfit.*colour"):
        plain.plug(Misfit, "misfit")
    assert layout(plain) == before


def test_a_devices_name_is_no_other_plugins(plain: Bench) -> None:
    """A device called as the accelerator is doesn't take its hooks along when it goes."""
    hooks = plain.machine.hooks
    before = hooks.memory_read
    plain.machine.unplug(plain.plug(Card, "bench"))
    plain.machine.unplug(plain.plug(Watcher, "bench"))
    assert hooks.memory_read == before


# --- construction ------------------------------------------------------------------------------------------------


def test_a_device_has_its_properties_as_attributes() -> None:
    card = Card("card", iobase=0x220)
    assert (card.iobase, card.irq) == (0x220, 5)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"iobase": -1}, "card: iobase: Input should be greater than or equal to 0"),
        ({"iobase": "0x300"}, "card: iobase: Input should be a valid integer"),
        ({"port": 1}, "card: port: Extra inputs are not permitted"),
    ],
)
def test_wrong_properties_are_named(plain: Bench, properties: dict[str, Any], message: str) -> None:
    with pytest.raises(SouthbridgeError) as caught:
        make_device(plain.machine, Card, "card", **properties)
    assert str(caught.value) == message
