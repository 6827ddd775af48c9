"""What a snapshot says of a machine besides its state: what it was built from, and what it takes to build it again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..description.identity import identity_tree
from ..description.loader import SECTIONS
from ..description.model import AUTO, Choice, Description
from ..description.numa import numa_tree
from ..discovery import find
from ..errors import PluginError, SouthbridgeError
from ..machine import Machine
from ..memory.ram import PAGE_SIZE, RamBlock
from ..memory.regions import Alias, Container, Ram, Region
from ..properties import Configurable, property_model

_STRICT = ConfigDict(extra="forbid", strict=True)

MOST_PARTS = 10_000
"""Of anything that a header lists."""


class PluginFacts(BaseModel):
    """A plugin that the machine is made of."""

    model_config = _STRICT
    kind: str
    name: str
    distribution: str
    version: str


class CpuFacts(BaseModel):
    """The guest's CPUs."""

    model_config = _STRICT
    model: str
    features: list[str] = Field(max_length=MOST_PARTS)
    count: int = Field(ge=1)


class MemoryFacts(BaseModel):
    """A block of memory."""

    model_config = _STRICT
    name: str
    size: int = Field(gt=0, multiple_of=PAGE_SIZE)


class DiskFacts(BaseModel):
    """A block back end. `identity` is of its image, without what an overlay has."""

    model_config = _STRICT
    id: str
    image: str
    size: int = Field(ge=0)
    identity: dict[str, Any]
    overlay: bool


class Header(BaseModel):
    """What a snapshot begins with."""

    model_config = _STRICT
    created: str
    southbridge: str
    name: str
    description: dict[str, Any]
    accelerator: str
    cpu: CpuFacts
    plugins: list[PluginFacts] = Field(max_length=MOST_PARTS)
    memory: list[MemoryFacts] = Field(max_length=MOST_PARTS)
    disks: list[DiskFacts] = Field(max_length=MOST_PARTS)


# --- what a machine was built from -------------------------------------------------------------------------------


def described_as(machine: Machine) -> Description:
    """The description of `machine`. Raises SouthbridgeError if it isn't like that, or wasn't built from any."""
    description = machine.description
    if description is None:
        raise SouthbridgeError(f"{machine.name} wasn't built from a description, so it can't be built again")
    different = machine.devices.keys() ^ description.sections["devices"].keys()
    if different:
        raise SouthbridgeError(
            f"devices came or went since {machine.name} was built, so it can't be saved: {', '.join(sorted(different))}"
        )
    return description


def description_tree(description: Description) -> dict[str, Any]:
    """`description` as one tree of plain data, which extends nothing, with absolute paths."""
    accelerators = [_accelerator_tree(choice) for choice in description.accelerators]
    tree: dict[str, Any] = {
        "name": description.name,
        "memory": description.memory,
        "cpus": description.cpus,
        "maxcpus": description.max_cpus,
        "cpu": description.cpu,
        "accelerator": accelerators[0] if len(accelerators) == 1 else accelerators,
        "on_internal_error": "swap" if description.swaps_on_error else "stop",
        **identity_tree(description.identity),
        **numa_tree(description.numa),
    }
    if description.boot is not None:  # a reset boots again
        tree |= description.boot.tree()
    for section in SECTIONS:
        parts = description.sections[section].values()
        tree[section] = {part.id: {"type": part.type_name, **_absolute(part.cls, part.values)} for part in parts}
    return tree


def _accelerator_tree(choice: Choice) -> Any:
    if choice.type_name == AUTO:
        return AUTO
    values = _absolute(choice.cls, choice.values) if choice.cls else dict(choice.values)
    return {"type": choice.type_name, **values}


