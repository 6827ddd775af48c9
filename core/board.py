"""Small things on a PC's board that devices share: the A20 gate, and the memory map as firmware is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class MemoryRange:
    """A range of the guest-physical map as firmware is told of it (e820 types: 1 RAM, 2 reserved)."""

    start: int
    size: int
    kind: int = 1


@dataclass
class A20Gate:
    """Address line 20: open while any of its sources opens it (port 92h, the keyboard controller)."""

    changed: Callable[[bool], None]
    _sources: dict[str, bool] = field(default_factory=dict)
    _enabled: bool = True

    @property
    def enabled(self) -> bool:
        """Whether the line passes."""
        return self._enabled

    def set(self, source: str, level: bool) -> None:
        """`source` opens or closes the gate, for its part."""
        self._sources[source] = level
        enabled = any(self._sources.values())
        if enabled != self._enabled:
            self._enabled = enabled
            self.changed(enabled)
