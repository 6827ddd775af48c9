"""Open files of a client's, for commands to name: add-fd, remove-fd, query-fdsets ("/dev/fdset/N"); getfd, closefd."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NotRequired, TypedDict

from ..control.commands import Caller, CommandError
from ..fdsets import FD_SETS

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine

NO_FILE = "No file descriptor supplied via SCM_RIGHTS"

Added = TypedDict("Added", {"fdset-id": int, "fd": int})
"""The set that a descriptor is in now, and its number there."""


class FileInfo(TypedDict):
    """A descriptor of a set, and what its client said of it."""

    fd: int
    opaque: NotRequired[str]


SetInfo = TypedDict("SetInfo", {"fdset-id": int, "fds": list[FileInfo]})
"""A set."""


class FileCommands:
    """The sets belong to the process, not to a machine."""

    def __init__(self, machine: Machine) -> None:
        pass

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {
            "add-fd": self.add_fd,
            "remove-fd": self.remove_fd,
            "query-fdsets": self.query_fdsets,
            "getfd": self.getfd,
            "closefd": self.closefd,
        }

    def add_fd(self, caller: Caller, fdset_id: int | None = None, opaque: str = "") -> Added:
        """Puts the descriptor that came along into a set."""
        if not caller.files:
            raise CommandError(NO_FILE)
        descriptor = caller.files.popleft()
        if fdset_id is not None and fdset_id < 0:
            os.close(descriptor)
            raise CommandError("Parameter 'fdset-id' expects a non-negative value")
        return {"fdset-id": FD_SETS.add(descriptor, fdset_id, opaque), "fd": descriptor}

    def getfd(self, caller: Caller, fdname: str) -> None:
        """Takes a descriptor that came along, for a command that names it `fdname`."""
        if not caller.files:
            raise CommandError(NO_FILE)
        descriptor = caller.files.popleft()
        if fdname[:1].isdigit():
            os.close(descriptor)
            raise CommandError("Parameter 'fdname' expects a name not starting with a digit")
        FD_SETS.keep(fdname, descriptor)

    def closefd(self, fdname: str) -> None:
        """Closes such a descriptor."""
        FD_SETS.drop(fdname)

    def remove_fd(self, fdset_id: int, fd: int | None = None) -> None:
        """Closes a descriptor of a set, or all."""
        FD_SETS.remove(fdset_id, fd)

    def query_fdsets(self) -> list[SetInfo]:
        """The sets, and what is in them."""
        return [
            {
                "fdset-id": number,
                "fds": [_info(descriptor, opaque) for descriptor, opaque in entry.files.items()],
            }
            for number, entry in sorted(FD_SETS.sets.items())
        ]


def _info(descriptor: int, opaque: str) -> FileInfo:
    return {"fd": descriptor, "opaque": opaque} if opaque else {"fd": descriptor}
