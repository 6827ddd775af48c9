"""`input-send-event`: QEMU's shape, and what is told of what is wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from southbridge.control.builtin import MachineCommands
from southbridge.control.commands import Caller, CommandError
from southbridge.machine import Machine

from tests.core.test_input import Sink


@pytest.fixture
def machine() -> Machine:
    machine = Machine(memory=1 << 20)
    mouse, tablet = Sink(), Sink(absolute=True)
    machine.input.keyboards.append(mouse)
    machine.input.pointers.extend([mouse, tablet])
    return machine


def send(machine: Machine, *events: Any) -> Any:
    commands = MachineCommands(machine).commands
    return asyncio.run(commands.run("input-send-event", {"events": list(events)}, Caller()))


def event(kind: str, **data: Any) -> dict[str, Any]:
    return {"type": kind, "data": data}


def test_keys_by_name_and_number(machine: Machine) -> None:
    events = [
        event("key", down=down, key={"type": kind, "data": data})
        for down in (True, False)
        for kind, data in (("qcode", "ctrl_r"), ("number", 0x1E))
    ]
    assert send(machine, *events) == {}
    (sink,) = machine.input.keyboards
    assert isinstance(sink, Sink)
    assert sink.keys == [("ctrl_r", True), ("a", True), ("ctrl_r", False), ("a", False)]


def test_a_combination_of_keys(machine: Machine) -> None:
    keys = [{"type": "qcode", "data": name} for name in ("ctrl", "alt", "delete")]
    commands = MachineCommands(machine).commands
    assert asyncio.run(commands.run("send-key", {"keys": keys, "hold-time": 0}, Caller())) == {}
    (sink,) = machine.input.keyboards
    assert isinstance(sink, Sink)
    down = [("ctrl", True), ("alt", True), ("delete", True)]
    assert sink.keys == [*down, *((name, False) for name, _ in reversed(down))]
    with pytest.raises(CommandError, match="there is no key 'any'"):
        asyncio.run(commands.run("send-key", {"keys": [{"type": "qcode", "data": "any"}]}, Caller()))


def test_what_the_pointer_does_is_one_event(machine: Machine) -> None:
    send(
        machine,
        event("abs", axis="x", value=100),
        event("abs", axis="y", value=32767),
        event("btn", button="left", down=True),
        event("btn", button="wheel-down", down=True),
        event("btn", button="wheel-down", down=False),
    )
    send(machine, event("rel", axis="x", value=-3), event("rel", axis="x", value=-4), event("rel", axis="y", value=1))
    send(machine, event("btn", button="left", down=False))
    mouse, tablet = machine.input.pointers
    assert isinstance(mouse, Sink) and isinstance(tablet, Sink)
    assert [(e.x, e.y, e.dz, e.pressed, e.released) for e in tablet.events] == [
        (100, 32767, 1, 1, 0),
        (None, None, 0, 0, 1),
    ]
    assert [(e.dx, e.dy, e.pressed) for e in mouse.events] == [(-7, 1, 0)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (event("key", down=True, key={"type": "qcode", "data": "any"}), "there is no key 'any'"),
        (event("key", down=True, key={"type": "number", "data": 0x7F}), "there is no key 127"),
        (
            event("key", down=1, key={"type": "qcode", "data": "a"}),
            r"type for 'events\[1\].data.down', expected: boolean",
        ),
        (event("abs", axis="x", value=32768), "expects a value from 0 to 32767"),
        (event("abs", axis="z", value=1), "'axis' does not accept value 'z'"),
        (event("swipe"), "'type' does not accept value 'swipe'"),
    ],
)
def test_what_is_wrong_with_it(machine: Machine, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        send(machine, event("key", down=True, key={"type": "qcode", "data": "b"}), wrong)
    (sink,) = machine.input.keyboards
    assert isinstance(sink, Sink)
    assert sink.keys == []


def test_nobody_takes_it() -> None:
    with pytest.raises(CommandError, match="uses no device"):
        send(Machine(memory=1 << 20), event("key", down=True, key={"type": "qcode", "data": "b"}))
