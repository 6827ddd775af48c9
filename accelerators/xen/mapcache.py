"""Guest memory, mapped in buckets when it is needed, within a budget.

A bucket is a power of two of bytes, aligned to its size; it is mapped as a whole, except for frames that the hypervisor
refuses: holes. Whoever uses a bucket locks it. Buckets that nobody has locked are given back, the one that was used the
longest ago first, when the budget is reached or the hypervisor has no more to map with.

A bucket that is invalidated while it is locked serves those who have it to the end; nobody gets it any more.

The bytes are unmapped when the last view of them is gone, not before: a view that somebody keeps too long costs budget
(`Statistics.mapped`), but no segmentation fault.
"""

from __future__ import annotations

import ctypes
import errno
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from southbridge.errors import GuestMemoryError
from southbridge.units import MiB

from .hypervisor import PAGE_SHIFT, PAGE_SIZE, ForeignMemory

BUCKET = MiB
BUDGET = 128 * MiB


class Bucket:
    """A piece of guest memory that is mapped."""

    __slots__ = ("_array", "holes", "index", "locks", "stale", "view")

    def __init__(self, index: int, view: memoryview, holes: frozenset[int], gone: Callable[[], None]) -> None:
        self.index = index
        self.holes = holes
        """Pages in it that aren't mapped."""
        self.locks = 0
        self.stale = False
        """It is in the cache no more."""
        # Views keep the array alive, and so the mapping.
        self._array = (ctypes.c_ubyte * len(view)).from_buffer(view)
        self.view = memoryview(self._array).cast("B")
        weakref.finalize(self._array, gone).atexit = False


@dataclass(slots=True, repr=False, eq=False)
class Lock:
    """Bytes that stay mapped until they are unlocked."""

    view: memoryview
    bucket: Bucket | None


@dataclass(eq=False)
class Statistics:
    """What a mapcache has done. A hit is an access that found its bucket mapped."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    """Buckets given back for want of room."""
    invalidations: int = 0
    refused: int = 0
    """Frames that the hypervisor didn't map."""
    failures: int = 0
    """Accesses that got nothing."""
    locked: int = 0
    """Locks that are held now."""
    mapped: int = 0
    """Bytes that are mapped now."""
    most_mapped: int = 0

    @property
    def hit_rate(self) -> float:
        """Between 0 and 1."""
        total = self.hits + self.misses
        return self.hits / total if total else 1.0


