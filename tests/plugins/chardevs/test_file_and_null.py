"""The file and null back ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from southbridge.errors import SouthbridgeError
from southbridge.plugins.chardevs.file import FileChardev
from southbridge.plugins.chardevs.null import NullChardev
from southbridge.testing.chardev import CharLoop


@pytest.mark.parametrize(("append", "expected"), [(False, b"one\ntwo\n"), (True, b"old\none\ntwo\n")])
def test_file_has_the_output(main_loop: CharLoop, tmp_path: Path, append: bool, expected: bytes) -> None:
    path = tmp_path / "serial.log"
    path.write_bytes(b"old\n")
    backend = FileChardev(path=path, append=append)
    backend.open()
    frontend = main_loop.start(backend)
    assert frontend.events == [True]
    assert backend.write(b"one\n") == 4
    assert path.read_bytes() == expected[:-4], "written at once, not at the end"
    assert backend.write(b"two\n") == 4
    backend.accept_input()
    backend.close()
    assert path.read_bytes() == expected


def test_file_is_emptied_only_when_the_machine_starts(main_loop: CharLoop, tmp_path: Path) -> None:
    path = tmp_path / "serial.log"
    path.write_bytes(b"precious")
    backend = FileChardev(path=path)
    backend.open()
    backend.close()  # as when another part of the machine is wrong
    assert path.read_bytes() == b"precious"


def test_file_takes_any_amount_and_output_from_before_the_start(main_loop: CharLoop, tmp_path: Path) -> None:
    path = tmp_path / "serial.log"
    backend = FileChardev(path=path)
    backend.open()
    assert backend.write(b"early") == 5
    main_loop.start(backend)
    main_loop.until(lambda: path.stat().st_size == 5)
    assert backend.write(bytes(1 << 20)) == 1 << 20
    assert path.stat().st_size == 5 + (1 << 20)


def test_a_full_disk_is_logged_once_and_stops_nothing(main_loop: CharLoop, caplog: pytest.LogCaptureFixture) -> None:
    backend = FileChardev(path=Path("/dev/full"))
    backend.open()
    main_loop.start(backend)
    for _ in range(3):
        assert backend.write(b"x" * 1000) == 1000
        main_loop.settle()
    assert caplog.text.count("/dev/full: output is dropped from now on: No space left") == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [(".", "Is a directory"), ("no/file", "No such file"), ("a\0b", "null"), ("fifo", "No such device")],
)
def test_a_wrong_path_is_named(tmp_path: Path, name: str, message: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    backend = FileChardev(path=tmp_path / name)
    with pytest.raises(SouthbridgeError, match=f"cannot write to it: .*{message}"):
        backend.open()
    backend.close()


def test_a_fifo_whose_reader_stops_does_not_block(main_loop: CharLoop, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    backend = FileChardev(path=tmp_path / "fifo")
    backend.open()
    frontend = main_loop.start(backend)
    while backend.write(bytes(10_000)) == 10_000:
        pass
    os.read(reader, 1 << 20)
    main_loop.until(lambda: frontend.writable_calls == 1)
    os.close(reader)


def test_null_takes_everything(main_loop: CharLoop) -> None:
    values: dict[str, Any] = {}
    backend = NullChardev(**values)
    backend.open()
    frontend = main_loop.start(backend)
    assert frontend.events == [True]
    assert backend.write(bytes(1 << 20)) == 1 << 20
    backend.accept_input()
    main_loop.settle()
    assert frontend.received == b""
