"""query-chardev."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine

ChardevInfo = TypedDict("ChardevInfo", {"label": str, "filename": str, "frontend-open": bool})
"""A back end: its id, where it leads, and whether something uses it."""


class CharacterCommands:
    """Character back ends."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {"query-chardev": self.query_chardev}

    def query_chardev(self) -> list[ChardevInfo]:
        """Where serial ports and monitors lead."""
        backends = self._machine.backends
        there = {**backends.get("monitors", {}), **backends["chardevs"]}
        return [
            {"label": id, "filename": backend.where, "frontend-open": backend.in_use} for id, backend in there.items()
        ]
