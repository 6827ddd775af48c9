"""What isn't a device and no back end, and yet has a name: QEMU's -object.

None of them does anything by itself here: secrets are copied by who needs them, images have threads of their own, and
memory is the machine's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

MEMORY_KINDS = ("memory-backend-ram", "memory-backend-memfd", "memory-backend-file")
IOTHREAD = "iothread"
SECRET = "secret"
POLLING = {"poll-max-ns": 32768, "poll-grow": 0, "poll-shrink": 0, "aio-max-batch": 0}
"""What an iothread has, if nobody says otherwise."""


class HostObject(NamedTuple):
    """An object of the type `kind`. `in_use`: the guest's memory is made of it."""

    kind: str
    values: dict[str, Any]
    in_use: bool = False


class HostObjects:
    """A machine's. `memory` is the name of the one that is all of the guest's memory, "" if it has none."""

    def __init__(self) -> None:
        self.by_id: dict[str, HostObject] = {}
        self.memory = ""
