"""What `input-send-event` is given, as QEMU has it, and what it comes to."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import SouthbridgeError
from ..input import BUTTONS, LARGEST_POSITION, SCANCODES, PointerEvent, key_by_number
from .commands import CommandError, complaint

FARTHEST = 1 << 15
"""How far one event moves a pointer, at most."""
WHEEL = {"wheel-up": -1, "wheel-down": 1}

Button = Literal["left", "right", "middle", "side", "extra", "wheel-up", "wheel-down"]
Axis = Literal["x", "y"]


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NamedKey(_Plain):
    """A key by its name."""

    type: Literal["qcode"]
    data: str


class NumberedKey(_Plain):
    """A key by its number."""

    type: Literal["number"]
    data: Annotated[int, Field(ge=1, le=0xFF)]


class KeyMove(_Plain):
    """A key goes down or up."""

    key: Annotated[NamedKey | NumberedKey, Field(discriminator="type")]
    down: bool


class ButtonMove(_Plain):
    """A button goes down or up; the wheel's two are notches, when they go down."""

    button: Button
    down: bool


class Movement(_Plain):
    """By how much a pointer moves along an axis."""

    axis: Axis
    value: Annotated[int, Field(ge=-FARTHEST, le=FARTHEST)]


class Position(_Plain):
    """Where a pointer is on an axis."""

    axis: Axis
    value: Annotated[int, Field(ge=0, le=LARGEST_POSITION)]


class KeyInput(_Plain):
    """`key`."""

    type: Literal["key"]
    data: KeyMove


class ButtonInput(_Plain):
    """`btn`."""

    type: Literal["btn"]
    data: ButtonMove


class RelativeInput(_Plain):
    """`rel`."""

    type: Literal["rel"]
    data: Movement


class AbsoluteInput(_Plain):
    """`abs`."""

    type: Literal["abs"]
    data: Position


Event = Annotated[KeyInput | ButtonInput | RelativeInput | AbsoluteInput, Field(discriminator="type")]


class _Arguments(_Plain):
    events: Annotated[list[Event], Field(max_length=1024)]


def parsed(events: list[Any]) -> list[Event]:
    """The events. Raises CommandError."""
    try:
        return _Arguments.model_validate({"events": events}).events
    except ValidationError as error:
        raise CommandError(complaint(error)) from None


def keys(events: list[Event]) -> list[tuple[str, bool]]:
    """Keys by name, each with whether it goes down. Raises SouthbridgeError for one that there isn't."""
    return [(_key(event.data.key), event.data.down) for event in events if isinstance(event, KeyInput)]


def _key(key: NamedKey | NumberedKey) -> str:
    name = key_by_number(key.data) if isinstance(key, NumberedKey) else key.data
    if name not in SCANCODES:
        raise SouthbridgeError(f"there is no key {key.data!r}")
    return name


def pointers(events: list[Event]) -> list[PointerEvent]:
    """At most one of movement and one of positions; buttons and the wheel go with the latter, if there is one."""
    moved = {"x": 0, "y": 0}
    where: dict[str, int] = {}
    pressed = released = dz = 0
    for event in events:
        match event:
            case RelativeInput():
                moved[event.data.axis] += event.data.value
            case AbsoluteInput():
                where[event.data.axis] = event.data.value
            case ButtonInput() if event.data.button in WHEEL:
                dz += WHEEL[event.data.button] * event.data.down
            case ButtonInput():
                mask = BUTTONS[event.data.button]
                pressed, released = pressed & ~mask, released & ~mask
                if event.data.down:
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
