"""A character back end on a pseudo-terminal, for `screen` or `minicom` to attach to."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import threading
import tty

from southbridge.charstream import StreamCharBackend
from southbridge.errors import SouthbridgeError

_LOOK_SECONDS = 0.1

logger = logging.getLogger(__name__)


class PtyChardev(StreamCharBackend):
    """Allocates a pseudo-terminal; `terminal` is its name. Output is dropped while nobody has it open.

    The kernel tells no one that a pseudo-terminal has been opened, so while nobody is there a timer looks.
    """

    terminal: str

    _fd: int | None = None
    _timer: asyncio.TimerHandle | None = None

    @property
    def where(self) -> str:
        """See CharBackend."""
        return f"pty:{self.terminal}"

    def open(self) -> None:
        """Allocates the terminal and says its name in the log. Raises SouthbridgeError if there are no more."""
        super().open()
        try:
            self._fd, client = os.openpty()
        except OSError as error:
            raise SouthbridgeError(f"pty: cannot allocate a pseudo-terminal: {error.strerror}") from None
        self.terminal = os.ttyname(client)
        tty.setraw(client)  # lasts as long as our end is open
        os.close(client)
        os.set_blocking(self._fd, False)
        logger.info("the character device is at %s", self.terminal)

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        """Begins to look for a client."""
        super().start(loop, lock)
        self._look()

    def close(self) -> None:
        """Gives the terminal back; a client that has it open sees a hang-up."""
        super().close()
        if self._timer is not None:
            self._timer.cancel()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _look(self) -> None:
        if self._fd is None or self._loop is None:
            return
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        state = poll.poll(0)
        # A client that has written and left again already still has its bytes read.
        if not state or state[0][1] & select.POLLIN:
            self._connect(self._fd, self._fd)
        else:
            self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)

    def _input_ended(self) -> None:
        self._disconnect()
        self._look()

    def _output_ended(self, error: OSError) -> None:
        self._input_ended()
