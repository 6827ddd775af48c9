"""The firmware ROM: where it appears, which images it takes, what it says of others."""

from __future__ import annotations

from pathlib import Path

import pytest
from southbridge import KiB, MiB, SouthbridgeError
from southbridge.plugins.bios import Bios, device
from southbridge.properties import property_model
from southbridge.testing import Bench


@pytest.fixture
def board(bench: Bench) -> Bench:
    """A bench with little RAM, so that the firmware below 1 MiB shows."""
    bench.machine.memory.root.children[0].region.enabled = False
    return bench


def image(path: Path, size: int) -> str:
    """An image whose every 64 KiB begin with their number, ending in a reset vector."""
    file = path / "firmware.rom"
    blocks = [bytes([number]) * 64 * KiB for number in range(size // (64 * KiB))]
    file.write_bytes(b"".join(blocks)[:-2] + b"\xeb\xfe" + bytes(size % (64 * KiB)))
    return str(file)


@pytest.mark.parametrize("size", [64 * KiB, 128 * KiB, 256 * KiB, 8 * MiB])
def test_ends_at_4g_and_at_1m(board: Bench, tmp_path: Path, size: int) -> None:
    board.plug("bios", image=image(tmp_path, size))
    last = (size // (64 * KiB) - 1) & 0xFF
    assert board.read_mmio(0xFFFF_FFFE, 2) == 0xFEEB
    assert board.read_mmio(0x1_0000_0000 - size, 1) == 0
    assert board.read_mmio(0xF_FFFE, 2) == 0xFEEB
    assert board.read_mmio(0xF_0000, 1) == last
    assert board.read_mmio(0xE_0000, 1) == (last - 1 if size > 64 * KiB else 0xFF)
    assert board.read_mmio(0xD_FFFF, 1) == 0xFF


def test_is_read_only(board: Bench, tmp_path: Path) -> None:
    board.plug("bios", image=image(tmp_path, 128 * KiB))
    for address in (0xF_0000, 0xFFFF_0000):
        board.write_mmio(address, 0xFF, 1)
        assert board.read_mmio(address, 1) == 1


def test_unplugged_it_is_gone(board: Bench, tmp_path: Path) -> None:
    board.machine.unplug(board.plug("bios", image=image(tmp_path, 64 * KiB)))
    assert board.read_mmio(0xFFFF_FFF0, 4) == 0xFFFF_FFFF
    assert board.read_mmio(0xF_FFF0, 4) == 0xFFFF_FFFF


@pytest.mark.parametrize(
    ("size", "message"),
    [(0, "0 B"), (4 * KiB, "4 KiB"), (64 * KiB + 1, "65537 B"), (8 * MiB + 64 * KiB, "more than 8 MiB")],
)
def test_impossible_size_is_refused(bench: Bench, tmp_path: Path, size: int, message: str) -> None:
    path = tmp_path / "firmware.rom"
    path.write_bytes(bytes(size))
    with pytest.raises(SouthbridgeError, match=f"{message}; a firmware image has"):
        bench.plug("bios", image=str(path))


def test_bare_name_is_searched(board: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "FOLDERS", (str(tmp_path / "nothing"), str(tmp_path)))
    image(tmp_path, 64 * KiB)
    board.plug("bios", image="firmware.rom")
    assert board.read_mmio(0xFFFF_FFFE, 2) == 0xFEEB


def test_missing_firmware_says_how_to_install_it(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "FOLDERS", (str(tmp_path),))
    with pytest.raises(SouthbridgeError, match=r"no firmware 'bios-256k.bin' in .*: apt-get install seabios$"):
        bench.plug("bios")
    with pytest.raises(SouthbridgeError, match=r"no firmware 'mine.rom' in [^;]*$"):
        bench.plug("bios", image="mine.rom")


def test_missing_path_is_named(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(SouthbridgeError, match=f"no file {tmp_path}/none.rom$"):
        bench.plug("bios", image=str(tmp_path / "none.rom"))


def test_bare_name_in_the_working_directory_comes_first(
    board: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / "firmware.rom").write_bytes(bytes(128 * KiB))
    monkeypatch.setattr(device, "FOLDERS", (str(installed),))
    image(tmp_path, 64 * KiB)
    monkeypatch.chdir(tmp_path)
    board.plug("bios", image="firmware.rom")
    assert board.read_mmio(0xFFFF_FFFE, 2) == 0xFEEB


@pytest.mark.parametrize(
    ("text", "value"), [("bios.bin", "bios.bin"), ("./bios.bin", Path("bios.bin")), ("a/b.rom", Path("a/b.rom"))]
)
def test_only_a_path_is_relative_to_its_description(text: str, value: object) -> None:
    assert property_model(Bios).model_validate({"image": text}).model_dump() == {"image": value}


@pytest.mark.parametrize("value", ["", 5, None, ["x"]])
def test_image_must_be_a_name(bench: Bench, value: object) -> None:
    with pytest.raises(SouthbridgeError, match="bios: image"):
        bench.plug("bios", image=value)


def test_unreadable_image_is_named(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(SouthbridgeError, match=f"can't read {tmp_path}: Is a directory"):
        bench.plug("bios", image=str(tmp_path))
