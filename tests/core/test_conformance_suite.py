"""The conformance suite finds what it is there to find: for each check a device that doesn't conform."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from southbridge import (
    RC,
    RO,
    W1C,
    Component,
    Device,
    FilePath,
    IoBar,
    Link,
    MmioBank,
    Part,
    PciDevice,
    PciIds,
    PortBank,
    Property,
    RealizeError,
    SouthbridgeError,
    State,
    bit,
    bits,
    timer,
)
from southbridge.chardev import CharBackend
from southbridge.errors import GuestMemoryError
from southbridge.memory.regions import Io
from southbridge.testing import FlatBenchMemory, WindowedBenchMemory, conformance
from southbridge.testing.conformance import CHECKS, Check, checks_for
from southbridge.testing.stage import NonconformingError, Stage, providers


class Part1(Component):
    """A part."""

    ports = PortBank(1)
    LEVEL = ports.register(0, doc="Its level.")


class Good(Device):
    """A device that conforms, with everything that one can have."""

    iobase: int = Property(0x100, ge=0, doc="Its ports.")
    title: str = Property(doc="What it is called.", examples=["good"])
    rom: FilePath = Property(doc="What it starts with.")
    chardev: CharBackend = Link("chardevs", doc="Where it talks.")

    ports = PortBank(8)
    DATA = ports.register(0, 4, doc="Data.")
    CONTROL = ports.register(4, doc="Raises the interrupt.")
    FLAGS = ports.register(
        6,
        2,
        reset=0x8001,
        widths=(1, 2),
        fields={"ON": bit(0), "DONE": bits(1, 2, W1C), "SEEN": bits(8, 9, RC), "THERE": bit(15, RO)},
        doc="Some of each kind.",
    )
    memory = MmioBank(0x2000, doc="A large bank.")
    WIDE = memory.register(0x1800, 4, doc="In the middle of it.")
    seen: int = State(0, ge=0, le=255, doc="What was seen last.")
    history: bytes = State(b"", max_length=4, doc="And before.")
    part: Part1 = Part(Part1)

    def realize(self) -> None:
        self.claim_ports(self.ports, self.iobase)
        self.claim_memory(self.memory, 0xFE00_0000)
        self.interrupt = self.claim_irq(5)

    def reset(self) -> None:
        super().reset()
        self.follow(0)

    def loaded(self) -> None:
        self.follow(self.CONTROL.value)

    @CONTROL.written
    def follow(self, value: int) -> None:
        self.interrupt.set(value & 1)

    @DATA.written
    def data_written(self, value: int) -> None:
        self.seen = value & 0xFF
        self.history = (self.history + bytes([self.seen]))[-4:]
        self.expire.after(us=self.seen)
        self.chardev.write(self.history)

    @timer
    def expire(self) -> None:
        self.CONTROL.value = 1
        self.follow(1)


class Card(PciDevice):
    """A PCI device that conforms."""

    ids = PciIds(0x1234, 0x0007, class_code=0xFF0000)
    interrupt_pin = "INTA"
    bar0 = IoBar(16, doc="Its registers.")
    ADDRESS = bar0.register(0, 4, doc="Where to read.")

    @ADDRESS.written
    def address_written(self, value: int) -> None:
        if self.PCI_COMMAND.MASTER:
            with suppress(GuestMemoryError):
                self.work(value)
            self.interrupt.set(value & 1)

    def work(self, value: int) -> None:
        self.dma.read(value, 4)


CONFORMING = [(kind, check) for kind in (Good, Card) for check in checks_for(kind)]


@pytest.mark.parametrize("make_memory", [FlatBenchMemory, WindowedBenchMemory])
@pytest.mark.parametrize(("kind", "check"), CONFORMING, ids=lambda what: what.__name__)
def test_devices_that_conform(kind: type[Device], check: Check, make_memory: type[FlatBenchMemory]) -> None:
    stage = Stage(kind, make_memory)
    check(stage)
    stage.close()


# --- each check, and a device that it is for ----------------------------------------------------------------------


class Undocumented(Good):
    MORE = Good.ports.register(5)


class TooWide(Good):
    DATA = Good.ports.register(0, 4)

    @DATA.read
    def data_read(self) -> int:
        return 1 << 32


class Raises(Good):
    WIDE = Good.memory.register(0x1800, 4)

    @WIDE.written
    def wide_written(self, value: int) -> None:
        raise ZeroDivisionError


class Alters(Good):
    def loaded(self) -> None:
        self.seen ^= 1


class Odd(Good):
    odd: complex = State(1j, doc="Not plain.")


class Lenient(Good):
    def load(self, saved: dict[str, Any]) -> None:
        with suppress(SouthbridgeError):
            super().load(saved)


class Hasty(Good):
    def load(self, saved: dict[str, Any]) -> None:
        self.seen ^= 1
        super().load(saved)


class Fragile(Good):
    length: int = State(0, doc="Of a buffer; not validated.")

    def loaded(self) -> None:
        self.buffer = [0, 1, 2][self.length]


class Holds(Good):
    def reset(self) -> None:
        Device.reset(self)


class Counts(Good):
    resets: int = State(0, keep=True, doc="How often.")

    def reset(self) -> None:
        super().reset()
        self.resets += 1


class Sneaks(Card):
    ADDRESS = Card.bar0.register(0, 4)

    @ADDRESS.written
    def address_written(self, value: int) -> None:
        self.dma.enabled = True
        self.dma.read(value & 0xFFFF, 4)


class Drifts(Good):
    def reset(self) -> None:
        super().reset()
        self.FLAGS.ON = 0


class Translates(Card):
    def config_read(self, offset: int, size: int) -> int:
        return super().config_read(offset, size) ^ (0x2C <= offset < 0x2E)


class Overlooks(Card):
    def config_write(self, offset: int, size: int, value: int) -> None:
        if offset != 0x0D:
            super().config_write(offset, size, value)


class Trips(Good):
    """On one value, after another one elsewhere."""

    DATA = Good.ports.register(0, 4)

    @DATA.written
    def data_written(self, value: int) -> None:
        if self.WIDE.value & 1 and value & 3 == 3:
            raise ZeroDivisionError("tripped")


class FollowsChain(Card):
    def work(self, value: int) -> None:
        while value:
            value = int.from_bytes(self.dma.read(value & 0xFFF0, 4), "little")


class Spins(Card):
    def work(self, value: int) -> None:
        while value & 0xFF == 0x30:
            pass


class Hoards(Card):
    def work(self, value: int) -> None:
        for _ in range(100):
            self.dma.read(0, 1 << 20)


class Swallows(Card):
    """An `except` that catches nearly everything doesn't make an endless loop acceptable."""

    def work(self, value: int) -> None:
        while value:
            with suppress(Exception):
                self.dma.read(value & 0xFFFF, 1)


