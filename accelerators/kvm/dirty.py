"""Which pages the guest wrote: KVM's dirty bitmaps (api.rst, KVM_GET_DIRTY_LOG and KVM_CLEAR_DIRTY_LOG).

Fetching a slot's bitmap protects its pages again, which costs more the larger the slot is. With manual protection
(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) fetching changes nothing, and only the pages that were written are protected again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from southbridge.memory.pieces import Piece
from southbridge.memory.ram import PAGE_SHIFT
from southbridge.memory.regions import Ram

from . import ioctls as k
from .memory import Slots
from .structures import ClearDirtyLog, DirtyLog
from .vm import Vm

_GROUP = 64
"""KVM clears whole groups of so many pages, but for the last of a slot."""


class Bitmap:
    """Memory for one slot's bitmap, a bit a page, and the requests that name it."""

    def __init__(self, slot: int, pages: int) -> None:
        self.pages = pages
        self.words = np.zeros(-(-pages // _GROUP), dtype=np.uint64)
        self.bytes = self.words.view(np.uint8)
        address = self.words.ctypes.data
        self.fetch = DirtyLog(slot, 0, address)
        self.clear = ClearDirtyLog(slot, pages, 0, address)


class DirtyLogs:
    """What is recorded of a virtual machine's memory. Used with the machine's lock held."""

    def __init__(self, vm: Vm, slots: Slots) -> None:
        self._vm = vm
        self._slots = slots
        offered = vm.check(k.CAP_MANUAL_DIRTY_LOG_PROTECT2)
        self._manual = bool(offered & k.DIRTY_LOG_MANUAL_PROTECT) and vm.enable(
            k.CAP_MANUAL_DIRTY_LOG_PROTECT2, k.DIRTY_LOG_MANUAL_PROTECT
        )
        self._bitmaps: dict[tuple[Piece, int], Bitmap] = {}
        self._regions: dict[Ram, npt.NDArray[np.bool_]] = {}
        """The regions that are logged, each with what was found in slots that are gone."""
        slots.on_remove = self._slot_goes

    def start(self, region: Ram) -> None:
        """The guest's stores to `region` are recorded from now on."""
        if region not in self._regions:
            self._regions[region] = np.zeros(region.size >> PAGE_SHIFT, dtype=np.bool_)
            self._slots.log(region.block)
            self.sync(region)

    def stop(self, region: Ram) -> None:
        """They no longer are."""
        if self._regions.pop(region, None) is not None:
            self._slots.stop_log(region.block)

    def logs(self, region: Ram) -> bool:
        """Whether they are."""
        return region in self._regions

    def sync(self, region: Ram) -> npt.NDArray[np.bool_]:
        """The pages of `region` that the guest wrote since the last call."""
        for piece, slot in self._slots.slots_of(region.block):
            if not piece.readonly:
                self._collect(piece, slot)
        found = self._regions[region]
        self._regions[region] = np.zeros_like(found)
        return found

    def _slot_goes(self, piece: Piece, slot: int) -> None:
        """A slot is about to be deleted: what it recorded is kept."""
        if not piece.readonly and any(region.block is piece.block for region in self._regions):
            self._collect(piece, slot)
        self._bitmaps.pop((piece, slot), None)

    def _collect(self, piece: Piece, slot: int) -> None:
        """Takes a slot's bitmap into the records of every region over the same memory."""
        bitmap = self._bitmaps.get((piece, slot))
        if bitmap is None:
            bitmap = self._bitmaps[piece, slot] = Bitmap(slot, piece.size >> PAGE_SHIFT)
        self._vm.get(k.KVM_GET_DIRTY_LOG, bitmap.fetch)
        if not bitmap.words.any():
            return
        if self._manual:
            self._vm.set(k.KVM_CLEAR_DIRTY_LOG, bitmap.clear)
        pages: npt.NDArray[Any] = np.unpackbits(bitmap.bytes, count=bitmap.pages, bitorder="little").view(np.bool_)
        for region, record in self._regions.items():
            if region.block is piece.block:
                _merge(record, pages, (piece.offset - region.offset) >> PAGE_SHIFT)


def _merge(record: npt.NDArray[np.bool_], pages: npt.NDArray[np.bool_], first: int) -> None:
    """`pages` begin at index `first` of `record`; what lies outside is left out."""
    start, stop = max(first, 0), min(first + len(pages), len(record))
    if start < stop:
        record[start:stop] |= pages[start - first : stop - first]
