"""query-version, query-uuid."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine

NO_UUID = "00000000-0000-0000-0000-000000000000"
SPOKEN = (7, 2, 0)
"""The version of QEMU whose commands these are: clients ask, to know what they may say."""


class Triple(TypedDict):
    """A version's numbers."""

    major: int
    minor: int
    micro: int


class VersionInfo(TypedDict):
    """What query-version tells."""

    qemu: Triple
    package: str


class UuidInfo(TypedDict):
    """What query-uuid tells."""

    UUID: str


def version() -> VersionInfo:
    """As the greeting and query-version have it."""
    major, minor, micro = SPOKEN
    return {"qemu": {"major": major, "minor": minor, "micro": micro}, "package": ""}


class VersionCommands:
    """Which machine this is, and which QEMU it is like."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {"query-version": version, "query-uuid": self.query_uuid}

    def query_uuid(self) -> UuidInfo:
        """The machine's UUID; all zero if it has none."""
        return {"UUID": str(self._machine.identity.uuid or NO_UUID)}