class Reenters(Card):
    def work(self, value: int) -> None:
        self.machine.ports.write(value & 0xFFFF, 4, value)


class Keeps(Card):
    """Looks at memory that it doesn't have any more, and never gives it back."""

    def work(self, value: int) -> None:
        self.machine.hooks.memory_map(value & 0xFFFF, 4, False)


class Remembers(Good):
    """What it does depends on more than it saves."""

    DATA = Good.ports.register(0, 4)

    def realize(self) -> None:
        super().realize()
        self.count = 0

    @DATA.read
    def data_read(self) -> int:
        self.count += 1
        return self.count & 0xFF


class LetsGo(Good):
    """A restored one doesn't set its interrupt line."""

    def loaded(self) -> None:
        """Nothing."""


class Scribbles(Card):
    """A restored one writes elsewhere."""

    def realize(self) -> None:
        super().realize()
        self.where = 0x100

    def work(self, value: int) -> None:
        self.where = (self.where + 8) & 0xFFFF
        self.dma.write(self.where, b"scribble")


class Hides(Good):
    """Has a range that the core isn't told of."""

    def realize(self) -> None:
        super().realize()
        hidden = Io("hidden", 1, lambda offset, size: 1, lambda offset, size, value: None, owner=self)
        self.machine.ports.root.add(0x4000, hidden)


class Unguarded(Good):
    """Keeps from the core what goes wrong."""

    DATA = Good.ports.register(0, 4)

    @DATA.read
    def data_read(self) -> int:
        with suppress(Exception):
            return self.answer()
        return 0

    def answer(self) -> int:
        return 0

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__("answer" if name == "data_read" else name, value)


class Spreads(Good):
    """Takes another device along."""

    @property
    def broken(self) -> bool:
        return self.is_broken

    @broken.setter
    def broken(self, value: bool) -> None:
        self.is_broken = value
        for other in self.machine.devices.values() if value else ():
            vars(other)["broken"] = True


class Stays(Good):
    def realize(self) -> None:
        super().realize()
        self.machine.ports.root.add(0x4000, self.part_region())

    def part_region(self) -> Any:
        return vars(self.part)["ports"]


class Leaves(Stays):
    def realize(self) -> None:
        self.machine.ports.root.add(0x4000, self.part_region())
        Good.realize(self)


