"""Which pages of a RAM block changed: the host's half of dirty logging."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .ram import PAGE_SHIFT, RamBlock


class DirtyPages:
    """One consumer's view of the changed pages of `size` bytes at `offset` in `block`, page-aligned.

    The core marks what devices write; an accelerator adds what the guest wrote.
    """

    def __init__(self, block: RamBlock, offset: int = 0, size: int | None = None) -> None:
        self.block = block
        self.offset = offset
        self.size = block.size - offset if size is None else size
        self._pages = np.zeros(self.size >> PAGE_SHIFT, dtype=np.bool_)

    def mark(self, offset: int, length: int) -> None:
        """`length` bytes at `offset` in the block changed."""
        first = max(offset - self.offset, 0) >> PAGE_SHIFT
        last = (offset + length - 1 - self.offset) >> PAGE_SHIFT
        if last >= 0 and length > 0:
            self._pages[first : last + 1] = True

    def mark_rows(self, offset: int, pitch: int, length: int, rows: int) -> None:
        """The same for `rows` times `length` bytes, the first at `offset`, each `pitch` behind the one before."""
        if length <= 0 or rows <= 0:
            return
        if 0 <= abs(pitch) - length < 1 << PAGE_SHIFT and pitch > 0:
            self.mark(offset, (rows - 1) * pitch + length)  # no page lies between two rows
            return
        starts = offset - self.offset + np.arange(rows) * pitch
        first, end = starts >> PAGE_SHIFT, (starts + length - 1 >> PAGE_SHIFT) + 1
        count = len(self._pages)
        changes = np.zeros(count + 1, np.int64)
        np.add.at(changes, np.clip(first, 0, count), 1)
        np.add.at(changes, np.clip(end, 0, count), -1)
        self._pages |= np.cumsum(changes[:-1]) > 0

    def merge(self, pages: npt.NDArray[np.bool_]) -> None:
        """Adds an accelerator's bitmap, one element a page."""
        self._pages |= pages

    def take(self) -> npt.NDArray[np.bool_]:
        """The pages that changed since the last call, one element a page; the log starts again from clean."""
        pages = self._pages
        self._pages = np.zeros(len(pages), np.bool_)
        return pages
