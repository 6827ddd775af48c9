"""Backing chains: found, limited, and refused where they are wrong."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from southbridge.errors import SouthbridgeError
from southbridge.plugins.qcow2 import Qcow2Image
from southbridge.plugins.raw import RawImage

Open = Callable[..., Qcow2Image]
Run = Callable[..., str]

KiB = 1024


def overlay(qemu: Run, path: Path, backing: str, backing_format: str, size: str = "") -> None:
    """An image over another that need not exist."""
    options = ["-u", "-b", backing, "-F", backing_format]
    qemu("create", "-q", "-f", "qcow2", *options, path, size or "1M", cwd=path.parent)


def write_overlay(path: Path, backing: str, backing_format: str | None) -> None:
    """An empty image of 1 MiB over another, with names that qemu-img would refuse to write."""
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, 4096, len(backing), 16, 1 << 20, 0, 1, 1 << 16, 2 << 16, 1, 0, 0
    )
    header += struct.pack(">QQQII", 0, 0, 0, 4, 104)
    if backing_format is not None:
        header += struct.pack(">II8s", 0xE279_2ACA, len(backing_format), backing_format.encode())
    path.write_bytes(header.ljust(4096, b"\0") + backing.encode().ljust(60 * KiB, b"\0") + bytes(128 * KiB))


def test_three_images_in_different_folders(qemu: Run, open_image: Open, tmp_path: Path) -> None:
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
    (tmp_path / "c" / "base.img").write_bytes(b"c" * 100_000)
    overlay(qemu, tmp_path / "b" / "middle.qcow2", "../c/base.img", "raw")
    overlay(qemu, tmp_path / "a" / "top.qcow2", str(tmp_path / "b" / "middle.qcow2"), "qcow2")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 98 0 4k", tmp_path / "b" / "middle.qcow2")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 97 64k 1k", tmp_path / "a" / "top.qcow2")
    image = open_image(tmp_path / "a" / "top.qcow2")
    disk = bytearray((b"b" * 4096 + b"c" * 95_904).ljust(1 << 20, b"\0"))
    disk[64 * KiB : 65 * KiB] = b"a" * KiB
    assert image.read(0, image.size) == disk


def test_its_identity_changes_with_any_file_of_the_chain(qemu: Run, open_image: Open, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("top.qcow2", "middle.qcow2", "base.img")]
    files[2].write_bytes(b"c" * 100_000)
    overlay(qemu, files[1], "base.img", "raw")
    overlay(qemu, files[0], "middle.qcow2", "qcow2")
    image = open_image(files[0], overlay=True)
    before = image.identity()
    assert len(before["files"]) == 3
    image.write(0, b"x")
    assert image.identity() == before and list(image.changes() or ()) == [(0, 64 * KiB)]
    for file in files:
        status = file.stat()
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
        assert image.identity() != before
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("base_size", [1, 64 * KiB, 64 * KiB + 1, 3 << 20])
@pytest.mark.parametrize("prefix", ["", "file:"])
def test_a_base_that_is_shorter_or_longer(
    qemu: Run, open_image: Open, tmp_path: Path, base_size: int, prefix: str
) -> None:
    (tmp_path / "base.img").write_bytes(b"x" * base_size)
    overlay(qemu, tmp_path / "top.qcow2", f"{prefix}base.img", "raw", "128k")
    assert (
        open_image(tmp_path / "top.qcow2").read(0, 128 * KiB) == (b"x" * base_size).ljust(128 * KiB, b"\0")[: 128 * KiB]
    )


def test_the_base_is_never_written_and_shared_by_many(qemu: Run, open_image: Open, tmp_path: Path) -> None:
    base = tmp_path / "base.img"
    base.write_bytes(b"x" * 64 * KiB)
    for name in ("one.qcow2", "two.qcow2"):
        overlay(qemu, tmp_path / name, "base.img", "raw")
        open_image(tmp_path / name, overlay=True).write(0, b"y" * KiB)
    assert base.read_bytes() == b"x" * 64 * KiB
    writer = RawImage(path=base)
    with pytest.raises(SouthbridgeError, match=r"base\.img: another machine or program has the image open"):
        writer.open()


def test_a_base_that_is_being_written_is_refused(qemu: Run, open_image: Open, tmp_path: Path) -> None:
    (tmp_path / "base.img").write_bytes(b"x" * 64 * KiB)
    overlay(qemu, tmp_path / "top.qcow2", "base.img", "raw")
    writer = RawImage(path=tmp_path / "base.img")
    writer.open()
    with pytest.raises(SouthbridgeError, match=r"top\.qcow2: its backing file: .*base\.img: .*open for writing"):
        open_image(tmp_path / "top.qcow2")
    writer.close()
    open_image(tmp_path / "top.qcow2")


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_chain_without_end(qemu: Run, open_image: Open, tmp_path: Path, length: int) -> None:
    for number in range(length):
        overlay(qemu, tmp_path / f"{number}.qcow2", f"./{(number + 1) % length}.qcow2", "qcow2")
    with pytest.raises(SouthbridgeError, match=r"0\.qcow2 is above it in the backing chain, so the chain has no end"):
        open_image(tmp_path / "0.qcow2")


def test_a_cycle_through_another_name(qemu: Run, open_image: Open, tmp_path: Path) -> None:
    overlay(qemu, tmp_path / "top.qcow2", "link.qcow2", "qcow2")
    os.symlink("top.qcow2", tmp_path / "link.qcow2")
    with pytest.raises(SouthbridgeError, match="the chain has no end"):
        open_image(tmp_path / "top.qcow2")


def test_a_chain_that_is_too_long(qemu: Run, open_image: Open, tmp_path: Path) -> None:
    overlay(qemu, tmp_path / "0.qcow2", "999.qcow2", "qcow2")
    template = (tmp_path / "0.qcow2").read_bytes()
    for number in range(70):
        (tmp_path / f"{number:03}.qcow2").write_bytes(template.replace(b"999.qcow2", b"%03d.qcow2" % (number + 1)))
    with pytest.raises(SouthbridgeError, match="more than 64 images in its backing chain"):
        open_image(tmp_path / "000.qcow2")
    opened = os.listdir("/proc/self/fd")
    with pytest.raises(SouthbridgeError):
        open_image(tmp_path / "000.qcow2")
    assert len(os.listdir("/proc/self/fd")) == len(opened), "a refused chain leaves no file open"


@pytest.mark.parametrize(
    ("backing", "backing_format", "message"),
    [
        ("missing.img", "raw", "missing.img: cannot open the image: No such file"),
        (".", "raw", "expected an image file"),
        ("base.img", "vmdk", "base.img: format 'vmdk'; expected raw or qcow2"),
        ("base.img", "qcow2", "base.img: not a qcow2 image"),
        ("nbd://127.0.0.1/x", "raw", "its backing file 'nbd://127.0.0.1/x' isn't a local file's path"),
        ('json:{"driver":"null-co"}', "raw", "isn't a local file's path"),
    ],
)
def test_a_wrong_backing_file_is_named(
    open_image: Open, tmp_path: Path, backing: str, backing_format: str, message: str
) -> None:
    (tmp_path / "base.img").write_bytes(b"x" * 512)
    write_overlay(tmp_path / "top.qcow2", backing, backing_format)
    with pytest.raises(SouthbridgeError) as raised:
        open_image(tmp_path / "top.qcow2")
    assert "top.qcow2" in str(raised.value) and message in str(raised.value)


def test_a_base_of_undeclared_format(qemu: Run, open_image: Open, tmp_path: Path) -> None:
    (tmp_path / "base.img").write_bytes(b"x" * 512)
    write_overlay(tmp_path / "top.qcow2", "base.img", None)
    assert open_image(tmp_path / "top.qcow2").read(0, 514) == b"x" * 512 + bytes(2)
    qemu("create", "-f", "qcow2", tmp_path / "base.qcow2", "1M")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 64k", tmp_path / "base.qcow2")
    write_overlay(tmp_path / "other.qcow2", "base.qcow2", None)
    assert open_image(tmp_path / "other.qcow2").read(0, 512) == b"\7" * 512


def test_a_guest_can_not_make_us_read_another_file(open_image: Open, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"s" * 512)
    write_overlay(tmp_path / "guest.img", str(tmp_path / "secret"), "raw")  # written by a guest onto its raw disk
    write_overlay(tmp_path / "top.qcow2", "guest.img", None)
    with pytest.raises(SouthbridgeError, match=r"guest\.img: looks like qcow2 .*`qemu-img rebase"):
        open_image(tmp_path / "top.qcow2")
