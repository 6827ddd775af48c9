"""What the machine tells its firmware: named files and numbered items, which a `fw_cfg` device shows the guest.

Contents are bytes, or a function that gives them when the firmware looks (after every device is realized).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

Contents = bytes | Callable[[], bytes]


@dataclass
class BootDevice:
    """A device to boot from, as firmware finds it: `index` ascending, `path` in Open Firmware's form."""

    index: int
    path: str


class Geometry(NamedTuple):
    """How a BIOS addresses a disk."""

    cylinders: int
    heads: int
    sectors: int
    """Of a track."""


class FirmwareConfig:
    """The registry. Devices add to it while they are realized."""

    def __init__(self) -> None:
        self.files: dict[str, Contents] = {}
        self.items: dict[int, Contents] = {}
        self.answers: dict[str, Callable[[bytes], None]] = {}
        """Files that the firmware may write, with what is told of their new contents."""
        self.boot_devices: list[BootDevice] = []
        self.floppy_drives: dict[int, int] = {}
        """The types of the floppy drives A and B (0 and 1), as IBM's setup program numbers them: 4 is 1.44 MB."""
        self.disks: dict[int, Geometry] = {}
        """The hard disks by IDE place (0 to 3), and the geometry that each tells of itself."""
        self.geometries: dict[str, Geometry] = {}
        """What a BIOS is to use, by the disk's path in Open Firmware's form: the user's choice."""
        self.shown = False
        """Whether a device shows it to the guest."""

    def add_file(self, name: str, contents: Contents) -> None:
        """Adds the file `name` (at most 55 ASCII characters, such as "etc/e820"). Raises ValueError if it exists."""
        if not name.isascii() or not 0 < len(name) < 56:
            raise ValueError(f"not a firmware file's name: {name!r}")
        if name in self.files:
            raise ValueError(f"firmware file {name!r} is there twice")
        self.files[name] = contents

    def add_answer(self, name: str, contents: Contents, written: Callable[[bytes], None]) -> None:
        """Adds a file that the firmware may write; its size doesn't change. Raises ValueError if it exists."""
        self.add_file(name, contents)
        self.answers[name] = written

    def add_item(self, key: int, contents: Contents) -> None:
        """Sets the numbered item `key`."""
        self.items[key] = contents

    def add_boot_device(self, index: int, path: str) -> None:
        """Names a device to boot from. Raises ValueError if `index` is taken."""
        if any(device.index == index for device in self.boot_devices):
            raise ValueError(f"bootindex {index} is taken")
        self.boot_devices.append(BootDevice(index, path))

    def remove_boot_device(self, index: int) -> None:
        """The device of that index is gone."""
        self.boot_devices = [device for device in self.boot_devices if device.index != index]

    def boot_order(self) -> bytes:
        """The contents of the file "bootorder": a path a line, the first to try first, zero-terminated."""
        ordered = sorted(self.boot_devices, key=lambda device: device.index)
        return "\n".join(device.path for device in ordered).encode() + b"\0" if ordered else b""

    def bios_geometry(self) -> bytes:
        """The contents of the file "bios-geometry": path, cylinders, heads and sectors a line, zero-terminated."""
        lines = [" ".join(map(str, (path, *geometry))) for path, geometry in self.geometries.items()]
        return "\n".join(lines).encode() + b"\0" if lines else b""


def resolve(contents: Contents) -> bytes:
    """The bytes, now."""
    return contents if isinstance(contents, bytes) else contents()
