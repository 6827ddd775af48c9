"""Option ROMs on cards, as files (PCI Firmware Specification 3.0, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RealizeError
from ..memory.ram import RamBlock
from ..memory.regions import Ram
from ..units import format_size

if TYPE_CHECKING:
    from .device import PciDevice

SIGNATURE = b"\x55\xaa"


def find_rom(image: str, folders: Sequence[str]) -> Path | None:
    """Where `image` is, a path or the name of an installed one; None if it is nowhere."""
    candidates = [Path(image)] if "/" in image else [Path(folder, image) for folder in folders]
    return next((path for path in candidates if path.exists()), None)


def read_rom(id: str, image: str, *, kind: str, folders: Sequence[str], package: str, largest: int) -> bytes:
    """The contents of `image`, a `kind` (in words), for the device `id`. `package` is the one of Debian's that has it.

    Raises RealizeError.
    """
    path = find_rom(image, folders)
    if path is None:
        where = "" if "/" in image else f" in {', '.join(folders)}; on Debian and Ubuntu: apt-get install {package}"
        raise RealizeError(f"{id}: romfile: there is no {kind} {image!r}{where}")
    try:
        with path.open("rb") as file:
            contents = file.read(largest + 1)
    except OSError as error:
        raise RealizeError(f"{id}: romfile: can't read {path}: {error.strerror}") from None
    if contents[:2] != SIGNATURE or len(contents) > largest:
        limit = format_size(largest)
        size = f"more than {limit}" if len(contents) > largest else format_size(len(contents))
        raise RealizeError(f"{id}: romfile: {path} ({size}) isn't an option ROM of at most {limit}")
    return contents


def rom_region(device: PciDevice, contents: bytes, size: int) -> Ram:
    """`contents` as the memory of `size` bytes that the device's ROM BAR shows."""
    block = RamBlock(f"{device.id}.rom", size)
    block.view[: len(contents)] = contents
    return Ram(block.name, block, readonly=True, owner=device)
