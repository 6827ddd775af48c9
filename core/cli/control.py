"""What running machines are told: `southbridge machines`, `swap`, `powerdown`, `plug`, `screendump` and the like."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..control.client import find_machine, running
from ..description import yaml_tree
from ..description.nodes import OptionLocation, Scalar
from ..errors import DescriptionError
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


def press_power_button(id: str) -> None:
    """`southbridge powerdown`. Raises SouthbridgeError."""
    _say(id, "system_powerdown")


def wake_up(id: str) -> None:
    """`southbridge wakeup`. Raises SouthbridgeError."""
    _say(id, "system_wakeup")


def plug_in(id: str, type_name: str, device: str, settings: Iterable[str]) -> None:
    """`southbridge plug`. Raises SouthbridgeError."""
    properties = dict(_property(setting) for setting in settings)
    _say(id, "device_add", driver=type_name, **properties, id=device)


def unplug_device(id: str, device: str) -> None:
    """`southbridge unplug`. Raises SouthbridgeError."""
    _say(id, "device_del", id=device)


def dump_screen(id: str, file: str, device: str | None) -> None:
    """`southbridge screendump`. Raises SouthbridgeError."""
    path = Path(file)
    format = "ppm" if path.suffix.lower() == ".ppm" else "png"
    which = {} if device is None else {"device": device}
    _say(id, "screendump", filename=str(path.absolute()), format=format, **which)


def list_displays(id: str, as_json: bool) -> None:
    """`southbridge displays`. Raises SouthbridgeError."""
    with find_machine(id, PATIENCE, say_for_whom) as machine:
        found: Any = machine.run("query-displays")
    if as_json:
        print_json(found)
    else:
        print_columns([(display["id"], display["link"]) for display in found])


def _property(setting: str) -> tuple[str, Any]:
    """The name and the value of "key=value", as a description has it."""
    key, equals, value = setting.partition("=")
    place = OptionLocation(f"--set {key}", 1, 1)
    if not equals or not key or key in ("driver", "id"):
        raise DescriptionError("expected a property's name and its value, such as addr=04.0", place)
    node = yaml_tree.parse(value, lambda line, column: place) or Scalar(None, place)
    return key, node.plain()


def _say(machine_id: str, command: str, /, **arguments: Any) -> None:
    with find_machine(machine_id, PATIENCE, say_for_whom) as machine:
        machine.run(command, **arguments)
