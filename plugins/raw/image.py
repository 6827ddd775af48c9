"""Raw images: the disk's bytes, as they are, in a file or block device."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

from southbridge.block import SECTOR, BlockBackend, BlockError
from southbridge.errors import SouthbridgeError
from southbridge.image_file import ImageFile
from southbridge.overlay import Overlay
from southbridge.properties import FilePath, Property


class RawImage(BlockBackend):
    """A file or block device. Its length is rounded up to whole sectors, the rest of the last one reading as zeros."""

    path: FilePath = Property(doc="The image file or block device.")
    read_only: bool = Property(False, doc="Whether the guest may only read.")
    overlay: bool = Property(
        False, doc="Whether writes go to a temporary file that ends with the machine, leaving the image untouched."
    )

    _file: ImageFile | None = None
    _overlay: Overlay | None = None

    def open(self) -> None:
        """Opens and locks the file. Raises SouthbridgeError if it is unusable, empty, or in use by others."""
        self.name = str(self.path)
        if self.read_only and self.overlay:
            raise SouthbridgeError(f"{self.name}: read_only and overlay exclude each other")
        self.writable = not self.read_only
        self._file = ImageFile(self.path, writable=self.writable and not self.overlay)
        self._length = self._file.length
        self.size = -(-self._length // SECTOR) * SECTOR
        try:
            if not self.size:
                raise SouthbridgeError(f"{self.name}: the image is empty; expected at least one byte of disk")
            if self.overlay:
                self._overlay = Overlay(self._read_file, self.size)
        except SouthbridgeError:
            self.close()
            raise

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`. Raises BlockError, with EIO if the file has become shorter."""
        if self._overlay is not None:
            return self._overlay.read(offset, length)
        return self._read_file(offset, length)

    def write(self, offset: int, data: bytes) -> None:
        """Writes to the overlay if there is one, else to the file. Raises BlockError."""
        if self._overlay is not None:
            self._overlay.write(offset, data)
            return
        self._opened().write(offset, data)
        self._length = max(self._length, offset + len(data))  # the guest has written into the padding

    def flush(self) -> None:
        """Puts the file on its medium; an overlay has nothing that should outlive the process."""
        if self._overlay is None and self.writable:
            self._opened().flush()

    def give_up(self) -> None:
        """See BlockBackend."""
        self._opened().unlock()

    def take_back(self) -> None:
        """See BlockBackend."""
        self._opened().lock()

    def identity(self) -> dict[str, Any]:
        """The file's size and time of change."""
        return {"files": [self._opened().facts()]}

    def changes(self) -> Iterator[tuple[int, int]] | None:
        """What the overlay has, if there is one."""
        return None if self._overlay is None else self._overlay.changes()

    def close(self) -> None:
        """Closes the file and drops the overlay."""
        if self._overlay is not None:
            self._overlay.close()
            self._overlay = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read_file(self, offset: int, length: int) -> bytes:
        data = self._opened().read(offset, length)
        if len(data) < length and offset + len(data) < self._length:
            raise BlockError(errno.EIO, f"{self.name}: the file has become shorter than {self._length} bytes")
        return data.ljust(length, b"\0")

    def _opened(self) -> ImageFile:
        if self._file is None:
            raise BlockError(errno.ENODEV, f"{self.name}: closed")
        return self._file
