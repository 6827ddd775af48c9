"""An image that fails where its rules say so, and stops where somebody asked it to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from southbridge.block import SECTOR, BlockBackend, BlockError
from southbridge.errors import SouthbridgeError
from southbridge.properties import FilePath, Link, Property

from .rules import InjectError, Rule, SetState, rules_of_file, rules_of_lines

FIRST_STATE = 1


class Blkdebug(BlockBackend):
    """Another image, with faults."""

    image: BlockBackend = Link("blockdevs", doc="The image whose requests fail.")
    config: FilePath | None = Property(None, doc="A file with rules, in QEMU's form.")
    rules: list[str] = Property([], doc='Further ones: "inject-error event=read_aio errno=5 once=on".')

    def open(self) -> None:
        """Reads the rules; the image is open already. Raises SouthbridgeError for a rule that makes no sense."""
        self.name = f"blkdebug:{self.image.name}"
        self.size, self.writable = self.image.size, self.image.writable
        self.state = FIRST_STATE
        self._rules: list[Rule] = [*self._of_file(), *rules_of_lines(self.rules)]
        self._active = [rule for rule in self._rules if isinstance(rule, InjectError) and rule.event == "none"]
        self._breaks: dict[str, str] = {}
        self._stopped: dict[str, threading.Event] = {}

    def _of_file(self) -> list[Rule]:
        if self.config is None:
            return []
        try:
            return rules_of_file(self.config.read_text())
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise SouthbridgeError(f"{self.config}: can't be read: {reason}") from None
        except SouthbridgeError as error:
            raise SouthbridgeError(f"{self.config}: {error}") from None

    # --- requests ------------------------------------------------------------------------------------------------

    def read(self, offset: int, length: int) -> bytes:
        """The image's bytes, unless a rule is against it: an error, or half of them."""
        self._at("read_aio")
        fault = self._fault("read", offset, length)
        if fault is None:
            return self.image.read(offset, length)
        if not fault.short:
            raise BlockError(fault.errno, self.name)
        return self.image.read(offset, length // 2)

    def write(self, offset: int, data: bytes) -> None:
        """Writes the image, unless a rule is against it."""
        self._at("write_aio")
        self._at("pwritev")
        if fault := self._fault("write", offset, len(data)):
            raise BlockError(fault.errno, self.name)
        self.image.write(offset, data)
        self._at("pwritev_done")

    def flush(self) -> None:
        """Flushes the image, unless a rule is against it."""
        self._at("flush_to_os")
        self._at("flush_to_disk")
        if fault := self._fault("flush", 0, self.size):
            raise BlockError(fault.errno, self.name)
        self.image.flush()

    def _fault(self, operation: str, offset: int, length: int) -> InjectError | None:
        for rule in self._active:
            at = None if rule.sector is None else rule.sector * SECTOR
            if rule.operation in ("", operation) and (at is None or offset <= at < offset + length):
                if rule.once:
                    self._active.remove(rule)
                    self._rules.remove(rule)
                return rule
        return None

    def _at(self, event: str) -> None:
        """A request passes a point: rules become active, the state changes; perhaps it stops there."""
        state = self.state
        for rule in tuple(self._rules):
            if rule.event == event and rule.state in (0, state):
                if isinstance(rule, SetState):
                    self.state = rule.new
                elif rule not in self._active:
                    self._active.append(rule)
        tag = next((tag for tag, where in self._breaks.items() if where == event), None)
        if tag is not None:
            del self._breaks[tag]
            self._stopped[tag].wait()

    # --- stops ---------------------------------------------------------------------------------------------------

    def break_at(self, event: str, tag: str) -> None:
        """The next request that passes `event` stops there, with all others of the machine, until `resume`."""
        self._stopped[tag] = threading.Event()
        self._breaks[tag] = event

    def is_stopped(self, tag: str) -> bool:
        """Whether a request is held at the stop called `tag`."""
        return tag in self._stopped and tag not in self._breaks

    def resume(self, tag: str) -> None:
        """It goes on. Raises SouthbridgeError if there is no such stop."""
        held = self._stopped.pop(tag, None)
        if held is None:
            raise SouthbridgeError(f"{self.name}: there is no stop {tag!r}")
        self._breaks.pop(tag, None)
        held.set()

    # --- the rest ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Lets go of what is held. The image is closed by whoever opened it."""
        for tag in list(getattr(self, "_stopped", {})):
            self.resume(tag)

    def identity(self) -> dict[str, Any]:
        """The image's."""
        return self.image.identity()

    def changes(self) -> Iterator[tuple[int, int]] | None:
        """The image's."""
        return self.image.changes()
