"""`southbridge run`: a machine from its description to its exit status."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..builder import build
from ..control.folder import check_id, claim
from ..control.server import ControlServer
from ..description import load
from ..errors import SouthbridgeError
from ..machine import Machine
from ..running import run_to_end

log = logging.getLogger(__name__)


def run_machine(name: str, settings: Sequence[str], *, strict: bool, reboot: bool, id: str | None = None) -> int:
    """Runs it until it ends; gives the exit status. Raises SouthbridgeError for what is wrong before it runs."""
    check_wanted_id(id)
    return run_built(build(load(name, settings), strict=strict), reboot=reboot, id=id)


def check_wanted_id(id: str | None) -> None:
    """Raises SouthbridgeError if no machine can be called that; before anything is opened for it."""
    if id is not None:
        check_id(id)


def run_built(machine: Machine, *, reboot: bool, id: str | None) -> int:
    """Runs `machine`, with a control socket, until it ends, and closes it; gives the exit status.

    Raises SouthbridgeError for what is wrong before it runs.
    """
    machine.on_guest_reset = lambda reason: reboot
    return run_to_end(machine, lambda: _controlled(machine, id))


@contextmanager
def _controlled(machine: Machine, id: str | None) -> Iterator[None]:
    """Gives the machine a control socket: under `id`, or one like its name.

    Raises SouthbridgeError if it can't have that `id`. If nobody asked for one, a machine runs without as well.
    """
    try:
        claimed = claim(machine.name if id is None else id, exactly=id is not None)
    except SouthbridgeError as error:
        if id is not None:
            raise
        log.warning("no control socket: %s", error)
        yield
        return
    log.info("machine id %s", claimed.id)
    machine.services.append(ControlServer(machine, claimed.listener))
    try:
        yield
    finally:
        claimed.close()
