"""Raw images: contents, padding, overlay, locks, and what is refused."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from southbridge.block import BlockError
from southbridge.errors import SouthbridgeError
from southbridge.plugins.raw import RawImage

Open = Callable[..., RawImage]


@pytest.fixture
def open_image() -> Iterator[Open]:
    with ExitStack() as stack:

        def opened(path: Path, **values: Any) -> RawImage:
            image = RawImage(path=path, **values)
            stack.callback(image.close)
            image.open()
            return image

        yield opened


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(range(256)) * 1024)
    return path


def test_reads_and_writes_the_file(open_image: Open, disk: Path) -> None:
    image = open_image(disk)
    assert (image.size, image.writable, image.name) == (256 * 1024, True, str(disk))
    image.write(1000, b"hello")
    image.flush()
    assert image.read(998, 9) == b"\xe6\xe7hello\xed\xee"
    assert disk.read_bytes()[1000:1005] == b"hello"


@pytest.mark.parametrize("values", [{}, {"overlay": True}, {"read_only": True}])
def test_a_partial_sector_is_padded_with_zeros(open_image: Open, disk: Path, values: dict[str, bool]) -> None:
    disk.write_bytes(b"x" * 700)
    image = open_image(disk, **values)
    assert image.size == 1024
    assert image.read(0, 1024) == b"x" * 700 + bytes(324)
    if image.writable:
        image.write(1020, b"tail")
        assert image.read(512, 512) == b"x" * 188 + bytes(320) + b"tail"


def test_the_file_grows_only_when_the_guest_writes_the_padding(open_image: Open, disk: Path) -> None:
    disk.write_bytes(b"x" * 700)
    image = open_image(disk)
    image.read(0, 1024)
    assert disk.stat().st_size == 700
    image.write(512, b"y" * 512)
    assert disk.stat().st_size == 1024
    os.truncate(disk, 800)
    with pytest.raises(BlockError, match="has become shorter"):
        image.read(512, 512)


def test_an_overlay_leaves_the_image_untouched(open_image: Open, disk: Path) -> None:
    before = disk.read_bytes()
    disk.chmod(0o444)
    image = open_image(disk, overlay=True)
    assert image.writable
    image.write(65530, b"over the line")
    image.flush()
    assert image.read(65530, 13) == b"over the line"
    image.close()
    assert disk.read_bytes() == before
    assert open_image(disk, overlay=True).read(65530, 13) == before[65530:65543], "the overlay ended with its machine"


def test_its_identity_changes_with_the_file(open_image: Open, disk: Path) -> None:
    image = open_image(disk, overlay=True)
    before = image.identity()
    image.write(0, b"x")
    assert image.identity() == before, "what the overlay has isn't the image's"
    assert list(image.changes() or ()) == [(0, 64 << 10)]
    status = disk.stat()
    os.utime(disk, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert image.identity() != before
    os.utime(disk, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert image.identity() == before
    os.truncate(disk, status.st_size + 1)
    os.utime(disk, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert image.identity() != before


def test_without_an_overlay_all_changes_are_the_images(open_image: Open, disk: Path) -> None:
    assert open_image(disk).changes() is None


def test_a_file_that_becomes_shorter_is_an_error_not_zeros(open_image: Open, disk: Path) -> None:
    image = open_image(disk, read_only=True)
    os.truncate(disk, 1000)
    assert image.read(0, 1000)[:3] == b"\0\1\2"
    with pytest.raises(BlockError) as raised:
        image.read(512, 512)
    assert raised.value.errno == errno.EIO and "has become shorter" in str(raised.value)


def test_a_closed_image_answers_with_an_error(open_image: Open, disk: Path) -> None:
    image = open_image(disk)
    image.close()
    image.close()
    with pytest.raises(BlockError) as raised:
        image.read(0, 512)
    assert raised.value.errno == errno.ENODEV


WRITE: dict[str, bool] = {}
READ = {"read_only": True}
OVERLAY = {"overlay": True}


@pytest.mark.parametrize(
    ("first", "second", "refusal"),
    [
        (WRITE, WRITE, "open for writing"),
        (WRITE, READ, "open for writing"),
        (WRITE, OVERLAY, "open for writing"),
        (READ, WRITE, "can't be opened for writing"),
        (OVERLAY, WRITE, "can't be opened for writing"),
        (READ, READ, None),
        (READ, OVERLAY, None),
        (OVERLAY, OVERLAY, None),
    ],
)
def test_two_machines_share_an_image_only_to_read(
    open_image: Open, disk: Path, first: dict[str, bool], second: dict[str, bool], refusal: str | None
) -> None:
    holder = open_image(disk, **first)
    if refusal is not None:
        with pytest.raises(SouthbridgeError, match=f"disk.img: another machine or program has the image.*{refusal}"):
            open_image(disk, **second)
        holder.close()
    open_image(disk, **second)


@pytest.fixture
def qemu_io() -> str:
    program = shutil.which("qemu-io")
    if program is None:
        pytest.skip("needs qemu-img: apt-get install qemu-utils")
    return program


@pytest.mark.parametrize(("ours", "theirs", "works"), [(WRITE, [], False), (READ, [], False), (READ, ["-r"], True)])
def test_qemu_respects_our_locks(
    open_image: Open, disk: Path, qemu_io: str, ours: dict[str, bool], theirs: list[str], works: bool
) -> None:
    open_image(disk, **ours)
    command = [qemu_io, *theirs, "-f", "raw", "-c", "read 0 512", str(disk)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode == 0) == works, result.stderr
    assert works or "lock" in result.stderr


@pytest.mark.parametrize(("theirs", "ours", "works"), [([], WRITE, False), ([], READ, False), (["-r"], READ, True)])
def test_we_respect_qemus_locks(
    open_image: Open, disk: Path, qemu_io: str, theirs: list[str], ours: dict[str, bool], works: bool
) -> None:
    command = [qemu_io, *theirs, "-f", "raw", str(disk)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as qemu:
        assert qemu.stdin is not None and qemu.stdout is not None
        qemu.stdin.write(b"read 0 512\n")
        qemu.stdin.flush()
        while b"512 bytes" not in qemu.stdout.readline():
            assert qemu.poll() is None
        if works:
            open_image(disk, **ours)
        else:
            with pytest.raises(SouthbridgeError, match="another machine or program has the image"):
                open_image(disk, **ours)
        qemu.stdin.close()


def make_missing(path: Path) -> None:
    path.unlink()


def make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_missing, "cannot open the image: No such file"),
        (make_directory, "expected an image file or a block device"),
        (make_fifo, "expected an image file or a block device"),
        (make_empty, "the image is empty"),
    ],
)
@pytest.mark.parametrize("values", [WRITE, READ, OVERLAY])
def test_what_is_no_image_is_refused_by_name(
    open_image: Open, disk: Path, make: Callable[[Path], None], message: str, values: dict[str, bool]
) -> None:
    make(disk)
    with pytest.raises(SouthbridgeError, match=f"disk.img: {message}"):
        open_image(disk, **values)


def test_a_path_that_no_file_can_have(open_image: Open) -> None:
    with pytest.raises(SouthbridgeError, match="cannot open the image"):
        open_image(Path("a\0b"))


def test_contradictory_properties(open_image: Open, disk: Path) -> None:
    with pytest.raises(SouthbridgeError, match=r"disk\.img: read_only and overlay exclude each other"):
        open_image(disk, read_only=True, overlay=True)


def test_an_unwritable_image_says_what_to_do(open_image: Open, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open = os.open

    def refuse_writing(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if path == str(disk) and flags & os.O_RDWR:  # as the kernel does for anyone but root
            raise PermissionError(errno.EACCES, "Permission denied")
        return real_open(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", refuse_writing)
    with pytest.raises(SouthbridgeError, match="Permission denied; to leave it unwritten, set read_only or overlay"):
        open_image(disk)
    assert open_image(disk, overlay=True).writable


def test_an_image_on_a_file_system_without_locks_is_used_with_a_warning(
    open_image: Open, disk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: object) -> bytes:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("southbridge.image_file.fcntl.fcntl", no_locks)
    assert open_image(disk).read(0, 2) == b"\0\1"
    assert "disk.img: the file system has no locks" in caplog.text
