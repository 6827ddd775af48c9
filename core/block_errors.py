"""What a device does when its image fails, in the words of QEMU's rerror and werror."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Literal

from .block import BlockError

if TYPE_CHECKING:
    from .device import Device

ReadPolicy = Literal["report", "ignore", "stop"]
WritePolicy = Literal["report", "ignore", "stop", "enospc"]
Action = Literal["report", "ignore", "stop"]

READ_DOC = "When the image can't be read: report (the guest is told), ignore, stop (the machine, until it goes on)."
WRITE_DOC = "When it can't be written: the same, or enospc (stop if there is no space, else report)."
IO_ERROR = "io-error"
"""Why the machine is paused, in QMP's words."""


def react(
    device: Device, node: str, policy: WritePolicy, operation: Literal["read", "write"], error: BlockError
) -> Action:
    """What `device` is to do about `error`; tells those who watch the machine, and stops that if it is to.

    After a stop, the request is to be made again when the machine goes on.
    """
    no_space = error.errno == errno.ENOSPC
    action: Action = ("stop" if no_space else "report") if policy == "enospc" else policy
    device.machine.announce(
        "BLOCK_IO_ERROR",
        **{"device": node, "node-name": node},
        operation=operation,
        action=action,
        nospace=no_space,
        reason=str(error),
    )
    if action == "stop":
        device.machine.request_pause(IO_ERROR)
    return action
