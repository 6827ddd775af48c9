"""A snapshot of Linux in user space: in a new process it goes on where it was."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from random import Random

import pytest

from tests.guests.conversation import plain
from tests.linux.guest import describe
from tests.linux.initramfs import DONE, initramfs
from tests.linux.snapshots import go_on, save_when

MIB = 1 << 20
DISK = Random("snapshot disk").randbytes(MIB)
FILE = Random("snapshot file").randbytes(MIB)
COUNTS = 12
SAVED_AT = 4

SCRIPT = f"""\
until_can_read /dev/sda
cp /data /tmp/data
for i in $(seq {COUNTS}); do
    echo 3 > /proc/sys/vm/drop_caches
    echo "count: $i $(cut -d' ' -f1 /proc/uptime) $(sha256sum < /tmp/data) $(sha256sum < /dev/sda)"
done
echo "errors: $(dmesg -r | grep -c -e '^<[0-3]>' -e 'Long readout' -e 'as unstable')"
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.mark.parametrize("firmware", ["none", "rom"])
def test_linux_goes_on(firmware: str, tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(DISK)
    description = describe(
        tmp_path,
        initramfs(SCRIPT, ["ata_piix", "sd_mod"], {"data": FILE}),
        firmware=firmware,
        devices=["hd0: {type: ide-hd, drive: disk0}"],
        blockdevs=["disk0: {type: raw, path: disk.img, read_only: true}"],
    )
    before = save_when(b"count: %d " % SAVED_AT, description, tmp_path / "snapshot")
    after = go_on(tmp_path / "snapshot")
    assert b"Linux version" not in after
    text = plain(before + after).decode("ascii", "replace")
    counts = re.findall(r"^count: (\d+) (\S+) (\w+)  - (\w+)  -$", text, re.MULTILINE)
    assert [int(count[0]) for count in counts] == list(range(1, COUNTS + 1))
    uptimes = [float(count[1]) for count in counts]
    assert uptimes == sorted(uptimes)
    assert {count[2:] for count in counts} == {tuple(hashlib.sha256(data).hexdigest() for data in (FILE, DISK))}
    assert "errors: 0\n" in text
    assert DONE.decode() in text
