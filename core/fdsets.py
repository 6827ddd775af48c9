"""Open files that a client of a monitor gave to this process: sets by number, which a path "/dev/fdset/N" names.

As in QEMU (QMP's add-fd), sets live while any client is connected. Descriptors belong to the process, and so do the
sets.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from dataclasses import dataclass, field

from .errors import SouthbridgeError

PATH = re.compile(r"/dev/fdset/([0-9]{1,9})")
_ACCESS = os.O_RDONLY | os.O_WRONLY | os.O_RDWR


@dataclass(repr=False, eq=False)
class FdSet:
    """`files` are descriptors, with what the client said of each."""

    files: dict[int, str] = field(default_factory=dict)


class FdSets:
    """All of them. On the main loop's thread, but for `open`."""

    def __init__(self) -> None:
        self.sets: dict[int, FdSet] = {}
        self._named: dict[str, int] = {}
        self._clients = 0

    def keep(self, name: str, descriptor: int) -> None:
        """A descriptor by name, which is ours until somebody takes it; it takes the place of another one."""
        old = self._named.get(name)
        self._named[name] = descriptor
        if old is not None:
            os.close(old)

    def take(self, name: str) -> int:
        """The descriptor called `name`, which is the caller's from now on. Raises SouthbridgeError."""
        if name not in self._named:
            raise SouthbridgeError(f"File descriptor named '{name}' has not been found")
        return self._named.pop(name)

    def drop(self, name: str) -> None:
        """Closes the descriptor called `name`. Raises SouthbridgeError if there is none."""
        if name not in self._named:
            raise SouthbridgeError(f"File descriptor named '{name}' not found")
        os.close(self._named.pop(name))

    def add(self, descriptor: int, number: int | None = None, opaque: str = "") -> int:
        """Puts a descriptor, which is ours from now on, into the set `number` or a new one; gives its number."""
        if number is None:
            number = next(free for free in range(len(self.sets) + 1) if free not in self.sets)
        self.sets.setdefault(number, FdSet()).files[descriptor] = opaque
        return number

    def remove(self, number: int, descriptor: int | None = None) -> None:
        """Closes a descriptor of the set `number`, or all. Raises SouthbridgeError if it isn't there."""
        found = self.sets.get(number)
        if found is None or (descriptor is not None and descriptor not in found.files):
            which = "" if descriptor is None else f", fd:{descriptor}"
            raise SouthbridgeError(f"File descriptor named 'fdset-id:{number}{which}' not found")
        for each in [descriptor] if descriptor is not None else list(found.files):
            del found.files[each]
            with contextlib.suppress(OSError):
                os.close(each)
        if not found.files:
            del self.sets[number]

    def client_came(self) -> None:
        """A client of any monitor is there."""
        self._clients += 1

    def client_left(self) -> None:
        """It is there no more. With the last, all sets go; what was opened from one stays open by itself."""
        self._clients -= 1
        if not self._clients:
            for number in list(self.sets):
                self.remove(number)

    def open(self, path: str | os.PathLike[str], flags: int) -> int:
        """Like os.open; a path that names a set gives a copy of its descriptor that allows what `flags` ask for.

        Raises OSError.
        """
        found = PATH.fullmatch(os.fspath(path))
        if found is None:
            return os.open(path, flags, 0o666)
        entry = self.sets.get(int(found[1]))
        if entry is None:
            raise FileNotFoundError(2, "there is no such set of descriptors", path)
        for descriptor in entry.files:
            access = fcntl.fcntl(descriptor, fcntl.F_GETFL) & _ACCESS
            if access in (flags & _ACCESS, os.O_RDWR):
                return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
        raise PermissionError(13, "no descriptor in the set was opened for that", path)


FD_SETS = FdSets()
"""This process'."""


def is_set(path: str | os.PathLike[str]) -> bool:
    """Whether `path` names a set."""
    return PATH.fullmatch(os.fspath(path)) is not None
