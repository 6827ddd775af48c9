"""Who is let in: versions, passwords; and what a stranger can say."""

from __future__ import annotations

import asyncio
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.rfb import des, security, server
from southbridge.rfb.messages import MOST_ENCODINGS, read_message
from southbridge.rfb.pixels import ProtocolError
from southbridge.rfb.security import Security
from southbridge.rfb.stream import PIECE

from .stage import Stage, staged
from .viewer import RAW


def test_version_3_3() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.connect()
        await viewer.version(b"RFB 003.003\n")
        assert await viewer.number(">I") == 1
        await viewer.begin()
        viewer.request(incremental=False)
        await viewer.update()

    staged(test)


@pytest.mark.parametrize("version", [b"RFB 003.004\n", b"RFB 003.005\n", b"RFB 003.006\n"])
def test_versions_that_never_were_are_3_3(version: bytes) -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.connect()
        await viewer.version(version)
        assert await viewer.number(">I") == 1

    staged(test)


def test_version_3_7_has_no_result_where_nothing_was_asked() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.connect()
        await viewer.version(b"RFB 003.007\n")
        assert await viewer.security_types() == [1]
        viewer.write(b"\1")
        await viewer.begin()

    staged(test)


@pytest.mark.parametrize("version", [b"RFB 003.008\n", b"RFB 003.889\n"])
def test_version_3_8_and_what_calls_itself_newer(version: bytes) -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.connect()
        await viewer.version(version)
        assert await viewer.security_types() == [1]
        viewer.write(b"\1")
        assert await viewer.result() == ""
        await viewer.begin()

    staged(test)


@pytest.mark.parametrize("version", [b"GET / HTTP/1", b"RFB 004.000\n", b"RFB 003.xyz\n", bytes(12)])
def test_other_protocols(version: bytes) -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.connect()
        await viewer.version(version)
        assert await viewer.reader.read() == b""

    staged(test)


def test_a_security_type_that_was_not_offered() -> None:
    """Not even none, where a password is asked for."""

    async def test(stage: Stage) -> None:
        viewer = await stage.connect()
        await viewer.version()
        assert await viewer.security_types() == [2]
        viewer.write(b"\1")
        assert await viewer.reader.read() == b""

    staged(test, security=Security("secret"))


@pytest.mark.parametrize("minor", [3, 7, 8])
def test_the_password(minor: int) -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.connect()
        await viewer.version(b"RFB 003.00%d\n" % minor)
        if minor == 3:
            assert await viewer.number(">I") == 2
        else:
            assert await viewer.security_types() == [2]
            viewer.write(b"\2")
        viewer.write(des.answer(b"secret", await viewer.read(16)))
        assert await viewer.result() == ""
        await viewer.begin()

    staged(test, security=Security("secret"))


@pytest.mark.parametrize("answer", [b"wrong", b"", b"secre"])
def test_a_wrong_password(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "PENALTY_SECONDS", 0)

    async def test(stage: Stage) -> None:
        viewer = await stage.connect()
        await viewer.version()
        await viewer.security_types()
        viewer.write(b"\2")
        viewer.write(des.answer(answer, await viewer.read(16)))
        assert await viewer.result() == "wrong password"
        assert await viewer.reader.read() == b""

    staged(test, security=Security("secret"))


def test_challenges_differ() -> None:
    """An answer that somebody overheard is of no use."""

    async def test(stage: Stage) -> None:
        challenges = set()
        for _ in range(3):
            viewer = await stage.connect()
            await viewer.version()
            await viewer.security_types()
            viewer.write(b"\2")
            challenges.add(await viewer.read(16))
        assert len(challenges) == 3

    staged(test, security=Security("secret"))


def test_a_client_that_says_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PATIENCE_SECONDS", 0.01)

    async def test(stage: Stage) -> None:
        viewer = await stage.connect()
        assert await viewer.reader.read() == b"RFB 003.008\n"

    staged(test)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=10))
def test_garbage_before_coming_in(pieces: list[bytes]) -> None:
    """Whatever a stranger says, he isn't in, and the next one can come."""

    async def test(stage: Stage) -> None:
        stranger = await stage.connect()
        await stranger.version(b"RFB 003.008\n")
        for piece in pieces:
            stranger.write(piece)
        stranger.writer.close()
        await asyncio.wait(stage.tasks)
        assert not stage.server.sessions
        viewer = await stage.connect()
        await viewer.version()
        assert await viewer.security_types() == [2]

    staged(test, security=Security("secret"))


class Bytes:
    """A Stream of bytes that are there, which notes how many were asked for at once."""

    peer = "bytes"

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.longest = 0

    async def read(self, length: int) -> bytes:
        self.longest = max(self.longest, length)
        if length > len(self._data):
            raise EOFError
        data, self._data = self._data[:length], self._data[length:]
        return data

    async def send(self, data: bytes) -> None: ...

    async def start_tls(self, context: object) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


messages = st.one_of(
    st.binary(max_size=30),
    st.builds(lambda n, rest: struct.pack(">BxH", 2, n) + rest, st.integers(0, 0xFFFF), st.binary(max_size=300)),
    st.builds(lambda n, rest: struct.pack(">Bxxxi", 6, n) + rest, st.integers(-9, 99), st.binary(max_size=99)),
    st.builds(lambda data: b"\3" + data, st.binary(min_size=9, max_size=9)),
    st.builds(lambda n, rest: struct.pack(">BxHHBx", 251, 1, 1, n) + rest, st.integers(0, 255), st.binary(max_size=99)),
    st.builds(lambda data: b"\xff" + data, st.binary(max_size=12)),
)


@given(st.lists(messages, max_size=20))
def test_messages_of_any_kind(parts: list[bytes]) -> None:
    """Each is understood or refused; nothing is held that is longer than a list of encodings or a piece."""

    async def run() -> None:
        stream = Bytes(b"".join(parts))
        with pytest.raises((EOFError, ProtocolError)):
            while True:
                await read_message(stream)
        assert stream.longest <= max(4 * MOST_ENCODINGS, PIECE)

    asyncio.run(run())


@settings(max_examples=30, deadline=None)
@given(st.lists(messages, max_size=20))
def test_garbage_from_one_who_is_in(parts: list[bytes]) -> None:
    """It may end his conversation, and nobody else's."""

    async def test(stage: Stage) -> None:
        bad, good = await stage.viewer(), await stage.viewer(RAW)
        for part in parts:
            bad.write(part)
        bad.writer.close()
        await asyncio.wait(stage.tasks[:1])
        good.request(incremental=False)
        await good.update()
        assert stage.seen(good)

    staged(test, width=20, height=20)
