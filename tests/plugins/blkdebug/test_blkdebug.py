"""Faults between a device and its image."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.block import BlockError
from southbridge.errors import SouthbridgeError
from southbridge.plugins.blkdebug import Blkdebug
from southbridge.plugins.blkdebug.rules import rules_of_file, rules_of_lines
from southbridge.testing.ide import MemoryDisk


def faulty(*rules: str, **properties: Any) -> Blkdebug:
    image = Blkdebug(image=MemoryDisk(bytes(range(256)) * 8), rules=list(rules), **properties)
    image.open()
    return image


def number(error: pytest.ExceptionInfo[BlockError]) -> int:
    return error.value.errno


def test_without_rules_it_is_the_image() -> None:
    image = faulty()
    image.write(512, b"x")
    assert image.read(511, 3) == b"\xffx\x01"
    image.flush()
    assert (image.size, image.writable, image.name) == (2048, True, "blkdebug:memory")


def test_errors_of_kinds_and_places() -> None:
    image = faulty("inject-error iotype=write errno=28", "inject-error sector=2 iotype=read")
    with pytest.raises(BlockError) as error:
        image.write(0, b"x")
    assert number(error) == 28
    assert image.read(0, 1024) == bytes(range(256)) * 4
    with pytest.raises(BlockError) as error:
        image.read(1000, 200)
    assert number(error) == 5
    assert image.read(1536, 512) == bytes(range(256)) * 2


def test_once_and_short() -> None:
    image = faulty("inject-error event=read_aio once=on short=on", "inject-error iotype=flush once=on errno=30")
    assert image.read(0, 512) == bytes(range(256))
    with pytest.raises(BlockError) as error:
        image.flush()
    assert number(error) == 30
    image.flush()


def test_states(tmp_path: Path) -> None:
    """The second write is the first that fails."""
    file = tmp_path / "rules"
    file.write_text(
        '[set-state]\nevent = "write_aio"\nstate = "1"\nnew_state = "2"\n'
        '# from then on\n[inject-error]\nevent = "write_aio"\nstate = "2"\nerrno = "5"\niotype = "write"\n'
    )
    image = faulty(config=file)
    image.write(0, b"1")
    with pytest.raises(BlockError):
        image.write(0, b"2")
    assert image.read(0, 1) == b"1"


def test_a_request_stops_where_it_is_told_to() -> None:
    image = faulty()
    image.break_at("read_aio", "here")
    assert not image.is_stopped("here")
    done = threading.Event()

    def read() -> None:
        image.read(0, 1)
        done.set()

    reader = threading.Thread(target=read)
    reader.start()
    while not image.is_stopped("here"):
        pass
    assert not done.is_set()
    image.resume("here")
    reader.join(60)
    assert done.is_set()
    with pytest.raises(SouthbridgeError, match="there is no stop 'here'"):
        image.resume("here")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("inject-eror", "there is no rule 'inject-eror'; did you mean 'inject-error'?"),
        ("inject-error evnt=none", "inject-error has no 'evnt'; did you mean 'event'?"),
        ("inject-error event=read_io", "there is no event 'read_io'; did you mean 'read_aio'?"),
        ("inject-error errno=EIO", "errno=EIO: expected a number"),
        ("inject-error iotype=erase", "iotype=erase: expected read, write, flush"),
        ("", "there is no rule ''"),
    ],
)
def test_wrong_rules(rule: str, message: str) -> None:
    with pytest.raises(SouthbridgeError) as error:
        faulty(rule)
    assert message in str(error.value)


def test_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(SouthbridgeError, match="can't be read: No such file"):
        faulty(config=tmp_path / "none")
    (tmp_path / "rules").write_text("event = 1\n")
    with pytest.raises(SouthbridgeError, match=r"rules: line 1: expected \[inject-error\]"):
        faulty(config=tmp_path / "rules")


@given(st.text())
def test_any_text_is_rules_or_an_error(text: str) -> None:
    for read in (rules_of_file, lambda line: rules_of_lines([line])):
        try:
            read(text)
        except SouthbridgeError as error:
            assert str(error)
