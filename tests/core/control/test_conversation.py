"""Out-of-band commands, and events that come too often."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest
from southbridge.control import throttle
from southbridge.control.commands import Commands, out_of_band
from southbridge.control.connection import Connection
from southbridge.control.conversation import Conversation
from southbridge.control.session import render
from southbridge.control.throttle import Throttle

Line = dict[str, Any]
PATIENCE_S = 60.0


async def converse(*said: Line) -> list[Line]:
    """What a client that says all of this at once hears, in order, but for the greeting."""
    released = asyncio.Event()

    async def wait() -> str:
        await released.wait()
        return "waited"

    @out_of_band
    def release() -> None:
        released.set()

    commands = Commands()
    commands.add("wait", wait)
    commands.add("release", release)
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"".join(json.dumps(line).encode() for line in said))
        theirs.shutdown(socket.SHUT_WR)
        connection = Connection(ours)
        await asyncio.wait_for(Conversation(commands, connection, render).run(), PATIENCE_S)
        connection.close()
        return [json.loads(line) for line in theirs.makefile("rb")][1:]


ENABLE: Line = {"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}


def test_an_urgent_command_overtakes() -> None:
    heard = asyncio.run(converse(ENABLE, {"execute": "wait", "id": 1}, {"exec-oob": "release", "id": 2}))
    assert heard == [{"return": {}}, {"return": {}, "id": 2}, {"return": "waited", "id": 1}]


@pytest.mark.parametrize(
    ("said", "description"),
    [
        ({"exec-oob": "query"}, "The command query has not been found"),
        ({"exec-oob": "wait"}, "The command wait does not support OOB"),
        ({"exec-oob": "release", "execute": "wait"}, "QMP input member 'exec-oob' clashes with 'execute'"),
        ({"exec-oob": 1}, "QMP input member 'exec-oob' must be a string"),
    ],
)
def test_what_cant_be_urgent(said: Line, description: str) -> None:
    (_, answer) = asyncio.run(converse(ENABLE, said))
    assert answer["error"]["desc"] == description


def test_urgent_needs_the_capability() -> None:
    (_, answer) = asyncio.run(converse({"execute": "qmp_capabilities"}, {"exec-oob": "release"}))
    assert answer["error"]["desc"] == "QMP input member 'exec-oob' is unexpected"


def test_events_of_a_kind_are_told_once_in_a_while_and_the_last_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(throttle.RATES, "WATCHDOG", 0.01)
    heard: list[bytes] = []

    async def run() -> None:
        events = Throttle(heard.append)
        for number in range(100):
            events.tell("WATCHDOG", {}, b"%d" % number)
            events.tell("STOP", {}, b"stop")
        assert heard == [b"0", *[b"stop"] * 100]
        while heard[-1] != b"99":
            await asyncio.sleep(0)
        events.tell("VSERPORT_CHANGE", {"id": "a"}, b"a")
        events.tell("VSERPORT_CHANGE", {"id": "b"}, b"b")
        events.tell("VSERPORT_CHANGE", {"id": "b"}, b"c")
        assert heard[-2:] == [b"a", b"b"]
        events.close()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))
    assert heard[-1] == b"c"
