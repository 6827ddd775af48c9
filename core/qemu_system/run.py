"""Running a draft: the machine built, its state taken in, rights given up, and then its life."""

from __future__ import annotations

import logging
from functools import partial

from ..builder import build
from ..machine import Machine
from ..running import run_to_end
from .draft import Draft, Process
from .translate import describe

log = logging.getLogger(__name__)


def run(draft: Draft) -> int:
    """Runs the machine until it ends; gives the exit status. Raises SouthbridgeError for what is wrong before."""
    for note in draft.process.notes:
        log.warning("note: %s", note)
    machine = build(describe(draft))
    try:
        _set_up(machine, draft)
    except BaseException:
        machine.close()
        raise
    reboots = draft.process.reboots
    machine.on_guest_reset = lambda reason: reboots
    return run_to_end(machine)


def _set_up(machine: Machine, draft: Draft) -> None:
    process = draft.process
    machine.starts_paused = process.paused
    machine.ends_with_guest = process.ends_with_guest
    if process.incoming is not None:
        from ..device_state import load_devices_state

        load_devices_state(machine, process.incoming)
    if process.folder or process.user or process.sandbox:
        _confine(machine, process)


def _confine(machine: Machine, process: Process) -> None:
    from .privilege import give_up_privileges, import_what_is_needed_later

    if process.folder or process.user:
        import_what_is_needed_later()
    confine = partial(give_up_privileges, user=process.user, folder=process.folder, sandbox=process.sandbox)
    machine.confinements.append(confine)
