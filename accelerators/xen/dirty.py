"""Which pages changed: of video memory, by the guest, for a display; of all memory, by devices, for a toolstack that
copies a running guest (log-dirty mode).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from southbridge.memory.regions import Ram, Section

from .hypervisor import PAGE_SHIFT, DeviceModel
from .memory import DomainMemory

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

log = logging.getLogger(__name__)


class DirtyLog:
    """The hypervisor tracks one range of frames: of the region that asked first. With the lock held."""

    def __init__(self, model: DeviceModel, memory: DomainMemory) -> None:
        self._model = model
        self._memory = memory
        self._region: Ram | None = None
        self._place: Section | None = None

    # --- a display's ---------------------------------------------------------------------------------------------

    def start(self, region: Ram) -> bool | None:
        """See the hook dirty_log_start."""
        if self._region is None:
            self._region = region
            return True
        return None

    def stop(self, region: Ram) -> bool | None:
        """See the hook dirty_log_stop."""
        if region is not self._region:
            return None
        self._region = None
        self._untrack()
        return True

    def sync(self, region: Ram, place: Section | None) -> npt.NDArray[np.bool_] | None:
        """See the hook dirty_log_sync. `place`: where the region's memory shows now, if the domain has it there."""
        if region is not self._region:
            return None
        import numpy as np

        pages = np.zeros(region.size >> PAGE_SHIFT, dtype=np.bool_)
        if place is not self._place:
            self._untrack()
            self._place = place
        if place is None:
            return pages
        first, count = place.offset >> PAGE_SHIFT, place.size >> PAGE_SHIFT
        try:
            bitmap = self._model.track_dirty_vram(place.start >> PAGE_SHIFT, count)
        except OSError as error:
            log.debug("track_dirty_vram: %s", error)
            pages[first : first + count] = True
            return pages
        bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")[:count]
        pages[first : first + count] = bits.astype(np.bool_)
        return pages

    def _untrack(self) -> None:
        if self._place is not None:
            self._place = None
            try:
                self._model.track_dirty_vram(0, 0)
            except OSError as error:  # Xen 4.17 says EFAULT, and does it
                log.debug("track_dirty_vram: %s", error)

    # --- a toolstack's -------------------------------------------------------------------------------------------

    def report(self, enabled: bool) -> None:
        """Whether the hypervisor is told of each page that a device writes to."""
        self._memory.wrote = self._wrote if enabled else None

    def _wrote(self, address: int, length: int) -> None:
        if length:
            first = address >> PAGE_SHIFT
            try:
                self._model.modified_memory(first, (address + length - 1 >> PAGE_SHIFT) - first + 1)
            except OSError as error:
                log.error("memory at %#x: the toolstack isn't told that it changed: %s", address, error.strerror)
