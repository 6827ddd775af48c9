"""An image of nothing: see README.md."""

from __future__ import annotations

from southbridge.block import SECTOR, BlockBackend
from southbridge.properties import Property

DEFAULT_SIZE = 1 << 30


class NullImage(BlockBackend):
    """Reads as zeros; what is written is gone. QEMU's `null-co`."""

    size: int = Property(DEFAULT_SIZE, ge=SECTOR, multiple_of=SECTOR, doc="Of the disk, in bytes.")
    read_only: bool = Property(False, doc="The guest may only read.")

    def open(self) -> None:
        """There is nothing to open."""
        self.name = "null-co"
        self.writable = not self.read_only

    def read(self, offset: int, length: int) -> bytes:
        """Zeros."""
        return bytes(length)

    def write(self, offset: int, data: bytes) -> None:
        """Forgets it."""

    def flush(self) -> None:
        """There is nothing to keep."""

    def close(self) -> None:
        """There is nothing to close."""
