"""The file itself: any damage is noticed, and no file makes us allocate what it asks for."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from southbridge import MiB, SouthbridgeError
from southbridge.snapshot.records import (
    CHUNK,
    DIGEST_SIZE,
    DISK,
    HEADER,
    LIMITS,
    MAGIC,
    MEMORY,
    STATE,
    NotASnapshot,
    Reader,
    Record,
    Writer,
)

RECORDS = [
    Record(HEADER, 0, 0, b'{"name": "x"}' * 20),
    Record(STATE, 0, 0, b"state"),
    Record(MEMORY, 0, 0, bytes(range(256)) * 16),
    Record(MEMORY, 0, 1 << 33, os.urandom(1000)),
    Record(MEMORY, 1, 0, b"\0"),
    Record(DISK, 0, 0, b"d" * CHUNK),
]


def written(records: list[Record]) -> bytes:
    file = io.BytesIO()
    writer = Writer(file.write)
    for record in records:
        writer.add(record.kind, record.data, record.number, record.offset)
    writer.end()
    return file.getvalue()


WHOLE = written(RECORDS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def read(path: Path, contents: bytes | bytearray) -> list[Record]:
    path.write_bytes(contents)
    with Reader(path) as reader:
        reader.verify()
        return list(reader.records())


def refused(path: Path, contents: bytes | bytearray, message: str = "") -> None:
    with pytest.raises(NotASnapshot) as error:
        read(path, contents)
    assert str(error.value).startswith(f"{path}: ") and message in str(error.value)


def test_what_was_written_is_read(path: Path) -> None:
    assert read(path, WHOLE) == RECORDS


FLIPS = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FLIPS
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
@example(0, 1)
@example(len(WHOLE) - 1, 0x80)
def test_any_altered_byte_is_noticed(path: Path, at: int, change: int) -> None:
    altered = bytearray(WHOLE)
    altered[at] ^= change
    refused(path, altered)


def test_every_byte_of_the_structure_matters(path: Path) -> None:
    """All of them, one after the other, where the records are small."""
    small = written([record._replace(data=record.data[:20]) for record in RECORDS])
    for at in range(len(small)):
        altered = bytearray(small)
        altered[at] ^= 1 << at % 8
        refused(path, altered)


@FLIPS
@given(st.integers(0, len(WHOLE) - 1))
def test_a_truncated_file_is_noticed(path: Path, length: int) -> None:
    refused(path, WHOLE[:length], "not a snapshot" if length < 12 else "truncated")


@FLIPS
@given(st.binary(min_size=1, max_size=100))
def test_something_behind_the_end_is_noticed(path: Path, more: bytes) -> None:
    refused(path, WHOLE + more, "something follows its end")


def in_order(records: list[Record]) -> bool:
    places = [RECORDS.index(record) for record in records]
    return places[:2] == [0, 1] and places == sorted(set(places))


@FLIPS
@given(st.lists(st.sampled_from(RECORDS), max_size=8).filter(lambda records: not in_order(records)))
def test_records_in_another_order_are_refused(path: Path, records: list[Record]) -> None:
    refused(path, written(records), "damaged")


def test_records_that_overlap_are_refused(path: Path) -> None:
    refused(path, written([*RECORDS[:2], Record(MEMORY, 0, 0, b"12"), Record(MEMORY, 0, 1, b"3")]), "damaged")


@FLIPS
@given(st.binary(max_size=300))
def test_foreign_files(path: Path, contents: bytes) -> None:
    refused(path, contents, "not a snapshot")


def test_a_newer_format_says_so(path: Path) -> None:
    later = bytearray(WHOLE)
    later[8:12] = struct.pack("<I", 2)
    refused(path, later, "a snapshot of format 2; this Southbridge reads formats up to 1")


def record(kind: bytes, length: int, stored: bytes, size: int | None = None) -> bytes:
    """A record with a right checksum, whatever it claims."""
    head = struct.pack("<4sIQII", kind, 0, 0, length, len(stored) if size is None else size)
    return head + struct.pack("<I", zlib.crc32(stored, zlib.crc32(head))) + stored


START = MAGIC + struct.pack("<I", 1)
BOMB = zstandard.ZstdCompressor().compress(bytes(256 * MiB))
WITHOUT_SIZE = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(256 * MiB))


@pytest.mark.parametrize(
    "contents",
    [
        START + record(HEADER, 0xFFFF_FFFF, b"x"),
        START + record(HEADER, LIMITS[HEADER] + 1, b"x"),
        START + record(HEADER, 1, b"x", 0xFFFF_FFFF),
        START + record(HEADER, 100, b"x", 1 << 20),
        START + record(HEADER, 100, BOMB),
        START + record(HEADER, 100, WITHOUT_SIZE),
        START + record(HEADER, LIMITS[HEADER], BOMB),
        START + record(HEADER, LIMITS[HEADER], WITHOUT_SIZE),
        START + record(HEADER, 100, b"not zstd"),
        START + record(HEADER, 0, b""),
    ],
)
def test_a_bomb_doesnt_go_off(path: Path, contents: bytes) -> None:
    path.write_bytes(contents)
    tracemalloc.start()
    try:
        with pytest.raises(NotASnapshot), Reader(path) as reader:
            next(reader.records())
        assert tracemalloc.get_traced_memory()[1] < 16 * MiB
    finally:
        tracemalloc.stop()


def test_too_much_is_not_written() -> None:
    writer = Writer(lambda data: None)
    with pytest.raises(SouthbridgeError, match="the machine's state has 4097 KiB; a snapshot has room for 4 MiB"):
        writer.add(HEADER, bytes(LIMITS[HEADER] + 1024))


def test_the_digest_is_of_everything_before_it() -> None:
    import hashlib

    end = len(WHOLE) - DIGEST_SIZE - 24
    assert WHOLE[-DIGEST_SIZE:] == hashlib.blake2b(WHOLE[:end], digest_size=DIGEST_SIZE).digest()


def fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (fifo, "not a regular file"),
        (Path.mkdir, "not a snapshot: not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: None, "can't be read: No such file or directory"),
    ],
    ids=["fifo", "folder", "device", "nothing"],
)
def test_what_is_no_file(path: Path, make: Callable[[Path], None], message: str) -> None:
    make(path)
    with pytest.raises(NotASnapshot, match=message):
        Reader(path)
