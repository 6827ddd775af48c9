"""Video BIOSes: option ROMs on a card, which firmware starts before everything else."""

from __future__ import annotations

from pathlib import Path

from ..errors import RealizeError
from ..units import KiB, format_size

FOLDERS = ("/usr/share/seabios", "/usr/share/qemu", "/usr/share/vgabios")
"""Where distributions keep them."""
SIGNATURE = b"\x55\xaa"
LARGEST = 64 * KiB


def read_rom(id: str, image: str) -> bytes:
    """The contents of `image`, a path, or the name of an installed one, for the device `id`. Raises RealizeError."""
    candidates = [Path(image)] if "/" in image else [Path(folder, image) for folder in FOLDERS]
    path = next((path for path in candidates if path.exists()), None)
    if path is None:
        where = "" if "/" in image else f" in {', '.join(FOLDERS)}; on Debian and Ubuntu: apt-get install seabios"
        raise RealizeError(f"{id}: romfile: there is no video BIOS {image!r}{where}")
    try:
        with path.open("rb") as file:
            contents = file.read(LARGEST + 1)
    except OSError as error:
        raise RealizeError(f"{id}: romfile: can't read {path}: {error.strerror}") from None
    if contents[:2] != SIGNATURE or len(contents) > LARGEST:
        size = "more than 64 KiB" if len(contents) > LARGEST else format_size(len(contents))
        raise RealizeError(f"{id}: romfile: {path} ({size}) isn't an option ROM of at most 64 KiB")
    return contents
