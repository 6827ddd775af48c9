"""Whatever a client gives a command, it gets a result or an error of QMP's, and nothing else happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge import Machine
from southbridge.builder import build
from southbridge.control.commands import (
    DEVICE_NOT_FOUND,
    GENERIC,
    NEGOTIATION,
    NOT_ACTIVE,
    NOT_FOUND,
    Caller,
    CommandError,
    Commands,
)
from southbridge.control.server import all_commands
from southbridge.description.model import load

CLASSES = {GENERIC, NOT_FOUND, DEVICE_NOT_FOUND, NOT_ACTIVE}
RUNNING = {"cont", "quit", "stop", "swap-accelerator", "system_powerdown", "system_reset", "system_wakeup"}
"""What needs a machine that runs."""

LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.integers(),
    st.floats(allow_nan=False),
    st.sampled_from(
        ["", "none", "cd0", "rtc", "/machine", "user", "file", "null", "secret", "raw", "x" * 300, "\0", "é"]
    ),
)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner))


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    machine = build(load("pc", ("accelerator=qtest", "memory=16M", "chardevs.serial0.type=null")))
    yield machine
    machine.close()


@pytest.fixture(scope="module")
def commands(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Files that commands write are in a folder of the test's own."""
    with contextlib.chdir(tmp_path_factory.mktemp("files")):
        yield all_commands(machine)


@st.composite
def arguments(draw: st.DrawFn, names: list[str]) -> dict[str, Any]:
    """Some of the command's arguments, and sometimes one that it hasn't, with values of any kind."""
    known = st.sampled_from(names) if names else st.nothing()
    return draw(st.dictionaries(known | st.text(max_size=4), JSON, max_size=4))


def names_of(schema: list[Any], command: str) -> list[str]:
    kinds = {entry["name"]: entry for entry in schema}
    kind = kinds[kinds[command]["arg-type"]]
    return [member["name"] for member in kind.get("members", ())]


@given(st.data())
def test_a_result_or_an_error(commands: Commands, data: st.DataObject) -> None:
    everything = [command for command in commands.all() if command.name not in {*RUNNING, NEGOTIATION}]

    async def say() -> None:
        schema = await commands.run("query-qmp-schema", {}, Caller())
        command = data.draw(st.sampled_from(everything), label="command")
        given = data.draw(arguments(names_of(schema, command.name)), label="arguments")
        try:
            await commands.run(command.name, given, Caller())
        except CommandError as error:
            assert error.kind in CLASSES
            assert f"{command.name} failed:" not in str(error), "a bug of ours"

    asyncio.run(say())
