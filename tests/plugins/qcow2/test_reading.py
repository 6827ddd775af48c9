"""What we read from qcow2 images that QEMU has written, against what QEMU reads from them."""

from __future__ import annotations

import errno
import random
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from southbridge.block import BlockError
from southbridge.errors import SouthbridgeError
from southbridge.plugins.qcow2 import Qcow2Image
from southbridge.plugins.qcow2.layer import Source

Open = Callable[..., Qcow2Image]
Run = Callable[..., str]

KiB = 1024
MiB = 1024 * KiB


def contents(image: Qcow2Image, step: int = 100_000) -> bytes:
    """The whole disk, read in pieces that fit no cluster."""
    return b"".join(image.read(start, min(step, image.size - start)) for start in range(0, image.size, step))


def sample_disk(size: int) -> bytes:
    """A disk with text, noise and holes of all sizes; its last sector isn't empty."""
    generator = random.Random(size)
    disk = bytearray(size)
    for _ in range(60):
        length = generator.choice((100, 512, 4096, 70_000))
        start = generator.randrange(size - length)
        fill = generator.randbytes(length) if generator.random() < 0.3 else generator.randbytes(7) * (length // 7 + 1)
        disk[start : start + length] = fill[:length]
    disk[-5:] = b"thend"
    return bytes(disk)


OPTIONS = [
    "compat=0.10",
    "compat=1.1",
    "cluster_size=512",
    "cluster_size=4k",
    "cluster_size=2M",
    "extended_l2=on",
    "extended_l2=on,cluster_size=16k",
    "refcount_bits=1",
    "refcount_bits=64,lazy_refcounts=on",
]


@pytest.mark.parametrize("compress", [[], ["-c"]], ids=["plain", "compressed"])
@pytest.mark.parametrize("options", OPTIONS)
def test_every_kind_of_image(qemu: Run, open_image: Open, tmp_path: Path, options: str, compress: list[str]) -> None:
    disk = sample_disk(5 * MiB + 512)
    (tmp_path / "disk.raw").write_bytes(disk)
    path = tmp_path / "disk.qcow2"
    qemu("convert", "-f", "raw", "-O", "qcow2", "-o", options, *compress, tmp_path / "disk.raw", path)
    image = open_image(path)
    assert (image.size, image.writable) == (len(disk), False)
    if compress:
        assert image._layer is not None
        assert Source.COMPRESSED in {run.source for run in image._layer._runs(0, image.size)}
    assert contents(image) == disk
    assert image.read(len(disk) - 600, 600) == disk[-600:]


def test_zstd_clusters(qemu: Run, open_image: Open, tmp_path: Path) -> None:
    pytest.importorskip("zstandard", reason="needs zstandard: pip install zstandard")
    disk = sample_disk(5 * MiB)
    (tmp_path / "disk.raw").write_bytes(disk)
    path = tmp_path / "disk.qcow2"
    qemu("convert", "-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zstd", tmp_path / "disk.raw", path)
    assert contents(open_image(path)) == disk


def test_zstd_without_its_package_is_refused(
    qemu: Run, open_image: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "disk.qcow2"
    qemu("create", "-f", "qcow2", "-o", "compression_type=zstd", path, "1M")
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    with pytest.raises(SouthbridgeError, match=r"disk\.qcow2: .*`pip install zstandard`"):
        open_image(path)


@pytest.mark.parametrize("preallocation", ["off", "metadata", "falloc", "full"])
def test_a_new_image_reads_as_zeros(qemu: Run, open_image: Open, tmp_path: Path, preallocation: str) -> None:
    path = tmp_path / "disk.qcow2"
    qemu("create", "-f", "qcow2", "-o", f"preallocation={preallocation}", path, "3M")
    assert contents(open_image(path)) == bytes(3 * MiB)


SIZE = 3 * MiB
sectors = st.integers(0, SIZE // 512 - 1)
spans = st.builds(
    lambda start, length: (start * 512, min(length * 512, SIZE - start * 512)), sectors, st.integers(1, 400)
)
clusters = st.integers(0, SIZE // (64 * KiB) - 1)
operations = st.one_of(
    st.builds(lambda span, fill: f"write -P {fill} {span[0]} {span[1]}", spans, st.integers(1, 255)),
    st.builds(lambda span: f"write -z {span[0]} {span[1]}", spans),
    st.builds(lambda span: f"write -z -u {span[0]} {span[1]}", spans),
    st.builds(lambda span: f"discard {span[0]} {span[1]}", spans),
    st.builds(lambda cluster, fill: f"write -c -P {fill} {cluster << 16} 65536", clusters, st.integers(1, 255)),
)


@pytest.mark.parametrize("options", ["compat=1.1", "extended_l2=on", "cluster_size=4k", "compat=0.10"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(below=st.lists(operations, max_size=4), above=st.lists(operations, min_size=1, max_size=8), whole=st.booleans())
def test_whatever_qemu_io_has_written(qemu: Run, options: str, below: list[str], above: list[str], whole: bool) -> None:
    if options == "cluster_size=4k":  # compressed writes are of one cluster
        above = [line.replace("65536", "4096") for line in above]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        qemu("create", "-f", "qcow2", folder / "base.qcow2", f"{SIZE if whole else SIZE // 2}")
        scripts = (("base.qcow2", [] if not whole else below), ("top.qcow2", above))
        qemu("create", "-f", "qcow2", "-o", options, "-b", "base.qcow2", "-F", "qcow2", folder / "top.qcow2", str(SIZE))
        for file, lines in scripts:
            commands = [word for line in lines for word in ("-c", line)]
            # Some may fail: a compressed cluster can't replace an allocated one.
            subprocess.run(
                ["qemu-io", "-f", "qcow2", *commands, "-c", "flush", folder / file], stdout=subprocess.DEVNULL
            )
        qemu("convert", "-f", "qcow2", "-O", "raw", folder / "top.qcow2", folder / "top.raw")
        image = Qcow2Image(path=folder / "top.qcow2", read_only=True)
        image.open()
        try:
            assert contents(image, 77_777) == (folder / "top.raw").read_bytes()
        finally:
            image.close()


def test_a_disk_that_is_no_whole_number_of_sectors(qemu: Run, open_image: Open, tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    qemu("create", "-f", "qcow2", path, "64k")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 64k", path)
    data = bytearray(path.read_bytes())
    data[24:32] = (65000).to_bytes(8, "big")
    path.write_bytes(data)
    image = open_image(path)
    assert image.size == 65024
    assert contents(image) == b"\7" * 65000 + bytes(24)


def test_the_tail_of_the_last_cluster_may_not_have_been_written(qemu: Run, open_image: Open, tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    qemu("create", "-f", "qcow2", path, "1M")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 64k", path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 60 * KiB)
    assert open_image(path).read(0, 64 * KiB) == b"\7" * 4 * KiB + bytes(60 * KiB)


def test_internal_snapshots_do_not_disturb(qemu: Run, open_image: Open, tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    qemu("create", "-f", "qcow2", path, "1M")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 128k", path)
    qemu("snapshot", "-c", "before", path)
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 2 64k 64k", path)
    assert open_image(path).read(0, 128 * KiB) == b"\1" * 64 * KiB + b"\2" * 64 * KiB


def test_the_table_cache_is_bounded(qemu: Run, open_image: Open, tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    qemu("create", "-f", "qcow2", "-o", "cluster_size=4k,preallocation=metadata", path, "1G")
    image = open_image(path)
    assert image._layer is not None
    for offset in range(0, image.size, 2 * MiB):
        image.read(offset, 512)
    held = sum(map(len, image._layer._l2_cache._pieces.values()))
    assert held == image._layer._l2_cache._held == 1 * MiB


def test_an_overlay_takes_the_writes(qemu: Run, open_image: Open, tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    qemu("create", "-f", "qcow2", path, "1M")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 128k", path)
    before = path.read_bytes()
    image = open_image(path, overlay=True)
    assert image.writable
    image.write(65530, b"over the line")
    image.flush()
    assert image.read(65529, 15) == b"\1over the line\1"
    image.close()
    assert path.read_bytes() == before


def test_without_an_overlay_writes_are_refused(qemu: Run, open_image: Open, tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    qemu("create", "-f", "qcow2", path, "1M")
    with pytest.raises(BlockError) as raised:
        open_image(path).write(0, b"x")
    assert raised.value.errno == errno.EROFS


@pytest.mark.parametrize("both", [False, True])
def test_the_user_must_say_what_becomes_of_writes(open_image: Open, tmp_path: Path, both: bool) -> None:
    with pytest.raises(SouthbridgeError, match=r"disk\.qcow2: .* set either read_only or overlay"):
        open_image(tmp_path / "disk.qcow2", read_only=both, overlay=both)
