"""The mapcache: everything that has gone wrong in such a thing before, and a model."""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from southbridge.accelerators.xen.hypervisor import PAGE_SIZE
from southbridge.accelerators.xen.mapcache import Lock, MapCache
from southbridge.errors import GuestMemoryError

from .foreign import TinyForeignMemory

BUCKET = 4 * PAGE_SIZE


def make(frames: int = 64, buckets: int = 4) -> tuple[TinyForeignMemory, MapCache]:
    memory = TinyForeignMemory(frames)
    for frame in range(frames):
        memory.memory[frame * PAGE_SIZE : (frame + 1) * PAGE_SIZE] = bytes([frame]) * PAGE_SIZE
    return memory, MapCache(memory, bucket=BUCKET, budget=buckets * BUCKET)


def test_what_was_written_is_read_and_is_in_the_guests_memory() -> None:
    memory, cache = make()
    cache.write(0x1234, b"hello")
    assert cache.read(0x1234, 5) == b"hello"
    cache.invalidate()
    assert memory.memory[0x1234:0x1239] == b"hello"
    assert memory.mapped == 0


def test_a_size_that_is_no_multiple_of_a_bucket() -> None:
    _, cache = make(frames=6)
    end = 6 * PAGE_SIZE
    assert cache.read(end - 8, 8) == b"\5" * 8
    with pytest.raises(GuestMemoryError) as caught:
        cache.read(end - 8, 16)
    assert caught.value.address == end
    assert len(cache.lock(end - 8, 4096).view) == 8


def test_a_write_beyond_the_end_stores_nothing() -> None:
    _, cache = make(frames=6)
    with pytest.raises(GuestMemoryError):
        cache.write(6 * PAGE_SIZE - 8, b"x" * 16)
    assert cache.read(6 * PAGE_SIZE - 8, 8) == b"\5" * 8


