"""The block queue: order, threads, bounds, errors and draining."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable

import pytest
from southbridge.block import BlockBackend, BlockError, BlockQueue, ThreadExecutor
from southbridge.errors import SouthbridgeError
from southbridge.testing.block import StepExecutor

SIZE = 4096


class Memory(BlockBackend):
    """A disk in memory that records what is done to it."""

    def open(self) -> None:
        self.name = "memory"
        self.size = SIZE
        self.writable = True
        self.data = bytearray(SIZE)
        self.calls: list[tuple[str, int, int]] = []
        self.threads: set[int] = set()
        self.busy = threading.Lock()
        self.failure: Exception | None = None
        self.gate: threading.Event | None = None
        self.closed = False

    def _call(self, name: str, offset: int, length: int) -> None:
        assert self.busy.acquire(blocking=False), "two requests at once"
        try:
            self.calls.append((name, offset, length))
            self.threads.add(threading.get_ident())
            if self.gate is not None:
                assert self.gate.wait(20)
            if self.failure is not None:
                raise self.failure
        finally:
            self.busy.release()

    def read(self, offset: int, length: int) -> bytes:
        self._call("read", offset, length)
        return bytes(self.data[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        self._call("write", offset, len(data))
        self.data[offset : offset + len(data)] = data

    def flush(self) -> None:
        self._call("flush", 0, 0)

    def close(self) -> None:
        self.closed = True


class Results(list[tuple[bytes | None, int | None]]):
    """What the requests ended with: bytes, or an errno."""

    def done(self, result: bytes | None, error: BlockError | None) -> None:
        self.append((result, error.errno if error else None))


@pytest.fixture
def disk() -> Memory:
    memory = Memory()
    memory.open()
    return memory


@pytest.fixture
def lock() -> threading.RLock:
    return threading.RLock()


def test_nothing_happens_on_the_submitting_stack(disk: Memory, lock: threading.RLock) -> None:
    executor, results = StepExecutor(), Results()
    queue = BlockQueue(disk, executor, lock)
    queue.write(512, b"abc", results.done)
    queue.read(511, 5, results.done)
    queue.read(0, SIZE + 1, results.done)
    assert disk.calls == [] and results == []
    assert executor.run() == 3
    assert results == [(b"", None), (b"\0abc\0", None), (None, errno.EINVAL)]


def test_requests_run_in_order_on_one_other_thread_and_end_under_the_lock(disk: Memory, lock: threading.RLock) -> None:
    executor = ThreadExecutor("disk")
    queue = BlockQueue(disk, executor, lock)
    order: list[int] = []

    def end(number: int) -> Callable[[bytes | None, BlockError | None], None]:
        def done(result: bytes | None, error: BlockError | None) -> None:
            assert lock._is_owned()  # type: ignore[attr-defined]
            assert threading.current_thread() is not threading.main_thread()
            order.append(number)

        return done

    with lock:
        for number in range(100):
            queue.write(number, b"x", end(number))
        queue.flush(end(100))
        assert order == [], "the lock is held here, so no request can have been reported"
    queue.drain()
    assert order == list(range(101))
    assert [offset for name, offset, _ in disk.calls if name == "write"] == list(range(100))
    assert disk.calls[-1][0] == "flush"
    assert disk.threads.isdisjoint({threading.get_ident()}) and len(disk.threads) == 1
    executor.close()


@pytest.mark.parametrize(
    ("offset", "length"),
    [(-1, 1), (SIZE, 1), (SIZE - 1, 2), (1 << 63, 512), (0, SIZE + 1), (0, -1)],
)
def test_a_request_beyond_the_image_is_not_executed(
    disk: Memory, lock: threading.RLock, offset: int, length: int
) -> None:
    executor, results = StepExecutor(), Results()
    queue = BlockQueue(disk, executor, lock)
    queue.read(offset, length, results.done)
    if length > 0:
        queue.write(offset, bytes(length), results.done)
    executor.run()
    assert set(results) == {(None, errno.EINVAL)} and disk.calls == []


def test_the_last_byte_and_no_byte_are_within_bounds(disk: Memory, lock: threading.RLock) -> None:
    executor, results = StepExecutor(), Results()
    queue = BlockQueue(disk, executor, lock)
    queue.read(SIZE - 1, 1, results.done)
    queue.read(SIZE, 0, results.done)
    executor.run()
    assert results == [(b"\0", None), (b"", None)]


def test_a_write_to_a_read_only_image_is_refused(disk: Memory, lock: threading.RLock) -> None:
    disk.writable = False
    executor, results = StepExecutor(), Results()
    BlockQueue(disk, executor, lock).write(0, b"x", results.done)
    executor.run()
    assert results == [(None, errno.EROFS)] and disk.calls == []


@pytest.mark.parametrize(
    ("failure", "number"),
    [
        (BlockError(errno.ENOSPC), errno.ENOSPC),
        (OSError(errno.EFBIG, "too big"), errno.EFBIG),
        (RuntimeError("a fault in the back end"), errno.EIO),
    ],
)
def test_a_back_end_that_fails_ends_the_request_not_the_queue(
    disk: Memory, lock: threading.RLock, failure: Exception, number: int
) -> None:
    executor, results = StepExecutor(), Results()
    queue = BlockQueue(disk, executor, lock)
    disk.failure = failure
    queue.flush(results.done)
    executor.run()
    disk.failure = None
    queue.flush(results.done)
    executor.run()
    assert results == [(None, number), (b"", None)]


def test_a_short_read_is_an_error(disk: Memory, lock: threading.RLock) -> None:
    executor, results = StepExecutor(), Results()
    del disk.data[100:]
    BlockQueue(disk, executor, lock).read(0, 512, results.done)
    executor.run()
    assert results == [(None, errno.EIO)]


def test_a_device_that_fails_at_the_end_of_a_request_does_not_stop_the_next(
    disk: Memory, lock: threading.RLock, caplog: pytest.LogCaptureFixture
) -> None:
    executor, results = StepExecutor(), Results()
    queue = BlockQueue(disk, executor, lock)

    def broken(result: bytes | None, error: BlockError | None) -> None:
        raise RuntimeError("a fault in the device")

    queue.flush(broken)
    queue.read(0, 1, results.done)
    executor.run()
    assert results == [(b"\0", None)]
    assert "a fault in the device" in caplog.text
    queue.drain(0)


def test_drain_waits_for_requests_that_the_ends_of_others_cause(disk: Memory, lock: threading.RLock) -> None:
    executor, results = ThreadExecutor("disk"), Results()
    queue = BlockQueue(disk, executor, lock)
    left = 50

    def again(result: bytes | None, error: BlockError | None) -> None:
        nonlocal left
        left -= 1
        queue.read(left, 1, again if left else results.done)

    with lock:  # as whoever pauses the machine holds it
        queue.read(0, 1, again)
        queue.drain()
        assert left == 0 and results == [(b"\0", None)]
    executor.close()


def test_drain_returns_as_soon_as_the_last_request_has_ended(disk: Memory, lock: threading.RLock) -> None:
    executor = StepExecutor()
    queue = BlockQueue(disk, executor, lock)
    queue.flush(Results().done)
    waiting = threading.Thread(target=queue.drain, args=(1000,), daemon=True)
    waiting.start()
    executor.run()
    waiting.join(20)
    assert not waiting.is_alive()


def test_drain_gives_up_and_names_the_image(disk: Memory, lock: threading.RLock) -> None:
    executor, results = ThreadExecutor("disk"), Results()
    queue = BlockQueue(disk, executor, lock)
    disk.gate = threading.Event()
    queue.read(0, 1, results.done)
    with pytest.raises(SouthbridgeError, match=r"memory: 1 request\(s\) not finished after 0.01 s"):
        queue.drain(0.01)
    disk.gate.set()
    queue.drain()
    assert results == [(b"\0", None)]
    executor.close()


def test_close_finishes_what_is_under_way_and_refuses_what_comes_after(disk: Memory, lock: threading.RLock) -> None:
    executor, results = ThreadExecutor("disk"), Results()
    queue = BlockQueue(disk, executor, lock)
    queue.write(0, b"last", results.done)
    queue.close()
    queue.close()
    assert disk.closed and disk.data.startswith(b"last")
    queue.read(0, 1, results.done)
    queue.drain()
    assert results == [(b"", None), (None, errno.ENODEV)]
    executor.close()


def test_two_queues_on_one_executor_take_turns(disk: Memory, lock: threading.RLock) -> None:
    executor = StepExecutor()
    busy, other = BlockQueue(disk, executor, lock), BlockQueue(disk, executor, lock)
    for offset in range(3):
        busy.read(offset, 1, Results().done)
    other.read(100, 1, Results().done)
    executor.run()
    assert [offset for _, offset, _ in disk.calls] == [0, 100, 1, 2]


def test_two_queues_on_one_executor_do_not_mix(disk: Memory, lock: threading.RLock) -> None:
    other = Memory()
    other.open()
    executor, results = ThreadExecutor("shared"), Results()
    first, second = BlockQueue(disk, executor, lock), BlockQueue(other, executor, lock)
    for offset in range(20):
        first.write(offset, b"1", results.done)
        second.write(offset, b"2", results.done)
    first.drain()
    second.drain()
    assert len(results) == 40 and disk.data[:21] == b"1" * 20 + b"\0" and other.data[:21] == b"2" * 20 + b"\0"
    executor.close()
