"""Who gets what a user types and points at."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from southbridge.input import LEFT, RIGHT, SCANCODES, Input, PointerEvent, key_by_number


@dataclass
class Sink:
    """Takes everything."""

    absolute: bool = False
    takes_input: bool = True
    keys: list[tuple[str, bool]] = field(default_factory=list)
    events: list[PointerEvent] = field(default_factory=list)

    def key_event(self, key: str, pressed: bool) -> None:
        self.keys.append((key, pressed))

    def pointer_event(self, event: PointerEvent) -> None:
        self.events.append(event)


def hub(*sinks: Sink) -> Input:
    found = Input()
    found.keyboards.extend(sinks)
    found.pointers.extend(sinks)
    return found


def test_the_newest_keyboard_in_use_has_the_keys() -> None:
    old, new = Sink(), Sink()
    keys = hub(old, new)
    assert keys.key("a", True)
    new.takes_input = False
    assert keys.key("b", True)
    assert (old.keys, new.keys) == ([("b", True)], [("a", True)])


def test_a_key_is_released_where_it_was_pressed() -> None:
    old, new = Sink(), Sink(takes_input=False)
    keys = hub(old, new)
    keys.key("a", True)
    new.takes_input = True
    keys.key("a", False)
    assert (old.keys, new.keys) == ([("a", True), ("a", False)], [])


def test_a_keyboard_that_is_gone_gets_nothing() -> None:
    old, new = Sink(), Sink()
    keys = hub(old, new)
    keys.key("a", True)
    keys.remove(new)
    keys.key("a", False)
    assert (old.keys, new.keys) == ([("a", False)], [("a", True)])


def test_nobody_takes_it() -> None:
    assert not hub().key("a", True)
    assert not hub(Sink(takes_input=False)).point(PointerEvent(dx=1))
    with pytest.raises(KeyError):
        hub().key("any", True)


def test_movement_and_positions_go_to_those_who_take_them() -> None:
    tablet, mouse = Sink(absolute=True), Sink()
    pointers = hub(tablet, mouse)
    events = [PointerEvent(dx=1), PointerEvent(x=5), PointerEvent(pressed=LEFT), PointerEvent(y=5, pressed=RIGHT)]
    assert all(pointers.point(event) for event in events)
    assert mouse.events == [events[0], events[2]]
    assert tablet.events == [events[1], events[3]]


def test_buttons() -> None:
    assert PointerEvent(pressed=LEFT, released=RIGHT).buttons(RIGHT) == LEFT


@pytest.mark.parametrize(
    ("number", "key"), [(1, "esc"), (0x1E, "a"), (0x9C, "kp_enter"), (0xCD, "right"), (0xC6, "pause"), (0x7F, None)]
)
def test_numbers_of_keys(number: int, key: str | None) -> None:
    assert key_by_number(number) == key


def test_every_key_has_a_code_of_its_own() -> None:
    assert len(set(SCANCODES.values())) == len(SCANCODES)