def test_the_limit_on_mappable_memory_reached() -> None:
    """The hypervisor has less to give than our budget: the bucket used the longest ago goes."""
    memory, cache = make(buckets=8)
    memory.limit = 8  # frames: two buckets
    for address in (0, BUCKET, 2 * BUCKET, 0):
        assert cache.read(address, 1) == bytes([address // PAGE_SIZE])
    assert cache.statistics.evictions == 2
    held = [cache.lock(0, 1), cache.lock(2 * BUCKET, 1)]
    with pytest.raises(GuestMemoryError, match="can't be mapped"):
        cache.lock(BUCKET, 1)
    cache.unlock(held[0])
    assert cache.read(BUCKET, 1) == bytes([4])


def test_the_budget_is_hard() -> None:
    memory, cache = make(buckets=2)
    first, second = cache.lock(0, 1), cache.lock(BUCKET, 1)
    with pytest.raises(GuestMemoryError, match="in use"):
        cache.lock(2 * BUCKET, 1)
    cache.unlock(second)
    third = cache.lock(2 * BUCKET, 1)
    assert memory.mapped * PAGE_SIZE == cache.statistics.mapped == cache.statistics.most_mapped == 2 * BUCKET
    cache.unlock(first)
    cache.unlock(third)


def test_the_least_recently_used_bucket_goes() -> None:
    memory, cache = make(buckets=2)
    for address in (0, BUCKET, 0, 2 * BUCKET):
        cache.read(address, 1)
    maps = memory.maps
    cache.read(0, 1)
    assert memory.maps == maps
    cache.read(BUCKET, 1)
    assert memory.maps == maps + 1


def test_a_region_that_moved() -> None:
    memory, cache = make()
    assert cache.read(2 * BUCKET, 1) == bytes([8])
    other = cache.lock(0, 1)
    memory.places[8], memory.places[40] = 40, 8
    maps = memory.maps
    cache.invalidate_range(2 * BUCKET, 2 * BUCKET + PAGE_SIZE)
    assert cache.read(2 * BUCKET, 1) == bytes([40])
    assert cache.read(1, 1) == other.view.tobytes() == b"\0"
    assert memory.maps == maps + 1
    cache.unlock(other)


def test_invalidation_while_an_entry_is_locked() -> None:
    """Who has it keeps it; others get the memory as it is now; it is unmapped with its last lock."""
    memory, cache = make()
    lock = cache.lock(PAGE_SIZE, 16)
    cache.invalidate()
    lock.view[:4] = b"DMA!"
    assert memory.mapped == 4
    memory.synchronize()
    assert cache.read(PAGE_SIZE, 4) == b"DMA!"
    assert memory.mapped == 8
    cache.unlock(lock)
    assert memory.mapped == 4


def test_invalidate_all_requested_in_mid_dma() -> None:
    """A transfer of several pieces: each piece goes where the memory is when its turn comes."""
    memory, cache = make()
    data = bytes(range(256)) * 128  # 32 KiB over three buckets
    address, done = PAGE_SIZE, 0
    while done < len(data):
        lock = cache.lock(address + done, len(data) - done)
        part = len(lock.view)
        lock.view[: part // 2] = data[done : done + part // 2]
        cache.invalidate()
        lock.view[part // 2 :] = data[done + part // 2 : done + part]
        cache.unlock(lock)
        done += part
    memory.synchronize()
    assert memory.memory[address : address + len(data)] == data
    assert memory.mapped == 0
    assert cache.statistics.locked == 0


def test_a_request_not_aligned_to_a_bucket() -> None:
    memory, cache = make()
    assert cache.read(3 * PAGE_SIZE - 2, 2 * BUCKET) == bytes(memory.memory[3 * PAGE_SIZE - 2 :][: 2 * BUCKET])
    assert len(cache.lock(BUCKET - 3, 100).view) == 3


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_overlapping_mappings_of_different_lengths_unlocked_in_either_order(order: tuple[int, int]) -> None:
    memory, cache = make()
    locks = [cache.lock(0x800, 0x100), cache.lock(0x880, 0x1800)]
    locks[1].view[0] = 0x77
    assert locks[0].view[0x80] == 0x77
    cache.invalidate()
    cache.unlock(locks[order[0]])
    assert memory.mapped == 4
    assert locks[order[1]].view[0x80 if order[1] == 0 else 0] == 0x77
    cache.unlock(locks[order[1]])
    assert memory.mapped == 0


def test_a_mapping_that_crosses_a_bucket_line_maps_no_more_for_ever() -> None:
    memory, cache = make(buckets=1)
    for _ in range(100):
        cache.write(BUCKET - 256, b"x" * 512)
        assert cache.read(BUCKET - 256, 512) == b"x" * 512
    assert memory.mapped == 4
    assert cache.statistics.most_mapped == BUCKET


def test_the_lock_count_beyond_255() -> None:
    memory, cache = make()
    locks = [cache.lock(0, 16) for _ in range(1000)]
    cache.invalidate()
    for lock in locks[1:]:
        cache.unlock(lock)
    assert memory.mapped == 4
    assert locks[0].view[0] == 0
    cache.unlock(locks[0])
    assert memory.mapped == 0


def test_unlocking_twice_is_refused() -> None:
    _, cache = make()
    lock = cache.lock(0, 1)
    cache.unlock(lock)
    with pytest.raises(ValueError, match="twice"):
        cache.unlock(lock)


def test_two_threads_at_once() -> None:
    _, cache = make(buckets=2)
    wrong: list[str] = []

    def work(part: int) -> None:
        chooser = random.Random(part)
        mine = bytes(PAGE_SIZE)
        cache.write(part * PAGE_SIZE, mine)
        for turn in range(400):
            bucket = chooser.randrange(4)
            at = (bucket * 4 + part) * PAGE_SIZE + chooser.randrange(PAGE_SIZE - 8)
            try:
                if turn % 7 == 0:
                    cache.invalidate()
                cache.write(at, bytes([turn & 255]) * 8)
                if cache.read(at, 8) != bytes([turn & 255]) * 8:
                    wrong.append(f"{part}: {turn}")
            except GuestMemoryError as error:  # the budget, while the other one has both
                wrong.append(str(error))

    threads = [threading.Thread(target=work, args=(part,)) for part in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_page_that_the_hypervisor_refuses_to_map_in_the_middle_of_a_bucket() -> None:
    memory, cache = make()
    memory.refused = {5}
    assert len(cache.lock(4 * PAGE_SIZE, BUCKET).view) == PAGE_SIZE
    with pytest.raises(GuestMemoryError) as caught:
        cache.read(4 * PAGE_SIZE, 2 * PAGE_SIZE)
    assert caught.value.address == 5 * PAGE_SIZE
    assert cache.read(6 * PAGE_SIZE, 1) == b"\6"
    assert cache.statistics.refused == 1


def test_a_page_that_becomes_mapped_later() -> None:
    """Ballooning: it was refused, and is there now, though the bucket is in use."""
    memory, cache = make()
    memory.refused = {5}
    lock = cache.lock(4 * PAGE_SIZE, 8)
    with pytest.raises(GuestMemoryError):
        cache.read(5 * PAGE_SIZE, 1)
    memory.refused = set()
    assert cache.read(5 * PAGE_SIZE, 1) == b"\5"
    assert lock.view[0] == 4
    cache.unlock(lock)
    assert memory.mapped == 4


def test_nothing_is_kept_of_a_bucket_that_is_all_holes() -> None:
    memory, cache = make(frames=4)
    for _ in range(3):
        with pytest.raises(GuestMemoryError):
            cache.lock(1 << 40, 1)
    assert memory.mapped == cache.statistics.mapped == 0


def test_a_view_that_is_kept_too_long_is_still_mapped() -> None:
    """A fault of a device's costs budget; it reads no memory that isn't there."""
    memory, cache = make(buckets=1)
    lock = cache.lock(PAGE_SIZE, 16)
    kept = lock.view[4:]
    cache.unlock(lock)
    cache.invalidate()
    assert kept[0] == 1
    assert memory.mapped == 4
    with pytest.raises(GuestMemoryError, match="in use"):
        cache.read(BUCKET, 1)
    del kept
    assert memory.mapped == 0
    assert cache.read(BUCKET, 1) == b"\4"


def test_the_hit_rate_of_sequential_accesses() -> None:
    _, cache = make()
    for address in range(0, 4 * BUCKET, 64):
        cache.read(address, 64)
    assert cache.statistics.misses == 4
    assert cache.statistics.hit_rate > 0.99


@pytest.mark.parametrize(("bucket", "budget"), [(0x3000, 0x10000), (0x800, 0x10000), (0x10000, 0x8000)])
def test_sizes_that_make_no_sense(bucket: int, budget: int) -> None:
    with pytest.raises(ValueError, match="bucket"):
        MapCache(TinyForeignMemory(1), bucket=bucket, budget=budget)


_ACTIONS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 26 * PAGE_SIZE), st.integers(1, 3 * BUCKET), st.integers(0, 255)),
    st.tuples(st.just("read"), st.integers(0, 26 * PAGE_SIZE), st.integers(1, 3 * BUCKET), st.just(0)),
    st.tuples(st.just("lock"), st.integers(0, 26 * PAGE_SIZE), st.integers(1, BUCKET), st.just(0)),
    st.tuples(st.just("unlock"), st.integers(0, 9), st.just(0), st.just(0)),
    st.tuples(st.just("invalidate"), st.just(0), st.just(0), st.just(0)),
    st.tuples(st.just("refuse"), st.integers(0, 25), st.just(0), st.just(0)),
    st.tuples(st.just("give"), st.integers(0, 25), st.just(0), st.just(0)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_ACTIONS, max_size=40))
@example([("lock", 0, 1, 0), ("invalidate", 0, 0, 0), ("write", 0, 1, 1), ("invalidate", 0, 0, 0), ("read", 0, 1, 0)])
def test_it_behaves_as_plain_memory_with_holes(actions: list[tuple[str, int, int, int]]) -> None:
    """Against a model. A page is taken away only together with an invalidation, as hypervisors do."""
    memory, cache = make(frames=24, buckets=3)
    model = bytearray(memory.memory)
    locks: list[Lock] = []
    for what, at, length, value in actions:
        frames = range(at // PAGE_SIZE, (at + length - 1) // PAGE_SIZE + 1)
        good = all(frame < 24 and frame not in memory.refused for frame in frames)
        if what in ("write", "read", "lock"):
            try:
                if what == "write":
                    cache.write(at, bytes([value]) * length)
                    model[at : at + length] = bytes([value]) * length
                elif what == "read":
                    assert cache.read(at, length) == model[at : at + length]
                else:
                    lock = cache.lock(at, length)
                    assert 0 < len(lock.view) <= length
                    locks.append(lock)
                    continue
                assert good
            except GuestMemoryError as error:
                assert not good or "in use" in error.reason
        elif what == "unlock" and locks:
            cache.unlock(locks.pop(at % len(locks)))
        elif what == "invalidate":
            cache.invalidate()
        elif what == "refuse" and not locks:
            memory.synchronize()
            cache.invalidate()
            memory.refused.add(at)
        elif what == "give" and not locks:
            memory.refused.discard(at)
        assert cache.statistics.mapped <= cache.budget
        assert memory.mapped * PAGE_SIZE == cache.statistics.mapped
    while locks:
        cache.unlock(locks.pop())
    cache.invalidate()
    assert memory.mapped == 0
