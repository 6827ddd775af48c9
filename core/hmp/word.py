"""What a word is: its names, what is said of it, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .line import Line
    from .monitor import HumanMonitor

Does = Callable[["HumanMonitor", "Line"], Any]
"""Takes the line apart and does what it says. Gives the answer, or an awaitable of it; None for no answer.

Called on the main loop's thread, without the machine lock. Raises LineError for a line that is wrong, SouthbridgeError
or CommandError for what can't be done.
"""


class Word(NamedTuple):
    """A word, or a topic of `info`. `completes` is what its first argument may be: what there is of a kind, by the
    names of `completion.KINDS` ("devices", "chardevs", ...), or what a function gives.
    """

    names: tuple[str, ...]
    arguments: str
    help: str
    does: Does
    completes: str | Callable[[], Iterable[str]] = ""

    @property
    def name(self) -> str:
        """Its first name."""
        return self.names[0]

    def usage(self, prefix: str = "") -> str:
        """A line of help, as QEMU's monitor has it."""
        return f"{prefix}{'|'.join(self.names)} {self.arguments} -- {self.help}"
