"""`southbridge snapshot`: machines saved to files, and restored from them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from ..control.client import find_machine
from ..qmp.events import PROGRESS
from ..snapshot import Info, read_info, restore
from ..units import MiB, format_size
from .control import PATIENCE, say_for_whom
from .listing import print_columns, print_json
from .run import check_wanted_id, run_built


def save_snapshot(id: str, file: str) -> None:
    """`southbridge snapshot save`. Raises SouthbridgeError."""
    with find_machine(id, PATIENCE, say_for_whom) as machine:
        machine.on_event = _show_progress
        machine.run("snapshot-save", path=os.path.abspath(file))
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)


def restore_snapshot(
    file: str, settings: Sequence[str], *, accelerator: str | None, strict: bool, reboot: bool, id: str | None
) -> int:
    """`southbridge snapshot restore`: runs the machine; gives the exit status. Raises SouthbridgeError."""
    check_wanted_id(id)
    machine = restore(file, accelerator=accelerator, settings=settings, strict=strict)
    return run_built(machine, reboot=reboot, id=id)


def show_snapshot(file: str, as_json: bool) -> None:
    """`southbridge snapshot info`. Raises SouthbridgeError."""
    info = read_info(file)
    if as_json:
        print_json({"file": info.path, "size": info.size, **info.header.model_dump()})
    else:
        _print_info(info)


def _print_info(info: Info) -> None:
    header = info.header
    memory = ", ".join(f"{facts.name} {format_size(facts.size)}" for facts in header.memory)
    rows = [
        ("name", header.name),
        ("saved", f"{header.created}, by Southbridge {header.southbridge}"),
        ("file", f"{info.size / MiB:.1f} MiB, whole"),
        ("ran on", header.accelerator),
        ("CPU", f"{header.cpu.count} of model {header.cpu.model}"),
        ("memory", memory),
    ]
    for disk in header.disks:
        kept = "what the guest wrote is in the snapshot" if disk.overlay else "must stay as it is"
        rows.append((f"disk {disk.id}", f"{disk.image}, {format_size(disk.size)}; {kept}"))
    rows += [(f"needs {facts.name}", f"{facts.distribution} {facts.version}") for facts in header.plugins]
    print_columns(rows)


def _show_progress(event: dict[str, Any]) -> None:
    if event.get("event") == PROGRESS and sys.stderr.isatty():
        done, total = event["data"]["done"], event["data"]["total"]
        print(f"\r\x1b[K{done // MiB} of {total // MiB} MiB", end="", flush=True, file=sys.stderr)
