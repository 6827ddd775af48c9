"""`southbridge snapshot`: the state of a machine in a file."""

from __future__ import annotations

import logging
import os

from ..control.client import find_machine

log = logging.getLogger(__name__)


def save_snapshot(id: str, file: str) -> None:
    """`southbridge snapshot save`. Raises SouthbridgeError."""
    with find_machine(id) as machine:
        machine.run("snapshot-save", path=os.path.abspath(file))
