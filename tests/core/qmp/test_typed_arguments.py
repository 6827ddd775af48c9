"""Arguments of the types that a command wants, whatever their values: a result of its type, or an error."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from southbridge import Machine
from southbridge.builder import build
from southbridge.control.commands import (
    DEVICE_NOT_FOUND,
    GENERIC,
    NOT_ACTIVE,
    NOT_FOUND,
    Caller,
    Command,
    CommandError,
    Commands,
)
from southbridge.control.qapi import BUILTINS, Alternate, Array, Builtin, Enum, Invalid, Kind, Object
from southbridge.control.schema import introspection
from southbridge.control.server import all_commands
from southbridge.description import load
from southbridge.qmp.events import EVENTS

CLASSES = {GENERIC, NOT_FOUND, DEVICE_NOT_FOUND, NOT_ACTIVE}
LEFT_OUT = {"quit", "send-key", "human-monitor-command", "snapshot-save", "swap-accelerator"}
"""What ends the machine, takes as long as it is told to, or is words for people. Their arguments are checked only."""
ALPHABET = "ab0 .-_%\"'\\\n\0\x7f\u20ac\U0001f600"
"""Without what leads to other folders, or runs commands."""
EXAMPLES = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

texts = st.text(ALPHABET, max_size=8) | st.sampled_from(["nic0", "/machine", "pc.ram", "serial0", "rtc", "type", "cd0"])
numbers = st.integers(-(1 << 65), 1 << 65) | st.integers(-2, 300)
leaves = st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False) | texts
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)


def of_kind(kind: Kind, depth: int = 3) -> st.SearchStrategy[Any]:
    """Values of the type, or nearly."""
    if depth <= 0 and not isinstance(kind, Enum):
        return anything
    match kind:
        case Builtin():
            plain = {BUILTINS[str]: texts, BUILTINS[int]: numbers, BUILTINS[bool]: st.booleans()}
            return plain.get(kind, anything)
        case Enum():
            return st.sampled_from(kind.values)
        case Array():
            return st.lists(of_kind(kind.item, depth - 1), max_size=3)
        case Alternate():
            return st.one_of([of_kind(one, depth - 1) for one in kind.kinds])
        case Object():
            return objects(kind, depth)
    raise AssertionError(kind)


def objects(kind: Object, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    def members(members: Any) -> st.SearchStrategy[dict[str, Any]]:
        kinds = {one.name: of_kind(one.kind, depth - 1) for one in members}
        needed = {one.name for one in members if not one.optional}
        return st.fixed_dictionaries(
            {name: kinds[name] for name in needed},
            optional={name: kinds[name] for name in kinds if name not in needed},
        )

    found = members(kind.members)
    if kind.tag:
        found = found.flatmap(
            lambda value: members(kind.variants[value[kind.tag]].members).map(lambda more: value | more)
        )
    return found


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    (tmp_path / "disc").write_bytes(bytes(1 << 16))
    (tmp_path / "pc.yaml").write_text(
        "extends: pc\naccelerator: qtest\nmemory: 1M\nmaxcpus: 2\nchardevs: {serial0: {type: 'null'}}\n"
        "blockdevs: {disc: {type: raw, path: disc, read_only: true}}\n"
        "devices: {nic0: {type: e1000}, cd0: {type: ide-cd, drive: disc}}\n"
    )

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "there are no names here")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    made = build(load(str(tmp_path / "pc.yaml")))
    yield made
    made.close()


def say(commands: Commands, command: Command, arguments: Any) -> None:
    try:
        result = asyncio.run(commands.run(command.name, arguments, Caller()))
    except CommandError as error:
        assert error.kind in CLASSES
        assert not str(error).startswith(f"{command.name} failed: "), error
    else:
        command.result.check(result, command.name)


@EXAMPLES
@given(data=st.data())
def test_what_is_of_the_right_types(machine: Machine, data: st.DataObject) -> None:
    commands = all_commands(machine)
    command = data.draw(st.sampled_from([one for one in commands.all() if one.name not in LEFT_OUT]), "command")
    arguments = data.draw(of_kind(command.arguments), "arguments")
    assume(isinstance(arguments, dict))
    say(commands, command, arguments)


@settings(EXAMPLES, max_examples=300)
@given(value=anything, which=st.integers(0, 10_000))
def test_every_type_takes_a_value_or_says_what_is_wrong(value: Any, which: int) -> None:
    commands = all_commands(Machine(memory=1 << 20)).all()
    command = commands[which % len(commands)]
    for kind in (command.arguments, command.result):
        try:
            kind.check(value, "it")
        except Invalid as wrong:
            assert str(wrong)


def test_the_schema_names_every_type_once() -> None:
    entries: list[Any] = introspection(all_commands(Machine(memory=1 << 20)).all(), EVENTS)
    assert len({entry["name"] for entry in entries}) == len(entries)
