"""What character back ends on file descriptors have in common: a bounded output buffer, and input on demand.

The descriptors are non-blocking (or such that never block, as a regular file's). A byte that the descriptor accepts
goes out on the thread that writes it; only what it doesn't accept waits in the buffer for the main loop.
"""

from __future__ import annotations

import asyncio
import os
import select
import threading
import time
from abc import abstractmethod

from .chardev import CharBackend
from .units import KiB

OUTPUT_LIMIT = 64 * KiB
"""What the output buffer holds, in bytes."""

CHUNK = 4 * KiB
"""What is read at most at a time, in bytes."""

_FAREWELL_SECONDS = 1.0  # how long `close` tries to get rid of the last output


class StreamCharBackend(CharBackend):
    """Moves bytes between a front end and an input and an output descriptor, which may come, go, and be the same one.

    The descriptors belong to the subclass: it opens them, calls `_connect`, later perhaps `_disconnect`, and closes
    them. Lock order: the machine lock, then the output lock.
    """

    _loop: asyncio.AbstractEventLoop | None = None
    _input: int | None = None
    _output: int | None = None

    def open(self) -> None:
        """Makes the buffers; subclasses open their descriptors."""
        self._reading = False  # the main loop calls `_input_ready`
        self._paused = False  # the front end has no room
        self._repeat: asyncio.Handle | None = None  # the next read of a descriptor that can't be watched
        self._output_lock = threading.Lock()  # guards _output and what follows
        self._pending = bytearray()
        self._flushing = False  # the main loop has been asked to send what is pending
        self._watched: int | None = None  # the descriptor whose having room calls `_flush`
        self._starved = False  # the front end waits for room

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        """Begins to move bytes."""
        self._lock = lock
        self._loop = loop
        if self._input is not None or self._output is not None:
            self._begin(loop)

    def write(self, data: bytes) -> int:
        """Sends or buffers what there is room for; see CharBackend."""
        with self._output_lock:
            if self._output is None:
                return len(data)
            sent = 0
            if self._loop is not None and not self._pending:
                sent = self._send(data)
                if sent == len(data):
                    return sent
            kept = data[sent : sent + OUTPUT_LIMIT - len(self._pending)]
            self._pending += kept
            if self._pending and self._loop is not None and not self._flushing:
                self._flushing = True
                self._loop.call_soon_threadsafe(self._flush)
            taken = sent + len(kept)
            if taken < len(data):
                self._starved = True
            return taken

    def accept_input(self) -> None:
        """Goes on with input if it had stopped."""
        if self._paused and self._loop is not None:
            self._paused = False
            self._loop.call_soon_threadsafe(self._resume_input)

    def close(self) -> None:
        """Sends what is pending if that can be done within a second, and stops. Subclasses close their descriptors."""
        if self._loop is not None:
            self._send_farewell()
        if self._input is not None or self._output is not None:
            self._release()
        self._loop = None

    @abstractmethod
    def _input_ended(self) -> None:
        """The other end has no more input; called on the main loop's thread without the machine lock."""

    @abstractmethod
    def _output_ended(self, error: OSError) -> None:
        """Output has failed, and is dropped until the next `_connect`; called as `_input_ended` is."""

    def _connect(self, input_fd: int | None, output_fd: int | None) -> None:
        """Somebody is there: reads from and writes to these. Called on the main loop's thread, or before `start`."""
        self._input = input_fd
        with self._output_lock:
            self._output = output_fd
        if self._loop is not None:
            self._begin(self._loop)

    def _disconnect(self) -> None:
        """Nobody is there any more: forgets descriptors and pending output. Called on the main loop's thread."""
        self._release()
        with self._lock:
            if self.frontend is not None:
                self.frontend.chardev_event(False)
        self._tell_writable()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if self.frontend is not None:
                self.frontend.chardev_event(True)
        self._resume_input()
        with self._output_lock:
            if self._pending:
                self._flushing = True
                loop.call_soon_threadsafe(self._flush)

    def _release(self) -> None:
        """Forgets the descriptors and all that was to be sent to them."""
        self._stop_reading()
        self._input = None
        self._paused = False
        with self._output_lock:
            self._stop_flushing()
            self._output = None
            self._pending.clear()

    # Input: on the main loop's thread.

    def _resume_input(self) -> None:
        """Begins to read, or goes on."""
        if self._reading or self._loop is None or self._input is None:
            return
        self._reading = True
        try:
            self._loop.add_reader(self._input, self._input_ready)
        except PermissionError:
            # A regular file or /dev/null, where there is always something to read.
            self._repeat = self._loop.call_soon(self._input_ready)

    def _stop_reading(self) -> None:
        if not self._reading:
            return
        self._reading = False
        if self._repeat is not None:
            self._repeat.cancel()
            self._repeat = None
        elif self._loop is not None and self._input is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._input)

    def _input_ready(self) -> None:
        more = self._move_input()
        if not more or not self._wants_input():
            self._stop_reading()
        elif self._repeat is not None and self._loop is not None:
            self._repeat = self._loop.call_soon(self._input_ready)
        if not more:
            self._input_ended()

    def _wants_input(self) -> bool:
        return not self._paused

    def _move_input(self) -> bool:
        """Hands what can be read to the front end, as far as that has room. False at the end of input."""
        if self.frontend is None:
            return self._read_input(CHUNK) != b""  # nobody wants it, but the end of it must be seen
        # One hold of the lock, so that the room is still there when the bytes come.
        with self._lock:
            room = self.frontend.can_receive()
            self._paused = room <= 0
            if self._paused:
                return True
            data = self._read_input(min(room, CHUNK))
            if data:
                self.frontend.receive(data)
        return data != b""

    def _read_input(self, limit: int) -> bytes | None:
        """At most `limit` bytes: None if there are none just now, b"" if there will be no more."""
        assert self._input is not None
        try:
            return os.read(self._input, limit)
        except BlockingIOError:
            return None
        except OSError:
            return b""  # a terminal or a connection that was hung up

    # Output

    def _send(self, data: bytes | bytearray) -> int:
        """Writes what the descriptor takes, and says how much; all, if it has failed. Needs the output lock."""
        assert self._output is not None and self._loop is not None
        sent = 0
        try:
            while sent < len(data):
                sent += os.write(self._output, data[sent:])
        except BlockingIOError:
            pass
        except OSError as error:
            self._output = None
            self._loop.call_soon_threadsafe(self._report_failure, error)
            sent = len(data)
        return sent

    def _report_failure(self, error: OSError) -> None:
        if self._output is None and self._loop is not None:  # else somebody else is there by now
            self._output_ended(error)

    def _flush(self) -> None:
        """Sends what is pending, now and whenever the descriptor has room. Called on the main loop's thread."""
        with self._output_lock:
            if self._output is None or self._loop is None or not self._flushing:
                return
            output = self._output
            del self._pending[: self._send(self._pending)]
            if not self._pending:
                self._stop_flushing()
            elif self._watched is None:
                self._loop.add_writer(output, self._flush)
                self._watched = output
        self._tell_writable()

    def _stop_flushing(self) -> None:
        self._flushing = False
        if self._watched is not None and self._loop is not None and not self._loop.is_closed():
            self._loop.remove_writer(self._watched)
        self._watched = None

    def _tell_writable(self) -> None:
        with self._lock:
            if self._starved and len(self._pending) < OUTPUT_LIMIT:
                self._starved = False
                if self.frontend is not None:
                    self.frontend.chardev_writable()

    def _send_farewell(self) -> None:
        deadline = time.monotonic() + _FAREWELL_SECONDS
        with self._output_lock:
            while self._pending and self._output is not None and (left := deadline - time.monotonic()) > 0:
                poll = select.poll()
                poll.register(self._output, select.POLLOUT)
                if not any(events & select.POLLOUT for _, events in poll.poll(left * 1000)):
                    break  # time is up, or nobody is there
                del self._pending[: self._send(self._pending)]