def _absolute(cls: type[Configurable], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with absolute paths."""
    valid = property_model(cls).model_validate(dict(values))
    return {name: _with_absolute_paths(value, getattr(valid, name)) for name, value in values.items()}


def _with_absolute_paths(value: Any, valid: Any) -> Any:
    if isinstance(valid, Path):
        return str(valid.absolute())
    if isinstance(value, dict) and isinstance(valid, dict):
        return {key: _with_absolute_paths(item, valid.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(valid, list | tuple):
        return [_with_absolute_paths(item, other) for item, other in zip(value, valid, strict=True)]
    return value


# --- plugins -----------------------------------------------------------------------------------------------------


def plugins_of(description: Description) -> list[PluginFacts]:
    """The plugins that devices and back ends are of. An accelerator isn't among them: another one will do."""
    used = {(section, part.type_name) for section, parts in description.sections.items() for part in parts.values()}
    found = [find(kind, name) for kind, name in sorted(used)]
    return [
        PluginFacts(kind=plugin.kind, name=plugin.name, distribution=plugin.distribution, version=plugin.version)
        for plugin in found
    ]


def check_plugin(wanted: PluginFacts) -> None:
    """Raises SouthbridgeError unless `wanted` is installed, from the same distribution, as it was or newer."""
    try:
        there = find(wanted.kind, wanted.name)
    except PluginError as error:
        raise PluginError(f"needs {wanted.name!r} of {wanted.distribution} {wanted.version}: {error}") from None
    if there.distribution != wanted.distribution:
        raise SouthbridgeError(
            f"needs {wanted.name!r} of {wanted.distribution} {wanted.version}; here it is of {there.source}"
        )
    if version_order(there.version) < version_order(wanted.version):
        raise SouthbridgeError(
            f"needs {wanted.name!r} of {wanted.distribution} {wanted.version} or newer; "
            f"installed is {there.version} (pip install --upgrade {wanted.distribution})"
        )


def version_order(version: str) -> tuple[int, tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]:
    """A key by which versions of one distribution are ordered as PEP 440 has it, well enough to tell older from newer.

    A release comes after its previews (a1, rc2, .dev3) and before its successors (.post1).
    """
    epoch, _, rest = version.rpartition("!")
    match = re.match(r"v?([0-9]+(?:\.[0-9]+)*)(.*)", rest.partition("+")[0].strip())
    if match is None:
        return 0, (), False, ()
    release = [int(number) for number in match[1].split(".")]
    while release and not release[-1]:
        release.pop()
    suffix = match[2].lower().strip(".-_")
    words = tuple(
        (part.isdigit(), int(part) if part.isdigit() else 0, part.replace("dev", ""))
        for part in re.findall("[a-z]+|[0-9]+", suffix)
    )
    final = not suffix or (suffix.startswith(("post", "r")) and not suffix.startswith("rc"))
    return int(epoch) if epoch.isdigit() else 0, tuple(release), final, words


# --- memory ------------------------------------------------------------------------------------------------------


def memory_blocks(machine: Machine) -> dict[str, RamBlock]:
    """Every block of memory that the machine has, by a name that is the same whenever it is built.

    RAM is "ram", a device's memory "DEVICE/BLOCK", whether the guest has it mapped or not.
    """
    blocks: dict[str, RamBlock] = {"ram": machine.ram}
    known = {id(machine.ram)}

    def add(owner: str, block: RamBlock) -> None:
        if id(block) not in known:
            name = f"{owner}/{block.name}"
            if name in blocks:
                raise SouthbridgeError(f"{owner or machine.name} has two blocks of memory named {block.name!r}")
            known.add(id(block))
            blocks[name] = block

    for device in machine.devices.values():
        for block in device.ram_blocks():
            add(device.id, block)
    for ram in _memory_in(machine.memory.root, set()):
        add(ram.owner.id if ram.owner else "", ram.block)
    return blocks


def _memory_in(region: Region, seen: set[int]) -> Iterator[Ram]:
    if id(region) in seen:
        return
    seen.add(id(region))
    if isinstance(region, Ram):
        yield region
    elif isinstance(region, Alias):
        yield from _memory_in(region.target, seen)
    elif isinstance(region, Container):
        for child in region.children:
            yield from _memory_in(child.region, seen)
