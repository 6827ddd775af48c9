"""What a description says of booting: the keys `kernel`, `initrd`, `cmdline`, `boot_protocol` and `firmware`."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import NamedTuple

from ..errors import DescriptionError, Location

PROTOCOLS = ("auto", "vmlinux", "bzimage", "pvh", "multiboot")
"""How a kernel is entered. `vmlinux`: Linux's 64-bit entry; the host decompresses one that is in a bzImage."""

FIRMWARE = ("rom", "none")
"""What the CPU executes first: the firmware that the machine has, or the kernel."""


class BootSettings(NamedTuple):
    """A kernel to boot. `places` has where each key was written."""

    kernel: Path
    initrd: Path | None = None
    cmdline: str = ""
    protocol: str = "auto"
    firmware: bool = True
    """Through the machine's firmware."""
    places: Mapping[str, Location] = field(default_factory=dict)

    def tree(self) -> dict[str, str]:
        """As a description has it, with absolute paths."""
        tree = {"kernel": str(self.kernel.absolute()), "cmdline": self.cmdline, "boot_protocol": self.protocol}
        if self.initrd is not None:
            tree["initrd"] = str(self.initrd.absolute())
        return tree | {"firmware": "rom" if self.firmware else "none"}

    def wrong(self, key: str, message: str) -> DescriptionError:
        """What is wrong with `key`, to be raised."""
        return DescriptionError(message, self.places.get(key), key)

    def explained(self, key: str, problem: str) -> DescriptionError:
        """The same; `problem` is one of the file that `key` names, if it does."""
        name = {"kernel": self.kernel, "initrd": self.initrd}.get(key)
        return self.wrong(key, f"{name}: {problem}" if name else problem)

    def read(self, key: str, path: Path, largest: int) -> bytes:
        """The contents of `path`, which `key` names. Raises DescriptionError; also for more than `largest` bytes."""
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO might wait forever
                raise self.wrong(key, f"expected a file: {path} is none")
            with path.open("rb") as file:
                contents = file.read(largest + 1)
        except (OSError, ValueError) as error:
            raise self.wrong(key, f"can't read {path}: {getattr(error, 'strerror', None) or error}") from None
        if not contents:
            raise self.wrong(key, f"{path} is empty")
        if len(contents) > largest:
            raise self.wrong(key, f"{path} is larger than the {largest >> 20} MiB that there is room for")
        return contents
