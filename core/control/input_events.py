"""What `input-send-event` is given, as QEMU has it, and what it comes to."""

from __future__ import annotations

from typing import Literal, TypedDict

from ..errors import SouthbridgeError
from ..input import BUTTONS, LARGEST_POSITION, SCANCODES, PointerEvent, key_by_number

FARTHEST = 1 << 15
"""How far one event moves a pointer, at most."""
WHEEL = {"wheel-up": -1, "wheel-down": 1}

Button = Literal["left", "right", "middle", "side", "extra", "wheel-up", "wheel-down"]
Axis = Literal["x", "y"]


class NamedKey(TypedDict):
    """A key by its name."""

    type: Literal["qcode"]
    data: str


class NumberedKey(TypedDict):
    """A key by its number."""

    type: Literal["number"]
    data: int


Key = NamedKey | NumberedKey


class KeyMove(TypedDict):
    """A key goes down or up."""

    key: Key
    down: bool


class ButtonMove(TypedDict):
    """A button goes down or up; the wheel's two are notches, when they go down."""

    button: Button
    down: bool


class OnAxis(TypedDict):
    """By how much a pointer moves along an axis, or where it is on it."""

    axis: Axis
    value: int


class KeyInput(TypedDict):
    """`key`."""

    type: Literal["key"]
    data: KeyMove


class ButtonInput(TypedDict):
    """`btn`."""

    type: Literal["btn"]
    data: ButtonMove


class RelativeInput(TypedDict):
    """`rel`."""

    type: Literal["rel"]
    data: OnAxis


class AbsoluteInput(TypedDict):
    """`abs`."""

    type: Literal["abs"]
    data: OnAxis


Event = KeyInput | ButtonInput | RelativeInput | AbsoluteInput


def keys(events: list[Event]) -> list[tuple[str, bool]]:
    """Keys by name, each with whether it goes down. Raises SouthbridgeError for one that there isn't."""
    return [(key_name(event["data"]["key"]), event["data"]["down"]) for event in events if event["type"] == "key"]


def key_name(key: Key) -> str:
    """Its name. Raises SouthbridgeError for one that there isn't."""
    name = key_by_number(key["data"]) if key["type"] == "number" else key["data"]
    if name not in SCANCODES:
        raise SouthbridgeError(f"there is no key {key['data']!r}")
    return name


def pointers(events: list[Event]) -> list[PointerEvent]:
    """At most one of movement and one of positions; buttons and the wheel go with the latter, if there is one."""
    moved = {"x": 0, "y": 0}
    where: dict[str, int] = {}
    pressed = released = dz = 0
    for event in events:
        if event["type"] == "rel":
            movement = event["data"]
            moved[movement["axis"]] += _within("value", movement["value"], -FARTHEST, FARTHEST)
        elif event["type"] == "abs":
            position = event["data"]
            where[position["axis"]] = _within("value", position["value"], 0, LARGEST_POSITION)
        elif event["type"] == "btn":
            button, down = event["data"]["button"], event["data"]["down"]
            if button in WHEEL:
                dz += WHEEL[button] * down
                continue
            mask = BUTTONS[button]
            pressed, released = pressed & ~mask, released & ~mask
            if down:
                pressed |= mask
            else:
                released |= mask
    rest = {"dz": dz, "pressed": pressed, "released": released}
    found: list[PointerEvent] = []
    if any(moved.values()):
        found.append(PointerEvent(dx=moved["x"], dy=moved["y"], **({} if where else rest)))
    if where or (not found and any(rest.values())):
        found.append(PointerEvent(x=where.get("x"), y=where.get("y"), **rest))
    return found


def _within(name: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise SouthbridgeError(f"Parameter '{name}' expects a value from {least} to {most}")
    return value
