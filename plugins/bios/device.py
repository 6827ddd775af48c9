"""The firmware ROM: ends at 4 GiB, where the CPU's first instruction is, and shows its end below 1 MiB too.

As the 82371SB (PIIX3) decodes it: the top of the 32-bit address space, and E0000h to FFFFFh.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from southbridge.annotations import Converted
from southbridge.device import Device
from southbridge.errors import SouthbridgeError
from southbridge.memory.ram import RamBlock
from southbridge.memory.regions import Alias, Ram
from southbridge.properties import Property
from southbridge.units import GiB, KiB, MiB, format_size

FOLDERS = ("/usr/share/seabios", "/usr/share/qemu", "/usr/share/OVMF", "/usr/share/edk2/x64")
"""Where distributions keep firmware."""
PACKAGES = {"bios.bin": "seabios", "bios-256k.bin": "seabios", "OVMF.fd": "ovmf"}
"""Debian's package of each well-known image."""
UNIT = 64 * KiB
LARGEST = 8 * MiB
LOW_SIZE = 128 * KiB


def _image(value: object) -> Path | str:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("expected the path or name of a firmware image")
    return Path(value).expanduser() if isinstance(value, Path) or "/" in value else value


Image = Annotated[Path | str, Converted(_image, {"type": "string"})]
"""A path, or a bare name."""


class Bios(Device):
    """Firmware in a ROM."""

    is_firmware: ClassVar[bool] = True

    image: Image = Property("bios-256k.bin", doc="The image: a path, or the name of one that is installed.")

    def realize(self) -> None:
        """Maps the image. Raises SouthbridgeError if it can't be found, can't be read, or has no possible size."""
        contents = read_image(self.id, self.image)
        block = RamBlock(self.id, len(contents))
        block.view[:] = contents
        rom = Ram(self.id, block, readonly=True, owner=self)
        low = min(LOW_SIZE, len(contents))
        bus = self.machine.bus_memory
        self._claim(bus, rom, 4 * GiB - len(contents), "memory", 0)
        tail = Alias(f"{self.id} below 1 MiB", rom, len(contents) - low, low, owner=self)
        self._claim(bus, tail, MiB - low, "memory", 0)


def find_image(image: Path | str) -> Path | None:
    """The file that `image` is the path of, else a bare name's in one of `FOLDERS`; None if there is none."""
    bare = isinstance(image, str)
    candidates = [Path(image), *(Path(folder, image) for folder in FOLDERS if bare)]
    return next((path for path in candidates if path.exists()), None)


def read_image(id: str, image: Path | str) -> bytes:
    """The contents of `image`, for the device `id`. Raises SouthbridgeError."""
    path = find_image(image)
    if path is None:
        raise SouthbridgeError(_missing(id, image))
    try:
        with path.open("rb") as file:
            contents = file.read(LARGEST + 1)
    except OSError as error:
        raise SouthbridgeError(f"{id}: image: can't read {path}: {error.strerror}") from None
    if not contents or len(contents) % UNIT or len(contents) > LARGEST:
        size = "more than 8 MiB" if len(contents) > LARGEST else format_size(len(contents))
        raise SouthbridgeError(
            f"{id}: image: {path} has {size}; a firmware image has a multiple of 64 KiB, at most 8 MiB"
        )
    return contents


def _missing(id: str, image: Path | str) -> str:
    package = PACKAGES.get(Path(image).name)
    advice = f"; on Debian and Ubuntu: apt-get install {package}" if package else ""
    if isinstance(image, Path):
        return f"{id}: image: there is no file {image}{advice}"
    return f"{id}: image: there is no firmware {image!r} in {', '.join(FOLDERS)}{advice}"
