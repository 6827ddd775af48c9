"""Foreign memory for tests: a domain's frames in this process, which can be limited, refused, and found unmapped."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from southbridge.accelerators.xen.hypervisor import PAGE_SIZE


class TinyForeignMemory:
    """`frames` frames of memory.

    What is mapped is a copy: what is stored there goes back, and to other copies, at the next call; so that a view that
    is used too long is found: its bytes are 0xDD then.
    """

    def __init__(self, frames: int) -> None:
        self.memory = bytearray(frames * PAGE_SIZE)
        self.places = {frame: frame for frame in range(frames)}
        """Where in `memory` each frame is."""
        self.refused: set[int] = set()
        """Frames that can't be mapped."""
        self.limit: int | None = None
        """How many frames can be mapped at once."""
        self.maps = 0
        self._mapped: dict[int, tuple[memoryview, bytearray, list[int | None]]] = {}
        """Each view, what it showed at the last call, and its places."""

    @property
    def mapped(self) -> int:
        """How many frames are mapped."""
        return sum(len(places) for _, _, places in self._mapped.values())

    def map(self, frames: Sequence[int]) -> tuple[memoryview, list[int]]:
        """See ForeignMemory."""
        self.maps += 1
        if self.limit is not None and self.mapped + len(frames) > self.limit:
            raise OSError(errno.ENOMEM, "xenforeignmemory_map: no room")
        self.synchronize()
        places = [None if frame in self.refused else self.places.get(frame) for frame in frames]
        view = memoryview(bytearray(len(frames) * PAGE_SIZE))
        for at, place in enumerate(places):
            if place is not None:
                view[at * PAGE_SIZE : (at + 1) * PAGE_SIZE] = self._frame(place)
        self._mapped[id(view)] = view, bytearray(view), places
        return view, [-errno.EINVAL if place is None else 0 for place in places]

    def unmap(self, view: memoryview) -> None:
        """See ForeignMemory."""
        self.synchronize()
        del self._mapped[id(view)]
        view[:] = b"\xdd" * len(view)

    def synchronize(self) -> None:
        """What was stored through a mapping is in the memory, and in other mappings of the same frame."""
        pages = [
            (
                view[at * PAGE_SIZE : (at + 1) * PAGE_SIZE],
                memoryview(shown)[at * PAGE_SIZE : (at + 1) * PAGE_SIZE],
                place,
            )
            for view, shown, places in self._mapped.values()
            for at, place in enumerate(places)
            if place is not None
        ]
        for view, shown, place in pages:
            if view != shown:
                self._frame(place)[:] = view
        for view, shown, place in pages:
            view[:] = shown[:] = self._frame(place)

    def _frame(self, place: int) -> memoryview:
        return memoryview(self.memory)[place * PAGE_SIZE : (place + 1) * PAGE_SIZE]

    def map_over(self, frames: Sequence[int], address: int) -> list[int]:
        """See ForeignMemory."""
        raise NotImplementedError

    def map_ioreq_pages(self, server: int) -> tuple[memoryview, memoryview]:
        """See ForeignMemory."""
        raise NotImplementedError

    def unmap_ioreq_pages(self) -> None:
        """See ForeignMemory."""

    def restrict(self, domid: int) -> None:
        """See ForeignMemory."""
