"""Wrong, damaged and hostile images: one clear message, or EIO; never another exception, a loop, or much memory."""

from __future__ import annotations

import errno
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from southbridge.block import BlockError
from southbridge.errors import SouthbridgeError
from southbridge.plugins.qcow2 import Qcow2Image

Open = Callable[..., Qcow2Image]
Run = Callable[..., str]

KiB = 1024
L1 = 3 * 64 * KiB  # where qemu-img puts the L1 table, and the first L2 table behind it
L2 = 4 * 64 * KiB
DATA = 5 * 64 * KiB


@pytest.fixture
def path(qemu: Run, tmp_path: Path) -> Path:
    """An image of 1 MiB whose first two clusters are data."""
    made = tmp_path / "disk.qcow2"
    qemu("create", "-f", "qcow2", made, "1M")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 128k", made)
    data = made.read_bytes()
    assert struct.unpack_from(">Q", data, L1)[0] & ~(1 << 63) == L2
    assert struct.unpack_from(">Q", data, L2)[0] & ~(1 << 63) == DATA
    return made


def patch(path: Path, offset: int, value: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(value)


def u32(value: int) -> bytes:
    return struct.pack(">I", value)


def u64(value: int) -> bytes:
    return struct.pack(">Q", value)


HEADERS = {
    "not qcow2": (0, b"QFI\xfa", "not a qcow2 image"),
    "version 1": (4, u32(1), "qcow2 version 1; expected 2 or 3"),
    "version 4": (4, u32(4), "qcow2 version 4; expected 2 or 3"),
    "backing name beyond the cluster": (8, u64(64 * KiB - 1) + u32(2), "the place of its backing file's name"),
    "backing name of no length": (8, u64(600) + u32(0), "the place of its backing file's name"),
    "backing name too long": (8, u64(600) + u32(1024), "the place of its backing file's name"),
    "backing name over the header": (8, u64(8) + u32(8), "the place of its backing file's name"),
    "backing name with a zero byte": (8, u64(60 * KiB) + u32(8), "has a zero byte"),
    "tiny clusters": (20, u32(8), r"clusters of 2\*\*8 bytes"),
    "huge clusters": (20, u32(22), r"clusters of 2\*\*22 bytes"),
    "absurd clusters": (20, u32(0xFFFF_FFFF), "clusters of"),
    "no size": (24, u64(0), "the disk in it is empty"),
    "a size of 16 EiB": (24, u64((1 << 64) - 1), "needs an L1 table of more than"),
    "more size than L1": (24, u64(1 << 30), "1 L1 entries are too few"),
    "AES": (32, u32(1), r"encrypted \(AES\)"),
    "LUKS": (32, u32(2), r"encrypted \(LUKS\)"),
    "unknown encryption": (32, u32(9), r"encrypted \(method 9\)"),
    "no L1 entries": (36, u32(0), "0 L1 entries are too few"),
    "L1 at an odd place": (40, u64(L1 + 8), "isn't at a cluster's start"),
    "L1 beyond the end": (40, u64(1 << 40), "its L1 table, .* is beyond the file's end"),
    "L1 nowhere": (40, u64(0), "its L1 table, .* is beyond the file's end"),
    "external data file": (72, u64(4), "external data file"),
    "unknown features": (72, u64(1 << 5 | 1 << 63), "not supported: bit 5, bit 63"),
    "compression not given": (72, u64(8), "contradicts itself"),
    "compression not announced": (104, b"\1", "contradicts itself"),
    "unknown compression": (104, b"\x02", "contradicts itself"),
    "refcount width": (96, u32(7), "reference counts of"),
    "short header": (100, u32(96), "wrong header length 96"),
    "odd header length": (100, u32(105), "wrong header length 105"),
    "header longer than its cluster": (100, u32(0xFFFF_FFF8), "wrong header length"),
    "endless extension": (112, u32(0x1234_5678) + u32(0xFFFF_FFFF), "header extension 0x12345678 is too long"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_wrong_header_is_refused_by_name(path: Path, open_image: Open, case: str) -> None:
    offset, value, message = HEADERS[case]
    patch(path, offset, value)
    with pytest.raises(SouthbridgeError, match=f"disk.qcow2: .*{message}"):
        open_image(path)


def test_unknown_features_are_named_as_the_image_names_them(path: Path, open_image: Open) -> None:
    patch(path, 72, u64(1 << 40))
    patch(path, 112, u32(0x6803_F857) + u32(48) + bytes([0, 40]) + b"time travel".ljust(46, b"\0") + bytes(8))
    with pytest.raises(SouthbridgeError, match="not supported: time travel"):
        open_image(path)


def test_extended_entries_need_large_clusters(qemu: Run, tmp_path: Path, open_image: Open) -> None:
    path = tmp_path / "disk.qcow2"
    qemu("create", "-f", "qcow2", "-o", "cluster_size=8k", path, "1M")
    patch(path, 72, u64(1 << 4))
    with pytest.raises(SouthbridgeError, match="extended L2 entries with clusters of less than 16 KiB"):
        open_image(path)


@pytest.mark.parametrize("length", [0, 3, 4, 71, 72, 103, 104, 200, L1, L1 + 7, L2 + 100, DATA, DATA + 64 * KiB])
def test_a_truncated_image_is_refused(path: Path, open_image: Open, length: int) -> None:
    with path.open("r+b") as file:
        file.truncate(length)
    with pytest.raises(SouthbridgeError, match=r"disk\.qcow2: (.*truncated|the file is empty|not a qcow2 image)"):
        open_image(path)


@pytest.mark.parametrize("options", ["refcount_bits=1", "refcount_bits=64", "extended_l2=on", "cluster_size=512"])
@pytest.mark.parametrize("compress", [[], ["-c"]])
def test_half_an_image_is_refused(
    qemu: Run, tmp_path: Path, open_image: Open, options: str, compress: list[str]
) -> None:
    (tmp_path / "raw").write_bytes(bytes(range(256)) * 8 * KiB)
    path = tmp_path / "disk.qcow2"
    qemu("convert", "-f", "raw", "-O", "qcow2", "-o", options, *compress, tmp_path / "raw", path)
    open_image(path).close()
    with path.open("r+b") as file:
        # A compressed image of a pattern is little more than its tables.
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(SouthbridgeError, match=r"disk\.qcow2: truncated"):
        open_image(path)


def test_clusters_that_were_counted_but_never_written_are_no_truncation(
    qemu: Run, path: Path, open_image: Open
) -> None:
    patch(path, 2 * 64 * KiB + 2 * 50, b"\0\1")  # the reference count of cluster 50, which a crash has lost
    assert open_image(path).read(0, 512) == b"\7" * 512


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (L2 + 512, "truncated or corrupt: it refers to an L2 table at"),
        (1 << 50, "truncated or corrupt: it refers to an L2 table at"),
        ((1 << 64) - 1, "truncated or corrupt: it refers to an L2 table at"),
    ],
)
def test_a_wrong_l1_entry_is_refused(path: Path, open_image: Open, entry: int, message: str) -> None:
    patch(path, L1, u64(entry))
    with pytest.raises(SouthbridgeError, match=f"disk.qcow2: {message}"):
        open_image(path)


COMPRESSED = 1 << 62


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(DATA + 512, id="not a cluster's start"),
        pytest.param(1 << 40, id="beyond the end"),
        pytest.param((1 << 56) - 512, id="as far as can be"),
        pytest.param(COMPRESSED | DATA, id="no deflate stream"),
        pytest.param(COMPRESSED | 1 << 50, id="compressed beyond the end"),
        pytest.param((1 << 63) - 1, id="all bits"),
    ],
)
def test_a_wrong_l2_entry_is_an_error_of_that_cluster_alone(path: Path, open_image: Open, entry: int) -> None:
    image = open_image(path)
    patch(path, L2, u64(entry))
    with pytest.raises(BlockError) as raised:
        image.read(512, 512)
    assert raised.value.errno == errno.EIO
    assert "disk.qcow2: corrupt" in str(raised.value)
    assert image.read(64 * KiB, 512) == b"\7" * 512


