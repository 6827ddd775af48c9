"""Someone who types and never reads is not read on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from southbridge import Machine
from southbridge.builder import build
from southbridge.control.commands import Commands
from southbridge.description.model import load
from southbridge.hmp.conversation import HumanConversation


class Deaf:
    """Types the same keys for ever, and takes nothing."""

    def __init__(self, keys: bytes) -> None:
        self.reads = 0
        self.waits = asyncio.Event()
        self._keys = keys

    async def read(self) -> bytes:
        self.reads += 1
        return self._keys if self.reads < 5 else b""

    def write(self, data: bytes) -> None:
        pass

    async def drain(self) -> None:
        self.waits.set()
        await asyncio.Event().wait()


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    machine = build(load("pc", ("accelerator=qtest", "memory=16M", "chardevs.serial0.type=null")))
    yield machine
    machine.close()


@pytest.mark.parametrize("keys", [b"help\r", b"\x0c", b"\t", b"a"], ids=["line", "Ctrl-L", "Tab", "letter"])
def test_it_waits_until_what_it_said_is_taken(machine: Machine, keys: bytes) -> None:
    async def talk() -> int:
        deaf = Deaf(keys)
        conversation = asyncio.ensure_future(HumanConversation(machine, Commands(), deaf).run())
        waits = asyncio.ensure_future(deaf.waits.wait())
        await asyncio.wait([conversation, waits], return_when=asyncio.FIRST_COMPLETED)
        conversation.cancel()
        waits.cancel()
        return deaf.reads

    assert asyncio.run(talk()) == 1
