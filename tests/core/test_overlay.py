"""The copy-on-write overlay against a plain byte array."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.block import BlockError
from southbridge.errors import SouthbridgeError
from southbridge.overlay import CLUSTER, Overlay

SIZE = 4 * CLUSTER - 512
BASE = bytes(index * 7 & 0xFF for index in range(256)) * (SIZE // 256)


def near_boundaries(most: int) -> st.SearchStrategy[int]:
    edges = st.sampled_from(range(0, most + 1, CLUSTER)).flatmap(
        lambda edge: st.integers(max(0, edge - 3), min(most, edge + 3))
    )
    return st.one_of(edges, st.integers(0, most))


@given(
    st.lists(st.tuples(near_boundaries(SIZE), near_boundaries(SIZE), st.binary(min_size=1, max_size=1)), max_size=12)
)
def test_it_behaves_as_memory_does(writes: list[tuple[int, int, bytes]]) -> None:
    overlay = Overlay(lambda offset, length: BASE[offset : offset + length], SIZE)
    model = bytearray(BASE)
    for one, other, fill in writes:
        start, end = sorted((one, other))
        overlay.write(start, fill * (end - start))
        model[start:end] = fill * (end - start)
        assert overlay.read(start, end - start) == model[start:end]
    assert overlay.read(0, SIZE) == model
    assert_changes(overlay, model, writes)
    overlay.close()


def assert_changes(overlay: Overlay, model: bytes | bytearray, writes: list[tuple[int, int, bytes]]) -> None:
    """What it says has changed is what was written, in clusters, and all that differs from the base."""
    touched = [(min(one, other), max(one, other)) for one, other, _ in writes if one != other]
    clusters = {cluster for start, end in touched for cluster in range(start // CLUSTER, -(-end // CLUSTER))}
    changes = list(overlay.changes())
    assert changes == [(number * CLUSTER, min(CLUSTER, SIZE - number * CLUSTER)) for number in sorted(clusters)]
    again = bytearray(BASE)
    for offset, length in changes:
        again[offset : offset + length] = overlay.read(offset, length)
    assert again == model


def test_changes_far_apart_are_in_order() -> None:
    overlay = Overlay(lambda offset, length: bytes(length), 1 << 41)
    places = [1 << 40, 3 * CLUSTER, (1 << 31) - CLUSTER, 1 << 31, 0]
    for place in places:
        overlay.write(place, b"x")
    assert list(overlay.changes()) == [(place, CLUSTER) for place in sorted(places)]
    overlay.close()


def test_whole_clusters_are_written_without_reading_the_base() -> None:
    def read_base(offset: int, length: int) -> bytes:
        raise AssertionError("read")

    overlay = Overlay(read_base, SIZE)
    overlay.write(CLUSTER, bytes(CLUSTER))
    overlay.write(3 * CLUSTER, bytes(SIZE - 3 * CLUSTER))  # the last one, which is short
    assert overlay.read(CLUSTER, CLUSTER) == bytes(CLUSTER)
    overlay.close()


def test_memory_and_disk_follow_what_is_written_not_the_size() -> None:
    huge = 1 << 42
    overlay = Overlay(lambda offset, length: bytes(length), huge)
    overlay.write(huge - 1, b"x")
    assert overlay.read(huge - 2, 2) == b"\0x"
    assert os.fstat(overlay._file.fileno()).st_blocks * 512 < 1 << 20
    overlay.close()


def test_an_error_below_reaches_the_reader_and_the_writer() -> None:
    def read_base(offset: int, length: int) -> bytes:
        raise BlockError(errno.EIO, "broken")

    overlay = Overlay(read_base, SIZE)
    with pytest.raises(BlockError, match="broken"):
        overlay.read(0, 1)
    with pytest.raises(BlockError, match="broken"):
        overlay.write(1, b"x")
    overlay.write(0, bytes(CLUSTER))
    assert overlay.read(0, CLUSTER) == bytes(CLUSTER)
    overlay.close()


def test_a_full_disk_is_an_error_not_lost_data(monkeypatch: pytest.MonkeyPatch) -> None:
    overlay = Overlay(lambda offset, length: BASE[offset : offset + length], SIZE)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(BlockError) as raised:
            overlay.write(0, bytes(CLUSTER))
    assert raised.value.errno == errno.ENOSPC
    assert overlay.read(0, CLUSTER) == BASE[:CLUSTER]
    overlay.close()


def test_the_temporary_file_goes_to_tmpdir_and_leaves_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    overlay = Overlay(lambda offset, length: bytes(length), SIZE)
    overlay.write(0, b"x")
    assert os.fstat(overlay._file.fileno()).st_dev == tmp_path.stat().st_dev
    assert list(tmp_path.iterdir()) == []
    overlay.close()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    with pytest.raises(SouthbridgeError, match="missing: cannot hold an overlay"):
        Overlay(lambda offset, length: bytes(length), SIZE)
