"""The option ROM, and the boot order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from southbridge.errors import RealizeError
from southbridge.testing import Bench

ROM = 0xE010_0000
CONTENTS = b"\x55\xaa\x02" + bytes(range(200))


def test_a_rom_of_the_users(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "rom"
    path.write_bytes(CONTENTS)
    card = bench.plug("e1000", romfile=str(path), addr="03.0", bootindex=2)
    bench.config_write(card, 0x30, 4, ROM | 1)
    bench.config_write(card, 0x04, 2, 2)
    assert bytes(bench.read_mmio(ROM + at, 1) for at in range(len(CONTENTS))) == CONTENTS
    bench.write_mmio(ROM, 0, 1)
    assert bench.read_mmio(ROM, 1) == 0x55
    assert bench.machine.firmware_config.boot_order() == b"/pci@i0cf8/ethernet@3/ethernet-phy@0\0"
    with pytest.raises(RealizeError, match="bootindex 2 is taken"):
        bench.plug("e1000", "other", bootindex=2)
    assert bench.machine.firmware_config.boot_order()
    bench.machine.unplug(card)
    assert bench.machine.firmware_config.boot_order() == b""


@pytest.mark.parametrize("kind", ["e1000", "e1000-82544gc", "e1000-82545em"])
def test_a_card_without_a_rom(bench: Bench, kind: str) -> None:
    card = bench.plug(kind, romfile="")
    bench.config_write(card, 0x30, 4, ROM | 1)
    bench.config_write(card, 0x04, 2, 2)
    assert bench.read_mmio(ROM, 2) == 0xFFFF


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (None, "there is no network boot ROM"),
        (b"MZ", "isn't an option ROM of at most 128 KiB"),
        (b"\x55\xaa" + bytes(128 << 10), "more than 128 KiB"),
    ],
)
def test_a_rom_that_cant_be_had(bench: Bench, tmp_path: Path, contents: Any, message: str) -> None:
    path = tmp_path / "rom"
    if contents is not None:
        path.write_bytes(contents)
    with pytest.raises(RealizeError, match=message):
        bench.plug("e1000", romfile=str(path))
