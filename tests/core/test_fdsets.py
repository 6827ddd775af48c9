"""Sets of descriptors that clients gave: their numbers, what may be opened from them, and when they go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from southbridge.errors import SouthbridgeError
from southbridge.fdsets import FdSets, is_set


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


def test_numbers_and_what_is_opened(file: Path) -> None:
    sets = FdSets()
    reading, both = os.open(file, os.O_RDONLY), os.open(file, os.O_RDWR)
    assert sets.add(reading, opaque="r") == 0
    assert sets.add(both) == 1
    copy = sets.open("/dev/fdset/0", os.O_RDONLY | os.O_CLOEXEC)
    assert copy not in (reading, both)
    assert os.read(copy, 7) == b"content"
    assert not os.get_inheritable(copy)
    with pytest.raises(PermissionError, match="no descriptor in the set"):
        sets.open("/dev/fdset/0", os.O_RDWR)
    os.close(sets.open("/dev/fdset/1", os.O_RDONLY))
    with pytest.raises(FileNotFoundError, match="no such set"):
        sets.open("/dev/fdset/2", os.O_RDONLY)
    other = sets.open(file, os.O_RDONLY)
    os.close(other)
    sets.remove(0, reading)
    assert list(sets.sets) == [1]
    assert sets.add(os.dup(copy)) == 0
    with pytest.raises(SouthbridgeError, match="'fdset-id:1, fd:999' not found"):
        sets.remove(1, 999)
    os.close(copy)
    for number in (0, 1):
        sets.remove(number)


def test_the_last_client_takes_them_along(file: Path) -> None:
    sets = FdSets()
    for _ in range(2):
        sets.client_came()
    descriptor = os.open(file, os.O_RDONLY)
    sets.add(descriptor)
    sets.client_left()
    assert sets.sets
    sets.client_left()
    assert not sets.sets
    with pytest.raises(OSError):
        os.fstat(descriptor)


def test_names() -> None:
    assert is_set("/dev/fdset/12")
    assert not any(is_set(path) for path in ("/dev/fdset/", "/dev/fdset/1x", "fdset/1", "/dev/fdset/-1"))