@pytest.mark.parametrize(
    ("kind", "check", "error"),
    [
        (Undocumented, conformance.documented, AssertionError),
        (TooWide, conformance.every_access_is_answered, AssertionError),
        (Raises, conformance.every_access_is_answered, ZeroDivisionError),
        (Drifts, conformance.registers_are_as_declared, AssertionError),
        (Translates, conformance.registers_are_as_declared, AssertionError),
        (Overlooks, conformance.registers_are_as_declared, AssertionError),
        (Trips, conformance.random_accesses_do_no_harm, ZeroDivisionError),
        (FollowsChain, conformance.work_is_bounded, NonconformingError),
        (Spins, conformance.work_is_bounded, NonconformingError),
        (Hoards, conformance.work_is_bounded, NonconformingError),
        (Swallows, conformance.work_is_bounded, NonconformingError),
        (Reenters, conformance.nothing_is_entered_by_dma, NonconformingError),
        (Remembers, conformance.state_survives, NonconformingError),
        (LetsGo, conformance.state_survives, NonconformingError),
        (Scribbles, conformance.state_survives, NonconformingError),
        (Hides, conformance.an_exception_latches_only_this_device, NonconformingError),
        (Unguarded, conformance.an_exception_latches_only_this_device, NonconformingError),
        (Spreads, conformance.an_exception_latches_only_this_device, NonconformingError),
        (Alters, conformance.state_survives, AssertionError),
        (Odd, conformance.state_survives, AssertionError),
        (Lenient, conformance.a_mangled_state_changes_nothing, AssertionError),
        (Hasty, conformance.a_mangled_state_changes_nothing, AssertionError),
        (Fragile, conformance.a_hostile_state_does_no_harm, IndexError),
        (Holds, conformance.reset_is_final, AssertionError),
        (Counts, conformance.reset_is_final, AssertionError),
        (Sneaks, conformance.no_dma_without_mastering, AssertionError),
        (Stays, conformance.unplugging_gives_back_everything, AssertionError),
        (Leaves, conformance.a_second_one_fits_or_is_refused, AssertionError),
    ],
    ids=lambda what: getattr(what, "__name__", ""),
)
def test_a_device_that_does_not_conform_is_found(kind: type[Device], check: Check, error: type[Exception]) -> None:
    stage = Stage(kind)
    with pytest.raises(error):
        check(stage)


def test_a_mapping_that_is_kept_is_found() -> None:
    stage = Stage(Keeps, WindowedBenchMemory)
    with suppress(Exception):
        conformance.work_is_bounded(stage)
    with pytest.raises(NonconformingError, match="holds on to a mapping"):
        stage.close()


def test_checks_that_say_nothing_of_a_device_are_left_out() -> None:
    class Bare(Device):
        """Has nothing."""

    assert conformance.no_dma_without_mastering in checks_for(Card)
    assert conformance.no_dma_without_mastering not in checks_for(Good)
    assert conformance.an_exception_latches_only_this_device in checks_for(Good)
    assert conformance.an_exception_latches_only_this_device not in checks_for(Bare)


def test_every_check_has_a_device_that_it_is_for() -> None:
    (cases,) = [mark.args[1] for mark in test_a_device_that_does_not_conform_is_found.pytestmark]  # type: ignore[attr-defined]
    assert {check for _, check, _ in cases} == set(CHECKS)


# --- the stage ---------------------------------------------------------------------------------------------------


def test_a_required_property_needs_an_example() -> None:
    class Demanding(Device):
        colour: str = Property(doc="Any.")

    with pytest.raises(AssertionError, match="Demanding needs 'colour': give examples"):
        Stage(Demanding)


def test_an_example_is_taken_before_a_default() -> None:
    class Timed(Device):
        start: str = Property("now", examples=["noon"], doc="When it starts.")

    assert Stage(Timed).device.start == "noon"  # type: ignore[attr-defined]


def test_a_device_without_a_place_says_why() -> None:
    class Homeless(Device):
        def realize(self) -> None:
            self.claim_irq(16)

    with pytest.raises(RealizeError, match="there is no IRQ 16"):
        Stage(Homeless)


def test_a_bus_that_a_device_needs_comes_with_the_device_that_makes_it() -> None:
    assert providers()["pci.0"] is not None
    name, provider = next((name, kind) for name, kind in providers().items() if name != "pci.0")

    class Rider(Device):
        bus: object = Link("buses", name, doc="Where it is.")

    stage = Stage(Rider)
    assert type(stage.bench.machine.devices[f"provider of {name}"]) is provider
    assert isinstance(stage.device, Rider)
    assert stage.device.bus is stage.bench.machine.buses[name]


def test_two_stages_of_a_device_are_the_same() -> None:
    stages = [Stage(Good, seed=3), Stage(Good, seed=3)]
    answers = [stage.storm(200) for stage in stages]
    assert answers[0] == answers[1]
    assert stages[0].device.save() == stages[1].device.save()
    assert Stage(Good, seed=4).random_steps(200) != answers[0][0]
