"""Running a draft: the machine built, its state taken in, rights given up, and then its life."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..builder import build
from ..errors import SouthbridgeError
from ..machine import Machine
from ..objects import HostObject
from ..running import run_to_end
from .draft import Draft, Process
from .logs import start_logging
from .program import program
from .translate import describe

if TYPE_CHECKING:
    from .background import Background
    from .pid_file import PidFile


def run(draft: Draft) -> int:
    """Runs the machine until it ends; gives the exit status. Raises SouthbridgeError for what is wrong before."""
    process = draft.process
    start_logging(process.log_items, process.log_file)
    description = describe(draft)
    for note in process.notes:
        print(f"{program()}: note: {note}", file=sys.stderr)
    background = _go_to_background() if process.in_background else None
    if background is not None and background.is_parent:
        return background.wait_for_child()
    pid_file = _write_pid_file(process.pid_file) if process.pid_file else None
    try:
        machine = build(description)
        try:
            _set_up(machine, draft)
            if background is not None:
                machine.confinements.append(background.ready)
        except BaseException:
            machine.close()
            raise
        if draft.domain is not None:
            from .resident import fill_no_more  # which a domain's program has imported

            fill_no_more()
        return run_to_end(machine)
    finally:
        if pid_file is not None:
            pid_file.remove()


def _set_up(machine: Machine, draft: Draft) -> None:
    process = draft.process
    reboots = process.reboots
    machine.on_guest_reset = lambda reason: reboots
    machine.starts_paused = process.paused
    machine.hotplug.nameless = {id: number for number, id in enumerate(draft.nameless)}
    machine.preconfig = process.preconfig
    machine.ends_with_guest = process.ends_with_guest
    if draft.objects:
        _give_objects(machine, draft)
    if process.comes_from and draft.domain is None:
        _wait_for_another(machine, process)
    elif process.incoming is not None:
        from ..device_state import load_devices_state

        load_devices_state(machine, process.incoming)
    if process.folder or process.user or process.sandbox:
        _confine(machine, process)


def _wait_for_another(machine: Machine, process: Process) -> None:
    from ..migration.incoming import Incoming

    machine.starts_paused = True
    try:
        machine.incoming = Incoming(machine, process.comes_from, runs=not process.paused)
    except SouthbridgeError as error:
        raise SouthbridgeError(f"-incoming {process.comes_from}: {error}") from None
    machine.services.append(machine.incoming)


def _give_objects(machine: Machine, draft: Draft) -> None:
    used = draft.memory_objects
    for id, part in draft.objects.items():
        machine.objects.by_id[id] = HostObject(part.type, part.values, id in used)
    machine.objects.memory = used[0] if used else ""


# --- what few ask for, and is imported only then -----------------------------------------------------------------


def _go_to_background() -> Background:
    from .background import Background

    return Background()


def _write_pid_file(path: str) -> PidFile:
    from .pid_file import PidFile

    return PidFile(path)


def _confine(machine: Machine, process: Process) -> None:
    from functools import partial

    from .privilege import give_up_privileges, import_what_is_needed_later

    if process.folder or process.user:
        import_what_is_needed_later()
    confine = partial(give_up_privileges, user=process.user, folder=process.folder, sandbox=process.sandbox)
    machine.confinements.append(confine)