def test_a_zero_cluster_in_version_2_is_corrupt(qemu: Run, tmp_path: Path, open_image: Open) -> None:
    path = tmp_path / "disk.qcow2"
    qemu("create", "-f", "qcow2", "-o", "compat=0.10", path, "1M")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 128k", path)
    patch(path, L2, u64(DATA | 1))
    with pytest.raises(BlockError, match="a zero cluster in a version 2 image"):
        open_image(path).read(0, 512)


@pytest.mark.parametrize("bitmap", [1 << 32 | 1, (1 << 64) - 1])
def test_a_subcluster_can_not_be_two_things(qemu: Run, tmp_path: Path, open_image: Open, bitmap: int) -> None:
    path = tmp_path / "disk.qcow2"
    qemu("create", "-f", "qcow2", "-o", "extended_l2=on", path, "1M")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 128k", path)
    patch(path, L2 + 8, u64(bitmap))
    with pytest.raises(BlockError, match="both allocated and zero"):
        open_image(path).read(0, 512)


def test_an_allocated_subcluster_needs_a_cluster(qemu: Run, tmp_path: Path, open_image: Open) -> None:
    path = tmp_path / "disk.qcow2"
    qemu("create", "-f", "qcow2", "-o", "extended_l2=on", path, "1M")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 128k", path)
    patch(path, L2, u64(0))
    with pytest.raises(BlockError, match="no cluster of the file"):
        open_image(path).read(0, 512)


