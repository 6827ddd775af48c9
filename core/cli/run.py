"""`southbridge run`: a machine from its description to its exit status."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from ..accelerator import AcceleratorFailure
from ..builder import build
from ..description import load
from ..discovery import describe
from ..errors import SouthbridgeError
from ..life import Outcome, ShutdownReason
from ..machine import Machine

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FAILURES = (ShutdownReason.GUEST_PANIC, ShutdownReason.HOST_ERROR)


def run_machine(name: str, settings: Sequence[str], *, strict: bool, reboot: bool) -> int:
    """Runs it until it ends; gives the exit status. Raises SouthbridgeError for what is wrong before it runs."""
    machine = build(load(name, settings), strict=strict)
    machine.on_guest_reset = lambda reason: reboot
    for chardev in machine.backends["chardevs"].values():
        if hasattr(chardev, "on_quit"):  # one that the user leaves the machine by
            chardev.on_quit = lambda: machine.request_shutdown(ShutdownReason.HOST_UI)
    try:
        with _stopped_by_signals(machine):
            try:
                outcome = machine.run()
            finally:
                machine.close()
    except Exception as error:
        return _failed(error)
    return _status(outcome)


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
    try:
        yield
    finally:
        restore()


def _failed(error: Exception) -> int:
    """Says why the machine could not go on."""
    if not isinstance(error, SouthbridgeError | AcceleratorFailure):
        traceback.print_exception(error)
    message = str(error) if isinstance(error, SouthbridgeError) else describe(error)
    print(f"southbridge: the machine failed: {message}", file=sys.stderr)
    return 1


def _status(outcome: Outcome) -> int:
    return outcome.status & 0xFF or (1 if outcome.reason in FAILURES else 0)
