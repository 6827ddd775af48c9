"""The qcow2 back end: an image that is read, and written only through an overlay."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from southbridge.block import SECTOR, BlockBackend, BlockError
from southbridge.errors import SouthbridgeError
from southbridge.overlay import Overlay
from southbridge.properties import FilePath, Property

from .chain import chain_files, open_chain
from .layer import Qcow2Layer


class Qcow2Image(BlockBackend):
    """A qcow2 image with its backing chain, none of which is ever written."""

    path: FilePath = Property(doc="The image file.")
    read_only: bool = Property(False, doc="Whether the guest may only read. Either this or `overlay` must be true.")
    overlay: bool = Property(
        False, doc="Whether writes go to a temporary file that ends with the machine, leaving the image untouched."
    )

    _files: ExitStack | None = None
    _layer: Qcow2Layer | None = None
    _overlay: Overlay | None = None

    def open(self) -> None:
        """Opens the chain. Raises SouthbridgeError if an image of it is missing, wrong, truncated, or being written."""
        self.name = str(self.path)
        if self.read_only == self.overlay:
            raise SouthbridgeError(
                f"{self.name}: a qcow2 image can't be written in place: set either read_only or overlay (the guest's "
                "writes end with the machine) to true; to keep them, use raw (`qemu-img convert -O raw`)"
            )
        with ExitStack() as files:
            self._layer = open_chain(self.name, files)
            self.size = -(-self._layer.size // SECTOR) * SECTOR
            self.writable = self.overlay
            if self.overlay:
                self._overlay = Overlay(self._read_image, self.size)
            self._files = files.pop_all()

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`. Raises BlockError, with EIO where the image is corrupt."""
        if self._overlay is not None:
            return self._overlay.read(offset, length)
        return self._read_image(offset, length)

    def write(self, offset: int, data: bytes) -> None:
        """Writes to the overlay. Raises BlockError, with EROFS if there is none."""
        if self._overlay is None:
            raise BlockError(errno.EROFS, self.name)
        self._overlay.write(offset, data)

    def flush(self) -> None:
        """Does nothing: what an overlay holds ends with the process."""

    def identity(self) -> dict[str, Any]:
        """The size and time of change of each file in the chain, from the top."""
        if self._layer is None:
            raise BlockError(errno.ENODEV, f"{self.name}: closed")
        return {"files": [file.facts() for file in chain_files(self._layer)]}

    def changes(self) -> Iterator[tuple[int, int]] | None:
        """What the overlay has, if there is one."""
        return None if self._overlay is None else self._overlay.changes()

    def close(self) -> None:
        """Closes all files and drops the overlay."""
        if self._overlay is not None:
            self._overlay.close()
            self._overlay = None
        if self._files is not None:
            self._files.close()
            self._files = None
        self._layer = None

    def _read_image(self, offset: int, length: int) -> bytes:
        if self._layer is None:
            raise BlockError(errno.ENODEV, f"{self.name}: closed")
        within = max(0, min(length, self._layer.size - offset))
        return self._layer.read(offset, within).ljust(length, b"\0")
