"""Block back ends, and the queue through which a device uses one without ever waiting for it.

A back end (a raw file, a qcow2 image) is plain blocking code. A device never calls it: it gives its requests to a
`BlockQueue`, which runs them in order on a worker thread and reports each with the machine lock held.
"""

from __future__ import annotations

import errno
import logging
import os
import queue
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

from .errors import SouthbridgeError
from .properties import Configurable

SECTOR = 512
"""What every image's size is a multiple of, in bytes."""

DRAIN_SECONDS = 10.0
"""How long a pause, a snapshot or the end of a machine waits for an image."""

logger = logging.getLogger(__name__)


class BlockError(Exception):
    """A request failed. `errno` says how (EIO, ENOSPC, EROFS, ...), `detail` adds what is known beyond that."""

    def __init__(self, number: int, detail: str = "") -> None:
        self.errno = number
        self.detail = detail
        reason = os.strerror(number)
        super().__init__(f"{reason}: {detail}" if detail else reason)


class BlockBackend(Configurable, ABC):
    """The host's side of a disk: `size` bytes that a device reads and, if `writable`, writes.

    Every method may block. `open` and `close` are called by whoever builds the machine, the others on a worker
    thread; calls never overlap, so a back end needs no lock of its own. Offsets and lengths are bytes of any
    alignment; a caller keeps within `size`.
    """

    name: str
    """What messages call the image, usually its path; valid from `open` on."""
    size: int
    """In bytes, a multiple of `SECTOR`; valid from `open` on. An image of another length is padded with zeros."""
    writable: bool
    """Whether `write` may be called; valid from `open` on."""
    queues: tuple[BlockQueue, ...] = ()
    """Every queue to it."""

    @abstractmethod
    def open(self) -> None:
        """Opens the image. Raises SouthbridgeError, naming the image, if it can't be used."""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`. Raises BlockError."""

    @abstractmethod
    def write(self, offset: int, data: bytes) -> None:
        """Writes all of `data` at `offset`. Raises BlockError."""

    @abstractmethod
    def flush(self) -> None:
        """Returns when everything written so far would survive a power failure. Raises BlockError."""

    @abstractmethod
    def close(self) -> None:
        """Gives everything back; may be called twice, and after an `open` that failed."""

    def give_up(self) -> None:
        """Somebody else may open the image for writing from now on; nothing is written to it until `take_back`."""

    def take_back(self) -> None:
        """The inverse of `give_up`. Raises SouthbridgeError if somebody else uses the image now."""

    def identity(self) -> dict[str, Any]:
        """What tells the image from another one, and from itself once it has been changed: plain data, for snapshots.

        What `changes` has isn't part of it. Raises BlockError.
        """
        return {"size": self.size}

    def changes(self) -> Iterator[tuple[int, int]] | None:
        """Offset and length of each piece of the disk that was written to an overlay, and isn't in the image.

        Ascending, and with bounded lengths. None if what is written goes to the image itself.
        """
        return None


@runtime_checkable
class RemovableMedia(Protocol):
    """A drive whose medium may be exchanged. All is called with the machine lock held."""

    drive: BlockBackend | None
    """The medium."""
    tray_open: bool
    locked: bool
    """The guest has forbidden to open the tray by hand."""

    def change_medium(self, backend: BlockBackend | None) -> None:
        """Another medium, or none, is in the drive, and the tray is closed."""

    def move_tray(self, opened: bool) -> None:
        """Opens or closes the tray."""


class Executor(Protocol):
    """Runs blocking work elsewhere than on the thread that submits it."""

    def submit(self, function: Callable[[], None]) -> None:
        """Has `function` called soon, after this call has returned. Never blocks."""


class ThreadExecutor:
    """One daemon thread, started by the first request, that runs what is submitted in order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def submit(self, function: Callable[[], None]) -> None:
        """Has `function` called on the thread. May be called on any thread."""
        if self._thread is None:
            self._start()
        self._work.put(function)

    def close(self) -> None:
        """Ends the thread once it has run what was submitted, and waits for that, but not for ever."""
        self._work.put(None)
        if self._thread is not None:
            self._thread.join(DRAIN_SECONDS)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (function := self._work.get()) is not None:
            function()


Done = Callable[[bytes | None, BlockError | None], None]
"""Told of a request's end: the bytes that were read (empty for a write or flush), or else the error."""


class _Request(NamedTuple):
    run: Callable[[], bytes]
    done: Done


class BlockQueue:
    """A device's requests to one back end, run in order, one at a time, on `executor`.

    `lock` is the machine lock. `done` is called with it held, always after the submitting call has returned, once for
    each request, in order. A device that no longer wants a result (it was reset) ignores it.
    """

    def __init__(self, backend: BlockBackend, executor: Executor, lock: threading.RLock) -> None:
        self.backend = backend
        backend.queues = (*backend.queues, self)
        self._executor = executor
        self._lock = lock
        # On the machine lock itself, so that a thread that drains while it holds the lock gives it up meanwhile.
        self._progress = threading.Condition(lock)
        self._requests: deque[_Request] = deque()
        self._unfinished = 0
        self._closed = False

    def read(self, offset: int, length: int, done: Done) -> None:
        """Reads `length` bytes at `offset`."""

        def run() -> bytes:
            self._check_bounds(offset, length)
            data = self.backend.read(offset, length)
            if len(data) != length:
                raise BlockError(errno.EIO, f"{self.backend.name}: {len(data)} of {length} bytes read at {offset}")
            return data

        self._submit(_Request(run, done))

    def write(self, offset: int, data: bytes, done: Done) -> None:
        """Writes `data` at `offset`."""

        def run() -> bytes:
            self._check_bounds(offset, len(data))
            if not self.backend.writable:
                raise BlockError(errno.EROFS, self.backend.name)
            self.backend.write(offset, data)
            return b""

        self._submit(_Request(run, done))

    def flush(self, done: Done) -> None:
        """Makes durable what the requests before this one have written."""

        def run() -> bytes:
            self.backend.flush()
            return b""

        self._submit(_Request(run, done))

    def drain(self, timeout: float = DRAIN_SECONDS) -> None:
        """Waits until no request is under way, those included that the ends of others cause.

        If the calling thread holds the machine lock, others can take it during the wait: stop the vCPUs first.
        Raises SouthbridgeError after `timeout` seconds.
        """
        with self._progress:
            if not self._progress.wait_for(lambda: not self._unfinished, timeout):
                raise SouthbridgeError(
                    f"{self.backend.name}: {self._unfinished} request(s) not finished after {timeout:g} s"
                )

    def close(self) -> None:
        """Finishes all requests and closes the back end; later requests end with ENODEV.

        Raises SouthbridgeError if the requests don't finish; the back end then stays open, as it is in use.
        """
        self.drain()
        with self._lock:
            self._closed = True
        self.drain()  # of what came between the two
        self.backend.close()

    def _check_bounds(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.backend.size:
            raise BlockError(errno.EINVAL, f"{self.backend.name}: {length} bytes at {offset} of {self.backend.size}")

    def _submit(self, request: _Request) -> None:
        with self._lock:
            self._requests.append(request)
            self._unfinished += 1
            if self._unfinished == 1:
                self._executor.submit(self._work)

    def _work(self) -> None:
        """Runs one request; the next has its turn after those of other queues on the executor."""
        request = self._requests.popleft()
        result, error = self._perform(request)
        with self._progress:
            try:
                request.done(result, error)
            except Exception:
                logger.exception("%s: the device failed at the end of a request", self.backend.name)
            self._unfinished -= 1
            if self._unfinished:
                self._executor.submit(self._work)
            else:
                self._progress.notify_all()

    def _perform(self, request: _Request) -> tuple[bytes | None, BlockError | None]:
        try:
            if self._closed:
                raise BlockError(errno.ENODEV, self.backend.name)
            return request.run(), None
        except BlockError as error:
            return None, error
        except OSError as error:
            return None, BlockError(error.errno or errno.EIO, self.backend.name)
        except Exception:
            logger.exception("%s: the back end failed", self.backend.name)
            return None, BlockError(errno.EIO, self.backend.name)
