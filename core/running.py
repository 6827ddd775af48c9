"""Running a machine as a process' purpose: signals end it in order, and what went wrong is told in a line.

For programs: `southbridge run`, and those that take QEMU's options.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType

from .accelerator import AcceleratorFailure
from .discovery import describe
from .errors import SouthbridgeError
from .hookspecs import hookimpl
from .life import Outcome, ShutdownReason
from .machine import Machine

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FAILURES = (ShutdownReason.GUEST_PANIC, ShutdownReason.HOST_ERROR)


def run_to_end(machine: Machine, around: Callable[[], AbstractContextManager[None]] = nullcontext) -> int:
    """Runs `machine`, inside what `around` gives, until it or a signal ends it, and closes it; gives the exit status.

    Raises SouthbridgeError for what is wrong before it runs.
    """
    for chardev in machine.backends["chardevs"].values():
        if hasattr(chardev, "on_quit"):  # one that the user leaves the machine by
            chardev.on_quit = lambda: machine.request_shutdown(ShutdownReason.HOST_UI)
    started = _Started()
    machine.hooks.register(started, "started")
    try:
        with _stopped_by_signals(machine):
            try:
                with around():
                    gc.freeze()  # what is there now stays: looking through it time and again would stop the guest
                    gc.enable()
                    outcome = machine.run()
            finally:
                machine.close()
    except Exception as error:
        if isinstance(error, SouthbridgeError) and not started:
            raise
        return _failed(error)
    return _status(outcome)


class _Started:
    """Whether the machine ever ran."""

    def __init__(self) -> None:
        self._started = False

    def __bool__(self) -> bool:
        return self._started

    @hookimpl
    def machine_resumed(self) -> None:
        """See the hook."""
        self._started = True


@contextmanager
def _stopped_by_signals(machine: Machine) -> Iterator[None]:
    """Ends the machine in order on the first of ENDING_SIGNALS; the next one has its usual effect."""

    def stop(number: int, frame: FrameType | None) -> None:
        restore()
        machine.request_shutdown(ShutdownReason.HOST_SIGNAL)

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    # What is ignored stays so: nohup, and a shell's background jobs, rely on it.
    handled = [number for number in ENDING_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in handled}
    machine.services.append(SignalsWake())
    try:
        yield
    finally:
        restore()


class SignalsWake:
    """While it serves, a signal wakes the main loop, which belongs to the main thread.

    Python runs a signal's handler when the main thread executes Python code. One that comes when the loop is just about
    to sleep would wait until something else wakes it: so the signal itself writes to a socket that the loop listens to.
    """

    def __init__(self) -> None:
        self._sockets: tuple[socket.socket, socket.socket] | None = None

    async def start(self) -> None:
        """See Service."""
        self._sockets = receiver, sender = socket.socketpair()
        for end in self._sockets:
            end.setblocking(False)
        asyncio.get_running_loop().add_reader(receiver, receiver.recv, 4096)
        self._before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)

    async def stop(self) -> None:
        """See Service."""
        if self._sockets is not None:
            signal.set_wakeup_fd(self._before)
            asyncio.get_running_loop().remove_reader(self._sockets[0])
            for end in self._sockets:
                end.close()
            self._sockets = None


def _failed(error: Exception) -> int:
    """Says why the machine could not go on."""
    if not isinstance(error, SouthbridgeError | AcceleratorFailure):
        traceback.print_exception(error)
    message = str(error) if isinstance(error, SouthbridgeError) else describe(error)
    print(f"southbridge: the machine failed: {message}", file=sys.stderr)
    return 1


def _status(outcome: Outcome) -> int:
    return outcome.status & 0xFF or (1 if outcome.reason in FAILURES else 0)
