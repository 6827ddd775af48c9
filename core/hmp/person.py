"""Words that do what somebody in front of the machine does: keys, the mouse, a look at the screen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..input import SCANCODES, key_by_number
from .expression import expression, optional_expression
from .line import Line, LineError
from .word import Word

if TYPE_CHECKING:
    from .monitor import HumanMonitor

_NAMES = {"<": "less", "-": "minus"}
_BUTTONS = ("left", "right", "middle")


async def _send_key(monitor: HumanMonitor, line: Line) -> str | None:
    text = line.word()
    hold = optional_expression(line)
    line.end()
    keys = []
    for name in text.split("-") if text != "-" else ["minus"]:
        key = _key(_NAMES.get(name, name))
        if key is None:
            return f"invalid parameter: {name}"
        keys.append({"type": "qcode", "data": key})
    # Not waited for: the next key may be typed meanwhile.
    monitor.in_background(monitor.qmp("send-key", keys=keys, hold_time=hold))
    await asyncio.sleep(0)
    return None


def _key(name: str) -> str | None:
    if name.startswith("0x"):
        try:
            return key_by_number(int(name, 16))
        except ValueError:
            return None
    return name if name in SCANCODES else None


async def _mouse_move(monitor: HumanMonitor, line: Line) -> None:
    dx, dy = line.word(), line.word()
    dz = line.optional_word()
    line.end()
    try:
        moves = [("x", int(dx, 0)), ("y", int(dy, 0))]
        notches = int(dz or "0", 0)
    except ValueError:
        raise LineError(f"{line.name}: number expected") from None
    events = [{"type": "rel", "data": {"axis": axis, "value": value}} for axis, value in moves if value]
    button = "wheel-up" if notches < 0 else "wheel-down"
    events += [{"type": "btn", "data": {"button": button, "down": down}} for down in (True, False) if notches]
    if events:
        await monitor.qmp("input-send-event", events=events)


async def _mouse_button(monitor: HumanMonitor, line: Line) -> None:
    state = expression(line)
    line.end()
    changed = state ^ monitor.buttons
    monitor.buttons = state
    events = [
        {"type": "btn", "data": {"button": button, "down": bool(state >> number & 1)}}
        for number, button in enumerate(_BUTTONS)
        if changed >> number & 1
    ]
    if events:
        await monitor.qmp("input-send-event", events=events)


async def _screendump(monitor: HumanMonitor, line: Line) -> None:
    path = line.word("filename expected")
    format = None
    while (word := line.optional_word()) is not None:
        if word == "-f":
            format = line.word()
        elif word.startswith("-f"):
            format = word.removeprefix("-f")
        else:
            raise LineError(f"{line.name}: extraneous characters at the end of line")
    await monitor.qmp("screendump", filename=path, format=format)


async def _set_password(monitor: HumanMonitor, line: Line) -> None:
    protocol, password = line.word(), line.word()
    connected = line.optional_word()
    line.end()
    await monitor.qmp("set_password", protocol=protocol, password=password, connected=connected)


WORDS = (
    Word(("sendkey",), "keys [hold_ms]", "send keys to the VM (e.g. 'sendkey ctrl-alt-f1')", _send_key),
    Word(("mouse_move",), "dx dy [dz]", "send mouse move events", _mouse_move),
    Word(("mouse_button",), "state", "change mouse button state (1=L, 2=R, 4=M)", _mouse_button),
    Word(("screendump",), "filename [-f format]", "save the screen into an image file", _screendump),
    Word(("set_password",), "protocol password [action]", "set a display's password", _set_password),
)
