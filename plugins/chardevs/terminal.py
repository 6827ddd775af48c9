"""The user's terminal: raw while a guest has it, and given back as it was however the program ends.

Restored are the settings at exit, after an uncaught exception, and before a signal that would end the process. Against
SIGKILL and a crash in native code there is no remedy but the user's `stty sane`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import termios
import threading
from types import FrameType

_FATAL_SIGNALS = (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM)

# The members of the list that termios works with.
_IFLAG, _OFLAG, _CFLAG, _LFLAG, _, _, _CC = range(7)


class RawTerminal:
    """Puts the terminal `fd` into raw mode until `restore`. Ctrl-C, Ctrl-Z and Ctrl-\\ are bytes for the guest then."""

    def __init__(self, fd: int) -> None:
        """Raises termios.error if it isn't a terminal."""
        self._fd = fd
        self._saved: list[int | list[bytes | int]] | None = termios.tcgetattr(fd)
        self._handled: list[signal.Signals] = []
        atexit.register(self.restore)
        self._handle_signals()
        raw = termios.tcgetattr(fd)
        raw[_IFLAG] &= ~(
            termios.BRKINT
            | termios.ICRNL
            | termios.IGNCR
            | termios.INLCR
            | termios.INPCK
            | termios.ISTRIP
            | termios.IXON
        )
        # Output processing stays on, so that log lines which end in a newline alone start at the left.
        raw[_OFLAG] |= termios.OPOST
        raw[_CFLAG] = raw[_CFLAG] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        raw[_LFLAG] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN | termios.ISIG)
        raw[_CC][termios.VMIN], raw[_CC][termios.VTIME] = 1, 0
        termios.tcsetattr(fd, termios.TCSANOW, raw)

    def restore(self) -> None:
        """Gives the terminal back as it was; may be called twice."""
        if self._saved is None:
            return
        with contextlib.suppress(termios.error):  # it has gone
            termios.tcsetattr(self._fd, termios.TCSANOW, self._saved)
        self._saved = None
        atexit.unregister(self.restore)
        for number in self._handled:
            if signal.getsignal(number) == self._end:
                signal.signal(number, signal.SIG_DFL)

    def _handle_signals(self) -> None:
        """Restores before a signal ends the process, where nobody else has a handler that ends it in order."""
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread may set handlers
        for number in _FATAL_SIGNALS:
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, self._end)
                self._handled.append(number)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.restore()
        os.kill(os.getpid(), number)
