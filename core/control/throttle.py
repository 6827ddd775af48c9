"""Events that could come too often: each of a kind is told at most once a second, and of those between the last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .session import Message

RATES = {
    "BALLOON_CHANGE": 1.0,
    "MEMORY_DEVICE_SIZE_CHANGE": 1.0,
    "QUORUM_FAILURE": 1.0,
    "QUORUM_REPORT_BAD": 1.0,
    "RTC_CHANGE": 1.0,
    "VSERPORT_CHANGE": 1.0,
    "WATCHDOG": 1.0,
}
"""Seconds between two of a kind, of those that QEMU limits (docs/interop/qmp-spec, "Rate limiting")."""
DISTINCT = {"QUORUM_REPORT_BAD": "node-name", "VSERPORT_CHANGE": "id", "MEMORY_DEVICE_SIZE_CHANGE": "qom-path"}
"""The member of an event's data that makes it one of another kind."""


class Throttle:
    """`tell(name, line)` passes lines on to `send`: at once, or later, or never if a newer one of its kind comes.

    All on the main loop's thread.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._kept: dict[tuple[str, Any], bytes | None] = {}
        """What waits for its time, by kind; None: nothing, but its time isn't over."""
        self._timers: dict[tuple[str, Any], asyncio.TimerHandle] = {}

    def tell(self, name: str, data: Message, line: bytes) -> None:
        """The event `name` with its `data`, as `line` says it."""
        if name not in RATES:
            self._send(line)
            return
        kind = (name, data.get(DISTINCT.get(name, "")))
        if kind in self._kept:
            self._kept[kind] = line
        else:
            self._pass(kind, line)

    def close(self) -> None:
        """What waits is sent now."""
        for timer in self._timers.values():
            timer.cancel()
        for line in self._kept.values():
            if line is not None:
                self._send(line)
        self._timers.clear()
        self._kept.clear()

    def _pass(self, kind: tuple[str, Any], line: bytes) -> None:
        self._send(line)
        self._kept[kind] = None
        self._timers[kind] = asyncio.get_running_loop().call_later(RATES[kind[0]], self._over, kind)

    def _over(self, kind: tuple[str, Any]) -> None:
        del self._timers[kind]
        line = self._kept.pop(kind)
        if line is not None:
            self._pass(kind, line)
