"""A drive's sector buffer, and how far the host has got in it.

The data register moves words; a DMA burst moves bytes, an even number of them. All lengths here are in words unless
they say bytes. Words are in the host's byte order, which must be little-endian, as the cable's is.
"""

from __future__ import annotations

from typing import Any

from southbridge.component import Component, State

LARGEST = 2 << 20
"""Bytes that a buffer ever holds."""


class SectorBuffer(Component):
    """Data on its way, in blocks: the host may move `position` up to `block_end`, in one direction."""

    data: bytes = State(b"", max_length=LARGEST, doc="The contents; in use only in the saved state.")
    position: int = State(0, ge=0, doc="What moves next.")
    block_end: int = State(0, ge=0, doc="Where the block ends, and the drive does something.")

    words: memoryview
    read_end = 0
    """`block_end` while the data register may be read, else 0."""
    write_end = 0
    """`block_end` while the data register may be written, else 0."""

    def load_data(self, data: bytes) -> None:
        """Holds `data`, of which nothing has moved."""
        self._hold(bytearray(data) if len(data) % 2 == 0 else bytearray(data) + b"\0")
        self._odd = len(data) % 2

    def expect(self, length: int) -> None:
        """Has room for `length` bytes, an even number."""
        self._hold(bytearray(length))

    def clear(self) -> None:
        """Holds nothing."""
        self._hold(bytearray())

    def open_block(self, length: int) -> int:
        """Lets the next `length` bytes move, or as many as there are; gives their number.

        Of an odd number, the last word's second byte doesn't count.
        """
        self.block_end = min(self.position + (length + 1) // 2, len(self.words))
        return min(length, self.remaining - self._odd)

    @property
    def remaining(self) -> int:
        """Bytes that didn't move yet."""
        return 2 * (len(self.words) - self.position)

    def contents(self) -> bytes:
        """All of it."""
        return bytes(self._view)

    def take(self, length: int) -> memoryview:
        """The next `length` bytes, or what there is."""
        start = 2 * self.position
        view = self._view[start : start + length]
        self.position += len(view) // 2
        return view

    def put(self, data: memoryview) -> None:
        """Stores `data`, for which there must be room."""
        start = 2 * self.position
        self._view[start : start + len(data)] = data
        self.position += len(data) // 2

    def save(self) -> dict[str, Any]:
        """See Component."""
        self.data = self.contents()
        saved = super().save()
        self.data = b""
        return saved

    def restored(self) -> None:
        """Takes the contents from the restored state; a cursor beyond them stays at their end."""
        position, block_end = self.position, self.block_end
        self.load_data(self.data)
        self.data = b""
        self.block_end = min(block_end, len(self.words))
        self.position = min(position, self.block_end)

    def _hold(self, buffer: bytearray) -> None:
        # A new buffer each time: views of the old one may still be in use.
        self._view = memoryview(buffer)
        self.words = self._view.cast("H")
        self.position = self.block_end = self.read_end = self.write_end = 0
        self._odd = 0