class MapCache:
    """Maps a domain's memory through `memory`, `bucket` bytes at a time, never more than `budget` at once.

    Any thread may use it.
    """

    def __init__(self, memory: ForeignMemory, *, bucket: int = BUCKET, budget: int = BUDGET) -> None:
        if bucket < PAGE_SIZE or bucket & bucket - 1:
            raise ValueError(f"a bucket is a power of two of at least {PAGE_SIZE} bytes, not {bucket}")
        if budget < bucket:
            raise ValueError(f"a budget of {budget} bytes doesn't allow one bucket of {bucket}")
        self.bucket = bucket
        self.budget = budget
        self.statistics = Statistics()
        self._memory = memory
        self._shift = bucket.bit_length() - 1
        self._buckets: OrderedDict[int, Bucket] = OrderedDict()
        """By index, the one that was used last at the end."""
        self._mutex = threading.RLock()  # a finalizer may run while it is held

    # --- for users -----------------------------------------------------------------------------------------------

    def lock(self, address: int, length: int) -> Lock:
        """From `address` on, at least one byte and at most `length`: up to the bucket's end, or a hole.

        Raises GuestMemoryError if nothing can be mapped there.
        """
        with self._mutex:
            bucket, offset, part = self._piece(address, length)
            bucket.locks += 1
            self.statistics.locked += 1
            return Lock(bucket.view[offset : offset + part], bucket)

    def unlock(self, lock: Lock) -> None:
        """Gives it back. Raises ValueError if that was done before."""
        with self._mutex:
            bucket = lock.bucket
            if bucket is None:
                raise ValueError("a mapping is unlocked twice")
            lock.bucket = None
            lock.view = memoryview(b"")
            bucket.locks -= 1
            self.statistics.locked -= 1

    def read(self, address: int, length: int) -> bytes:
        """`length` bytes. Raises GuestMemoryError if a part can't be mapped."""
        with self._mutex:
            data = self._read_piece(address, length)
            if len(data) == length:
                return data
            parts = [data]
            done = len(data)
            while done < length:
                parts.append(self._read_piece(address + done, length - done))
                done += len(parts[-1])
            return b"".join(parts)

    def write(self, address: int, data: bytes | memoryview) -> None:
        """Stores `data`: all of it, or, raising GuestMemoryError, nothing."""
        with self._mutex:
            length = len(data)
            bucket, offset, part = self._piece(address, length)
            if part == length:
                bucket.view[offset : offset + length] = data
                return
            del bucket  # so that it can be unmapped for the next one
            self.check(address, length)
            done = 0
            while done < length:
                done += self._write_piece(address + done, data[done:])

    def check(self, address: int, length: int) -> None:
        """Raises GuestMemoryError unless all of it can be mapped, a piece at a time."""
        with self._mutex:
            done = 0
            while done < length:
                done += self._piece(address + done, length - done)[2]

    def _read_piece(self, address: int, length: int) -> bytes:
        bucket, offset, part = self._piece(address, length)
        return bucket.view[offset : offset + part].tobytes()

    def _write_piece(self, address: int, data: bytes | memoryview) -> int:
        bucket, offset, part = self._piece(address, len(data))
        bucket.view[offset : offset + part] = data[:part]
        return part

    # --- for the hypervisor --------------------------------------------------------------------------------------

    def invalidate(self) -> None:
        """The guest's memory isn't where it was: whatever is mapped is mapped again when it is needed."""
        with self._mutex:
            self.statistics.invalidations += 1
            for index in list(self._buckets):
                self._drop(index)

    def invalidate_range(self, start: int, end: int) -> None:
        """The same, of guest-physical addresses from `start` up to `end`."""
        with self._mutex:
            for index in list(self._buckets):
                if index << self._shift < end and start < index + 1 << self._shift:
                    self._drop(index)

    # --- buckets -------------------------------------------------------------------------------------------------

    def _piece(self, address: int, length: int) -> tuple[Bucket, int, int]:
        """The bucket with `address`, the offset in it, and how much of `length` can be had there."""
        index, offset = address >> self._shift, address & self.bucket - 1
        bucket = self._buckets.get(index)
        if bucket is None:
            self.statistics.misses += 1
            bucket = self._map(index, address)
        else:
            self.statistics.hits += 1
            self._buckets.move_to_end(index)
            if bucket.holes and offset >> PAGE_SHIFT in bucket.holes and self._is_there_now(address):
                self._drop(index)
                del bucket  # so that it is unmapped now, if nobody has it
                bucket = self._map(index, address)
        if bucket.holes and offset >> PAGE_SHIFT in bucket.holes:
            self.statistics.failures += 1
            raise GuestMemoryError(address, "no memory")
        part = min(length, self.bucket - offset)
        if bucket.holes:
            first = offset >> PAGE_SHIFT
            for page in range(first + 1, (offset + part - 1 >> PAGE_SHIFT) + 1):
                if page in bucket.holes:
                    part = (page << PAGE_SHIFT) - offset
                    break
        return bucket, offset, part

    def _map(self, index: int, address: int) -> Bucket:
        """Maps a bucket that isn't."""
        self._make_room(address)
        first = index << self._shift - PAGE_SHIFT
        view, errors = self._map_frames(range(first, first + (self.bucket >> PAGE_SHIFT)), address)
        holes = frozenset(page for page, error in enumerate(errors) if error)
        self.statistics.refused += len(holes)
        if len(holes) == len(errors):
            self._memory.unmap(view)
            self.statistics.failures += 1
            raise GuestMemoryError(address, "no memory")
        statistics = self.statistics
        statistics.mapped += self.bucket
        statistics.most_mapped = max(statistics.most_mapped, statistics.mapped)
        bucket = Bucket(index, view, holes, partial(self._unmap, view))
        self._buckets[index] = bucket
        return bucket

    def _is_there_now(self, address: int) -> bool:
        """Whether a page that was refused isn't any more: the guest's balloon gave it back."""
        frame = address >> PAGE_SHIFT
        view, errors = self._map_frames(range(frame, frame + 1), address)
        self._memory.unmap(view)
        return not errors[0]

    def _map_frames(self, frames: range, address: int) -> tuple[memoryview, list[int]]:
        while True:
            try:
                return self._memory.map(frames)
            except OSError as error:
                # What we have is more than the hypervisor, or this process, can give: make do with less.
                if error.errno in (errno.ENOMEM, errno.ENOSPC, errno.EAGAIN) and self._evict():
                    continue
                self.statistics.failures += 1
                raise GuestMemoryError(address, f"memory that can't be mapped ({error.strerror})") from error

    def _make_room(self, address: int) -> None:
        while self.statistics.mapped + self.bucket > self.budget:
            if not self._evict():
                self.statistics.failures += 1
                raise GuestMemoryError(address, "all memory that may be mapped at once is in use, for memory")

    def _evict(self) -> bool:
        """Gives the bucket back that nobody has used for the longest time. False: all are locked."""
        victim = next((index for index, bucket in self._buckets.items() if not bucket.locks), None)
        if victim is None:
            return False
        self.statistics.evictions += 1
        self._drop(victim)
        return True

    def _drop(self, index: int) -> None:
        self._buckets.pop(index).stale = True

    def _unmap(self, view: memoryview) -> None:
        with self._mutex:
            self.statistics.mapped -= self.bucket
        self._memory.unmap(view)
