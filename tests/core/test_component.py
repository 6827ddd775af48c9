from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from southbridge import RO, Component, Device, Part, Parts, PortBank, SouthbridgeError, State, bit, timer
from southbridge.testing import Bench

Saved = dict[str, Any]


class Channel(Component):
    """A part with everything that a part can have."""

    ports = PortBank(2)
    COUNT = ports.register(0, 2, widths=(1, 2), reset=0x1234)
    mode: int = State(3, ge=0, le=5)
    _latched: bytes | None = State(None, max_length=2)

    @timer
    def expire(self, times: Annotated[int, Field(ge=0, le=9)] = 1, *, by: str = "clock") -> None:
        device = self.device
        assert isinstance(device, Chip)
        device.log.append((self.path, times, by))


class Chip(Device):
    """A device with parts."""

    ports = PortBank(4)
    CONTROL = ports.register(0, fields={"ENABLE": bit(0)})
    ID = ports.register(1, reset=None, access=RO)
    queue: list[int] = State([1, 2], max_length=4)
    copy: dict[str, list[int]] = State({"rows": [0, 0]}, doc="A name that pydantic has a use for.")
    boots: int = State(0, keep=True, ge=0)
    first: Channel = Part(Channel)
    others: list[Channel] = Parts(Channel, 2)

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.log: list[Any] = []

    @timer
    def tick(self) -> None:
        self.log.append("tick")

    def loaded(self) -> None:
        self.log.append("loaded")


@pytest.fixture
def plain() -> Bench:
    return Bench()


@pytest.fixture
def chip(plain: Bench) -> Chip:
    made: Chip = plain.plug(Chip, "chip")
    return made


def stir(chip: Chip) -> None:
    """Changes everything."""
    chip.CONTROL.ENABLE = 1
    chip.ID.value = 0x77
    chip.queue.append(3)
    chip.copy["rows"][1] = 9
    chip.boots = 2
    chip.others[1].COUNT.value = 7
    chip.others[1].mode = 0
    chip.first._latched = b"ab"
    chip.first.expire.after(us=3, times=2)
    chip.others[0].expire.after(us=5, times=4, by="guest")
    chip.tick.after(us=4)


# --- parts, state, timers ----------------------------------------------------------------------------------------


def test_parts_know_their_device_and_place(chip: Chip) -> None:
    assert [component.path for component in chip.components()] == ["", "first", "others[0]", "others[1]"]
    assert chip.others[1].device is chip
    assert [region.name for region in chip.regions()] == [
        "chip.ports",
        "chip.first.ports",
        "chip.others[0].ports",
        "chip.others[1].ports",
    ]


def test_a_parts_guest_errors_name_it(plain: Bench, chip: Chip) -> None:
    chip.others[1].guest_error("oops")
    assert plain.guest_errors == ["chip: others[1]: oops"]


class Board(Device):
    """Has as many channels as the machine has CPUs."""

    channels: list[Channel] = Parts(Channel)

    def realize(self) -> None:
        self.make_parts("channels", self.machine.cpus.max)


def test_a_number_of_parts_that_only_the_machine_knows(plain: Bench) -> None:
    plain.machine.cpus.max = 3
    board = plain.plug(Board)
    assert [part.path for part in board.channels] == ["channels[0]", "channels[1]", "channels[2]"]
    assert board.components() == [board, *board.channels]
    saved = board.save()
    assert list(saved["parts"]) == ["channels[0]", "channels[1]", "channels[2]"]
    board.load(saved)
    del saved["parts"]["channels[2]"]
    with pytest.raises(SouthbridgeError, match=r"channels\[2\]"):
        board.load(saved)


def test_like_parts_share_no_state(chip: Chip) -> None:
    chip.others[0].COUNT.value = 1
    chip.others[0].mode = 1
    chip.others[0].expire.after(us=1)
    assert (chip.others[1].COUNT.value, chip.others[1].mode, chip.others[1].expire.pending) == (0x1234, 3, False)


