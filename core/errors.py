"""What goes wrong, by whose fault: a user's input, a plugin, a guest's address, a machine at run time."""

from __future__ import annotations

from typing import NamedTuple


class SouthbridgeError(Exception):
    """Something that a user can put right. Its text is one clear message; the command line exits with status 2."""


class Location(NamedTuple):
    """A place in a text file. `line` and `column` count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class DescriptionError(SouthbridgeError):
    """A machine description is wrong. `key` is the dotted path of the offending key, if there is one."""

    def __init__(self, message: str, location: Location | None = None, key: str = "") -> None:
        self.message = message
        self.location = location
        self.key = key
        place = f"{location}: " if location else ""
        subject = f"{key}: " if key else ""
        super().__init__(f"{place}{subject}{message}")


class PluginError(SouthbridgeError):
    """A plugin is missing, broken, or offered twice."""


class RealizeError(SouthbridgeError):
    """A device can't take its place in the machine: a range, line, slot or back end is missing or taken."""


class GuestMemoryError(Exception):
    """A device's access touched guest-physical addresses that aren't memory, or memory that it can't write.

    `address` is the first such address. The device answers as its hardware does on a master or target abort.
    """

    def __init__(self, address: int, reason: str) -> None:
        self.address = address
        self.reason = reason
        super().__init__(f"{reason} at {address:#x}")