@pytest.mark.parametrize("table", [0, L1, L2], ids=["header", "L1", "itself"])
def test_tables_that_point_at_tables_are_no_loop(path: Path, open_image: Open, table: int) -> None:
    patch(path, L1, u64(L1 if table == L1 else L2))
    patch(path, L2, u64(table or 64 * KiB))
    image = open_image(path)
    for offset in range(0, image.size, 64 * KiB):
        try:
            assert len(image.read(offset, 64 * KiB)) == 64 * KiB
        except BlockError as error:
            assert error.errno == errno.EIO


def test_a_compression_bomb_gives_no_more_than_a_cluster(path: Path, open_image: Open) -> None:
    import zlib

    compressor = zlib.compressobj(9, wbits=-12)
    bomb = compressor.compress(bytes(40 << 20)) + compressor.flush()
    assert len(bomb) < 64 * KiB
    patch(path, DATA, bomb)
    image = open_image(path)
    patch(path, L2, u64(COMPRESSED | 127 << 54 | DATA))
    tracemalloc.start()
    assert image.read(0, 512) == bytes(512)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("l1_entries", [0xFFFF_FFFF, 1 << 22])
def test_a_huge_l1_table_allocates_nothing(path: Path, open_image: Open, l1_entries: int) -> None:
    patch(path, 24, u64(l1_entries << 29))  # the size that needs them
    patch(path, 36, u32(l1_entries))
    tracemalloc.start()
    with pytest.raises(SouthbridgeError, match=r"disk\.qcow2: .*L1 table"):
        open_image(path)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_an_image_marked_as_corrupt_is_read_with_a_warning(
    path: Path, open_image: Open, caplog: pytest.LogCaptureFixture
) -> None:
    patch(path, 72, u64(3))
    assert open_image(path).read(0, 512) == b"\7" * 512
    assert "disk.qcow2: the image is marked as corrupt" in caplog.text


def test_a_file_that_becomes_shorter_is_an_error(path: Path, open_image: Open) -> None:
    image = open_image(path)
    with path.open("r+b") as file:
        file.truncate(DATA)
    with pytest.raises(BlockError, match="the file has become shorter"):
        image.read(0, 512)


places = st.one_of(
    st.integers(0, 112), st.integers(112, 1024), st.integers(64 * KiB, 64 * KiB + 16), st.integers(L1, L1 + 8),
    st.integers(L2, L2 + 64),
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(places, st.binary(min_size=1, max_size=9)), min_size=1, max_size=4))
def test_random_damage(path: Path, open_image: Open, damage: list[tuple[int, bytes]]) -> None:
    whole = path.read_bytes()
    try:
        for offset, value in damage:
            patch(path, offset, value)
        image = open_image(path)
        for offset in {0, 64 * KiB - 512, min(1 << 20, image.size) - 512, image.size - 512}:
            try:
                assert len(image.read(offset, 512)) == 512
            except BlockError as error:
                assert error.errno in (errno.EIO, errno.EINVAL)
        image.close()
    except SouthbridgeError as error:
        assert "disk.qcow2" in str(error)
    finally:
        path.write_bytes(whole)