def test_a_reset_restores_state_and_cancels_timers_of_all_parts(plain: Bench, chip: Chip) -> None:
    fresh = chip.save()
    stir(chip)
    chip.reset()
    assert chip.save() == {
        **fresh,
        "registers": {"CONTROL": 0, "ID": 0x77},
        "state": {**fresh["state"], "boots": 2},
    }
    plain.clock.advance(ms=1)
    assert chip.log == []


def test_a_reset_value_is_not_changed_by_its_users(plain: Bench, chip: Chip) -> None:
    stir(chip)
    other = plain.plug(Chip, "other")
    assert (other.queue, other.copy) == ([1, 2], {"rows": [0, 0]})
    chip.reset()
    assert (chip.queue, chip.copy) == ([1, 2], {"rows": [0, 0]})
    Chip("never reset").queue.append(9)
    assert Chip("another").queue == [1, 2]


def test_a_timer_is_also_a_method(chip: Chip) -> None:
    chip.first.expire.after(us=1)
    chip.first.expire(7, by="test")
    assert chip.log == [("first", 7, "test")]
    assert chip.first.expire.pending


def test_timers_run_with_their_arguments(plain: Bench, chip: Chip) -> None:
    stir(chip)
    plain.clock.advance(us=10)
    assert chip.log == [("first", 2, "clock"), "tick", ("others[0]", 4, "guest")]


def test_a_subclass_adds_to_and_replaces_declarations(plain: Bench) -> None:
    class Better(Chip):
        CONTROL = Chip.ports.register(0, reset=0x80)
        MORE = Chip.ports.register(2)
        first: Channel = Part(Channel)
        speed: int = State(1)

        @timer
        def tick(self) -> None:
            self.log.append("better tick")

    better = plain.plug(Better)
    assert better.CONTROL.value == 0x80
    assert [spec.name for spec in Better.register_specs] == ["ID", "CONTROL", "MORE"]
    better.tick.after(us=1)
    saved = better.save()
    assert set(saved["timers"]) == {"tick"}
    better.load(saved)
    plain.clock.advance(us=1)
    assert better.log == ["loaded", "better tick"]


# --- saved state -------------------------------------------------------------------------------------------------


def test_what_was_saved_is_loaded_and_goes_on(plain: Bench, chip: Chip) -> None:
    stir(chip)
    saved = chip.save()
    other = plain.plug(Chip, "other")
    other.load(saved)
    assert other.save() == saved
    assert other.log == ["loaded"]
    plain.clock.advance(us=10)
    assert other.log == ["loaded", *chip.log]


def test_saved_state_is_plain_and_stays_as_it_was(chip: Chip) -> None:
    saved = chip.save()
    before = copy.deepcopy(saved)
    stir(chip)
    assert saved == before
    chip.load(saved)
    stir(chip)
    assert saved == before
    assert saved["version"] == 1
    assert set(saved["parts"]) == {"first", "others[0]", "others[1]"}


def test_loading_cancels_timers_that_were_not_set(plain: Bench, chip: Chip) -> None:
    saved = chip.save()
    stir(chip)
    chip.load(saved)
    plain.clock.advance(ms=1)
    assert chip.log == ["loaded"]


def put(*path: str, value: Any) -> Callable[[Saved], None]:
    """Changes the value at `path`."""

    def change(saved: Any) -> None:
        for key in path[:-1]:
            saved = saved[key]
        saved[path[-1]] = value

    return change


def remove(*path: str) -> Callable[[Saved], None]:
    """Removes the value at `path`."""

    def change(saved: Any) -> None:
        for key in path[:-1]:
            saved = saved[key]
        del saved[path[-1]]

    return change


DEADLINE = {"deadline": 5, "arguments": {}}

