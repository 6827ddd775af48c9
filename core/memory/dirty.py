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

    def merge(self, pages: npt.NDArray[np.bool_]) -> None:
        """Adds an accelerator's bitmap, one element a page."""
        self._pages |= pages

    def take(self) -> npt.NDArray[np.bool_]:
        """The pages that changed since the last call, one element a page; the log starts again from clean."""
        pages = self._pages
        self._pages = np.zeros_like(pages)
        return pages
