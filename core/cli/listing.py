"""What is installed, for people and for programs: plugins, devices, the schema of descriptions."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, cast

from ..description.schema import description_schema
from ..device import Device
from ..discovery import KINDS, find, load, names, plugins, summary
from ..errors import PluginError
from .declarations import Facts, device_facts, shown

log = logging.getLogger(__name__)


def print_json(value: Any) -> None:
    """Prints `value` for programs."""
    print(json.dumps(value, indent=2))


def print_columns(rows: Iterable[Sequence[str]], indent: str = "") -> None:
    """Prints rows of equal length, aligned; the last column as it is."""
    rows = list(rows)
    widths = [max((len(cell) for cell in column), default=0) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        print((indent + "  ".join([*cells, row[-1]])).rstrip())


def print_schema() -> None:
    """`southbridge schema`."""
    print_json(description_schema(lambda error: log.warning("left out: %s", error)))


def list_plugins(as_json: bool) -> None:
    """`southbridge plugins`: from metadata; nothing is imported."""
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        found = plugins(kind)
        offers = Counter(plugin.name for plugin in found if not plugin.switched_off_by)
        rows += [
            {
                "kind": kind,
                "name": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "entry_point": plugin.value,
                "switched_off_by": plugin.switched_off_by,
                "conflict": not plugin.switched_off_by and offers[plugin.name] > 1,
            }
            for plugin in found
        ]
    if as_json:
        print_json(rows)
    else:
        print_columns(
            [(row["kind"], row["name"], f"{row['distribution']} {row['version']}", _note(row)) for row in rows]
        )


def _note(row: dict[str, Any]) -> str:
    if row["switched_off_by"]:
        return f"switched off by {row['switched_off_by']}"
    return "conflict: offered more than once" if row["conflict"] else ""


def list_devices(as_json: bool) -> None:
    """`southbridge devices`: all that can be loaded, and why the others can't."""
    rows: list[dict[str, Any]] = []
    for name in names("devices"):
        try:
            rows.append({"name": name, "summary": summary(load("devices", name)), "error": None})
        except PluginError as error:
            rows.append({"name": name, "summary": None, "error": str(error)})
    if as_json:
        print_json(rows)
    else:
        print_columns([(row["name"], row["summary"] or f"broken: {row['error']}") for row in rows])


def show_device(name: str, as_json: bool) -> None:
    """`southbridge devices NAME`. Raises PluginError."""
    cls = cast(type[Device], load("devices", name))
    facts = device_facts(find("devices", name), cls)
    if as_json:
        print_json(facts)
    else:
        _print_device(facts)


def _print_device(facts: Facts) -> None:
    print(f"{facts['name']}: {facts['summary']} ({facts['distribution']} {facts['version']})")
    if facts["properties"]:
        print("\nProperties")
        print_columns([(item["name"], item["type"], _default(item), item["doc"]) for item in facts["properties"]], "  ")
    pci = facts["pci"]
    if pci:
        print(
            f"\nPCI {pci['vendor']:04x}:{pci['device']:04x}, class {pci['class_code']:06x}, "
            f"revision {pci['revision']:02x}, subsystem {pci['subsystem_vendor']:04x}:{pci['subsystem']:04x}"
        )
    if facts["interrupts"]:
        print("\nInterrupts")
        for interrupt in facts["interrupts"]:
            print(f"  {interrupt['doc']}")
    _print_component(facts, "")


def _default(item: Facts) -> str:
    if item["required"]:
        return "required"
    return "" if item["default"] is None else f"default {shown(item['default'])}"


def _print_component(facts: Facts, path: str) -> None:
    for bank in facts["banks"]:
        doc = f": {bank['doc']}" if bank["doc"] else ""
        print(f"\n{path}{bank['name']}, {bank['size']:#x} {bank['kind']}{doc}")
        rows: list[tuple[str, ...]] = []
        for register in bank["registers"]:
            rows.append(_register_row(register))
            rows += [_field_row(field) for field in register["fields"]]
        for window in bank["windows"]:
            place = f"{window['offset']:#x}-{window['offset'] + window['size'] - 1:#x}"
            rows.append((place, "", "window", "", window["name"], window["doc"]))
        print_columns(rows, "  ")
    for part in facts["parts"]:
        count = "" if part["count"] is None else f"[0..{part['count'] - 1}]"
        _print_component(part, f"{path}{part['name']}{count}.")


def _register_row(register: Facts) -> tuple[str, ...]:
    reset = "" if register["reset"] is None else f"{register['reset']:#x}"
    return (
        f"{register['offset']:#04x}",
        f"{register['width']}",
        register["access"],
        reset,
        register["name"],
        register["doc"],
    )


def _field_row(field: Facts) -> tuple[str, ...]:
    low, high = field["low"], field["high"]
    return ("", "", field["access"], "", f"  {field['name']} {low if low == high else f'{high}:{low}'}", field["doc"])
