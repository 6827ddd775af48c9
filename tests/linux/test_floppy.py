"""Linux's floppy driver reads, writes and formats a disk of ours."""

from __future__ import annotations

import hashlib
from pathlib import Path
from random import Random

import pytest

from tests.guests.build import assemble
from tests.linux.guest import answer, describe, run_linux, said
from tests.linux.initramfs import initramfs

SIZE, TRACK = 1_474_560, 18 * 512
FIRST_WRITTEN, WRITTEN, FORMATTED = 100, 10, 150
"""Tracks, both sides counted through."""

SCRIPT = f"""
echo "type: $(dmesg | grep -o 'fd0 is .*')"
echo "chip: $(dmesg | grep -o 'FDC 0 is .*')"
echo "disk: $(head -c {40 * TRACK} /dev/fd0 | sha256sum)"
dd if=/data of=/dev/fd0 bs={TRACK} seek={FIRST_WRITTEN} conv=notrunc 2>/dev/null
sync
/format
echo "format: $?"
echo 3 > /proc/sys/vm/drop_caches
echo "written: $(dd if=/dev/fd0 bs={TRACK} skip={FIRST_WRITTEN} count={WRITTEN} 2>/dev/null | sha256sum)"
echo "formatted: $(dd if=/dev/fd0 bs={TRACK} skip={FORMATTED} count=1 2>/dev/null | sha256sum)"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("floppy")
    (folder / "floppy.img").write_bytes(Random("floppy").randbytes(SIZE))
    return folder


def digest(data: bytes) -> str:
    return f"{hashlib.sha256(data).hexdigest()}  -"


def test_linux_reads_writes_and_formats(folder: Path, images: Path) -> None:
    program = assemble(Path(__file__).parent / "format.asm", images, {"TRACK": FORMATTED // 2}).read_bytes()
    data = Random("data").randbytes(WRITTEN * TRACK)
    text = said(
        run_linux(
            describe(
                folder,
                initramfs(SCRIPT, ["floppy"], {"data": data}, {"format": program}),
                devices=["dma: {type: i8257}", "fdc: {type: fdc}", "a: {type: floppy, drive: disk}"],
                blockdevs=["disk: {type: raw, path: floppy.img}"],
            )
        )
    )
    before = Random("floppy").randbytes(SIZE)
    assert answer(text, "type") == "fd0 is 1.44M"
    assert "82077" in answer(text, "chip") or "post-1991" in answer(text, "chip")
    assert answer(text, "disk") == digest(before[: 40 * TRACK])
    assert answer(text, "format") == "0"
    assert answer(text, "written") == digest(data)
    assert answer(text, "formatted") == digest(b"\xf6" * TRACK)
    after = bytearray(before)
    after[FIRST_WRITTEN * TRACK : (FIRST_WRITTEN + WRITTEN) * TRACK] = data
    after[FORMATTED * TRACK : (FORMATTED + 1) * TRACK] = b"\xf6" * TRACK
    assert (folder / "floppy.img").read_bytes() == after