HOSTILE: dict[str, tuple[Callable[[Saved], None], str]] = {
    "another version": (put("version", value=2), "version 2; Chip takes 1"),
    "version of another type": (put("version", value="1"), "version '1'"),
    "no version": (remove("version"), "version None"),
    "another section": (put("more", value={}), "more"),
    "no section": (remove("timers"), "timers"),
    "section of another type": (put("registers", value=[]), "registers"),
    "another register": (put("registers", "DATA", value=0), "registers.DATA"),
    "no register": (remove("registers", "CONTROL"), "registers.CONTROL"),
    "register too large": (put("registers", "CONTROL", value=0x100), "registers.CONTROL"),
    "register negative": (put("registers", "CONTROL", value=-1), "registers.CONTROL"),
    "register of another type": (put("registers", "CONTROL", value="1"), "registers.CONTROL"),
    "register a fraction": (put("registers", "CONTROL", value=1.0), "registers.CONTROL"),
    "register a truth value": (put("registers", "CONTROL", value=True), "registers.CONTROL"),
    "state out of range": (put("parts", "others[1]", "state", "mode", value=6), "others[1]: state.mode"),
    "state too long": (put("state", "queue", value=[0] * 5), "state.queue"),
    "state of another type": (put("state", "queue", value=["a"]), "state.queue"),
    "nested state of another type": (put("state", "copy", value={"rows": [None]}), "state.copy"),
    "bytes too long": (put("parts", "first", "state", "_latched", value=b"abc"), "chip.first: state._latched"),
    "another part": (put("parts", "others[2]", value={}), "parts.others[2]"),
    "no part": (remove("parts", "first"), "parts.first"),
    "part of another type": (put("parts", "first", value=None), "parts.first"),
    "another timer": (put("timers", "tock", value=DEADLINE), "timers.tock"),
    "timer that is nothing": (put("timers", "tick", value=None), "timers.tick"),
    "timer before the beginning": (put("timers", "tick", "deadline", value=-1), "timers.tick.deadline"),
    "timer beyond the end": (put("timers", "tick", "deadline", value=1 << 63), "timers.tick.deadline"),
    "timer with an argument too many": (put("timers", "tick", "arguments", "x", value=1), "timers.tick.arguments.x"),
    "timer with an argument out of range": (
        put("parts", "first", "timers", "expire", "arguments", "times", value=10),
        "timers.expire.arguments.times",
    ),
    "timer with an argument of another type": (
        put("parts", "first", "timers", "expire", "arguments", "times", value="1"),
        "timers.expire.arguments.times",
    ),
}


@pytest.mark.parametrize(("change", "what"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_state_is_refused_and_changes_nothing(chip: Chip, change: Callable[[Saved], None], what: str) -> None:
    """Security rule 8: a restored state is validated, all of it, before any of it takes effect."""
    stir(chip)
    before = chip.save()
    hostile = copy.deepcopy(before)
    hostile["registers"]["CONTROL"] = 0
    hostile["parts"]["first"]["registers"]["COUNT"] = 0
    change(hostile)
    with pytest.raises(SouthbridgeError, match="saved state of chip") as caught:
        chip.load(hostile)
    assert what in str(caught.value)
    assert chip.save() == before
    assert chip.log == []


@pytest.mark.parametrize("saved", [None, [], "state", 1, {}])
def test_what_is_no_state_at_all_is_refused(chip: Chip, saved: Any) -> None:
    with pytest.raises(SouthbridgeError, match="saved state of chip"):
        chip.load(saved)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 1 << 70) | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_any_other_value_anywhere_is_refused_or_comes_out_again(data: st.DataObject) -> None:
    chip = Bench().plug(Chip, "chip")
    stir(chip)
    before = chip.save()
    hostile = copy.deepcopy(before)
    place = hostile
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or not place[key] or data.draw(st.integers(0, 3)) == 0:
            break
        place = place[key]
    place[key] = data.draw(PLAIN)
    try:
        chip.load(hostile)
    except SouthbridgeError:
        assert chip.save() == before
    else:
        assert chip.save() == hostile
