"""`southbridge machines` and `southbridge swap`: what is said to machines that run."""

from __future__ import annotations

import sys

from ..control.client import find_machine, running
from .listing import print_columns, print_json


def list_machines(as_json: bool) -> None:
    """`southbridge machines`."""
    found = running()
    if as_json:
        print_json(found)
        return
    print_columns(
        [
            (
                machine["id"],
                machine["status"] or "",
                machine["accelerator"] or "",
                f"process {machine['process']}" if machine["process"] else "",
                machine["error"] or (machine["name"] if machine["name"] != machine["id"] else ""),
            )
            for machine in found
        ]
    )


PATIENCE = 30.0
"""Seconds of silence: more than a machine takes to find that its images or CPUs don't answer."""


def say_for_whom(machine: str) -> None:
    """Says that `machine` is waited for."""
    print(f"southbridge: waiting for {machine}", file=sys.stderr)


def swap_accelerator(id: str, name: str) -> None:
    """`southbridge swap`. Raises SouthbridgeError."""
    with find_machine(id, PATIENCE, say_for_whom) as machine:
        machine.run("swap-accelerator", name=name)
