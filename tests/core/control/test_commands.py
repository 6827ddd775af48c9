"""Commands as functions: what is checked, and when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from southbridge import Machine, MiB, PluginError
from southbridge.control.builtin import MachineCommands
from southbridge.control.commands import Caller, CommandError, Commands


def test_every_command_of_ours_makes_sense() -> None:
    commands = MachineCommands(Machine(memory=MiB)).commands
    for command in commands.all():
        command.check()
        assert command.doc, command.name


def test_a_plugins_that_makes_none_is_not_added() -> None:
    def command(value: Unknown) -> None:  # type: ignore[name-defined]  # noqa: F821
        pass

    commands = Commands()
    with pytest.raises(PluginError, match="monitor command 'it': NameError"):
        commands.add("it", command)
    assert [command.name for command in commands.all()] == ["qmp_capabilities"]


def told(given: dict[str, Any]) -> Any:
    def command(number: int, some_text: str | None = None, **others: Any) -> list[Any]:
        return [number, some_text, others]

    commands = Commands()
    commands.add("it", command)
    return asyncio.run(commands.run("it", given, Caller()))


def test_arguments() -> None:
    assert told({"number": 1}) == [1, None, {}]
    assert told({"number": 1, "some-text": "a", "more": [2]}) == [1, "a", {"more": [2]}]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "Parameter 'number' is missing"),
        ({"number": "1"}, "Invalid parameter type for 'number', expected: integer"),
        ({"number": True}, "Invalid parameter type for 'number', expected: integer"),
        ({"number": 1, "some-text": 2}, "Invalid parameter type for 'some-text', expected: string"),
        ({"number": 1, "some_text": "a"}, "Parameter 'some_text' is unexpected"),
    ],
)
def test_wrong_arguments(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        told(given)
