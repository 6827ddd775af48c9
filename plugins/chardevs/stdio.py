"""A character back end on standard input and output: a terminal, or pipes and files."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
import threading
from collections.abc import Callable
from typing import ClassVar

from southbridge.chardev import CharFrontend
from southbridge.charstream import CHUNK, StreamCharBackend
from southbridge.errors import SouthbridgeError

from .terminal import RawTerminal

ESCAPE = 0x01  # Ctrl-A
HELP = b"""\r
C-a h    show this help\r
C-a x    end the machine\r
C-a c    change between the guest and the monitor, if there is one\r
C-a C-a  send C-a to the guest\r
"""

_BACKLOG = 4096  # bytes read ahead of the guest, so that Ctrl-A X works while the guest doesn't listen

logger = logging.getLogger(__name__)


class StdioChardev(StreamCharBackend):
    """The guest's serial port on the terminal. Ctrl-A is the escape key, as with QEMU's -nographic.

    Whoever owns the process sets `on_quit`, which Ctrl-A X calls on the main loop's thread without the machine lock.
    """

    on_quit: Callable[[], None] | None = None
    input_fd: int = 0
    output_fd: int = 1

    _in_use: ClassVar[set[int]] = set()  # a process has one standard input, whatever the number of its machines

    _monitor: CharFrontend | None = None
    _guest_has_input = True

    _claimed = False
    _terminal: RawTerminal | None = None
    _reader: _Descriptor | None = None
    _writer: _Descriptor | None = None

    def open(self) -> None:
        """Takes standard input and output. Raises SouthbridgeError if another back end has them."""
        super().open()
        if self.input_fd in self._in_use:
            raise SouthbridgeError("stdio: another character back end uses standard input and output already")
        self._in_use.add(self.input_fd)
        self._claimed = True
        self._backlog = bytearray()
        self._escaped = False
        self._reader = _Descriptor.of(self.input_fd, os.O_RDONLY)
        self._writer = _Descriptor.of(self.output_fd, os.O_WRONLY)
        self._connect(
            None if self._reader is None else self._reader.number,
            None if self._writer is None else self._writer.number,
        )

    @property
    def in_use(self) -> bool:
        """See CharBackend."""
        return self.frontend is not None or self._monitor is not None

    def attach_monitor(self, monitor: CharFrontend) -> None:
        """Ctrl-A C has input go to `monitor`, and back to the device; without a device it has all of it."""
        if self._monitor is not None:
            raise SouthbridgeError("stdio: there is another monitor already")
        self._monitor = monitor
        self._guest_has_input = self.frontend is not None

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        """Makes a terminal raw, and begins to move bytes."""
        if self._reader is not None and os.isatty(self._reader.number):
            self._terminal = RawTerminal(self._reader.number)
        super().start(loop, lock)

    def close(self) -> None:
        """Gives the terminal back as it was."""
        if not self._claimed:
            return
        super().close()
        if self._terminal is not None:
            self._terminal.restore()
            self._terminal = None
        for descriptor in (self._reader, self._writer):
            if descriptor is not None:
                descriptor.close()
        self._reader = self._writer = None
        self._in_use.discard(self.input_fd)
        self._claimed = False

    def _move_input(self) -> bool:
        data = self._read_input(CHUNK)
        if data:
            self._backlog += self._decode(data)
            if len(self._backlog) > _BACKLOG and self._terminal is not None:
                logger.warning("the guest takes no input; what is typed is dropped")
                del self._backlog[_BACKLOG:]
            self._deliver()
        return data != b""

    def _wants_input(self) -> bool:
        # A terminal is read even if the guest doesn't listen; a pipe can wait.
        return self._terminal is not None or len(self._backlog) < _BACKLOG

    def _resume_input(self) -> None:
        self._deliver()
        if self._wants_input():
            super()._resume_input()

    def _deliver(self) -> None:
        """Hands the front end what it has room for."""
        frontend = self.frontend if self._guest_has_input else self._monitor
        if frontend is None:
            self._backlog.clear()
            return
        with self._lock:
            self._paused = False
            while self._backlog and not self._paused:
                room = frontend.can_receive()
                if room > 0:
                    part = bytes(self._backlog[:room])
                    del self._backlog[:room]
                    frontend.receive(part)
                else:
                    self._paused = True

    def _decode(self, data: bytes) -> bytes:
        """`data` without the escape sequences, which are acted on."""
        passed = bytearray()
        for byte in data:
            if self._escaped:
                self._escaped = False
                if byte == ESCAPE:
                    passed.append(byte)
                elif byte in b"cC" and self._monitor is not None and self.frontend is not None:
                    self._backlog += passed  # for whom it was typed
                    self._deliver()
                    passed.clear()
                    self._change_place(self._monitor)
                else:
                    self._command(byte)
            elif byte == ESCAPE:
                self._escaped = True
            else:
                passed.append(byte)
        return bytes(passed)

    def _change_place(self, monitor: CharFrontend) -> None:
        self._backlog.clear()
        self._guest_has_input = not self._guest_has_input
        if not self._guest_has_input:
            self.write(b"\r\n")
            with self._lock:
                monitor.chardev_event(True)

    def _tell_writable(self) -> None:
        super()._tell_writable()
        if self._monitor is not None:
            with self._lock:
                self._monitor.chardev_writable()

    def _command(self, key: int) -> None:
        if key in b"hH":
            self.write(HELP)
        elif key in b"xX" and self.on_quit is not None:
            self.on_quit()

    def _input_ended(self) -> None:
        pass  # the guest just gets nothing more

    def _output_ended(self, error: OSError) -> None:
        logger.warning("standard output: output is dropped from now on: %s", error.strerror)


class _Descriptor:
    """A non-blocking descriptor of what a standard descriptor refers to.

    Non-blocking is a property of the open file, which a terminal's or a pipe's other users share (a shell, or our own
    log). So it is opened anew where that is possible; where not (a socket), it is set for all and set back by `close`.
    """

    def __init__(self, number: int, shared: bool) -> None:
        self.number = number
        self._shared = shared

    @classmethod
    def of(cls, standard: int, access: int) -> _Descriptor | None:
        """None if the process was started without it."""
        try:
            mode = os.fstat(standard).st_mode
            if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
                with contextlib.suppress(OSError):
                    flags = access | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                    return cls(os.open(f"/proc/self/fd/{standard}", flags), shared=False)
            shared = not stat.S_ISREG(mode) and os.get_blocking(standard)
            number = os.dup(standard)
        except OSError:
            return None
        if shared:
            os.set_blocking(number, False)
        return cls(number, shared)

    def close(self) -> None:
        if self._shared:
            os.set_blocking(self.number, True)
        os.close(self.number)
