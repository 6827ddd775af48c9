"""What a description says, validated against the installed plugins' declarations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..boot import BootSettings
from ..cpu_models import find_model
from ..device import Device
from ..discovery import KINDS, names, nearest
from ..discovery import load as load_plugin
from ..errors import DescriptionError, Location, PluginError, SouthbridgeError
from ..numa import Numa
from ..properties import Configurable
from ..smbios import Identity
from ..units import GiB, KiB, MiB, format_size
from .booting import BOOT_KEYS, boot_settings
from .identity import IDENTITY_KEYS, identity
from .loader import SECTIONS, load_tree
from .nodes import Node, Scalar, Sequence, Table, is_null, what_is
from .numa import numa
from .values import size_in_bytes, validated_values

AUTO = "auto"
DEFAULT_MEMORY = 256 * MiB
MEMORY_UNIT = 4 * KiB
LARGEST_MEMORY = 1024 * GiB
ID = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
LONGEST_ID = 64
MOST_CPUS = 255
DEFAULT_CPU = "portable"
HOST_CPU = "host"
ON_INTERNAL_ERROR = ("stop", "swap")
_OWN_KEYS = ("name", "extends", "accelerator", "on_internal_error", "cpu", "cpus", "maxcpus", "memory", "numa")
KEYS = (*_OWN_KEYS, *IDENTITY_KEYS, *BOOT_KEYS, *SECTIONS)


class Part(NamedTuple):
    """One device or back end: its class, and its properties as written; relative paths in them have been resolved."""

    section: str
    id: str
    type_name: str
    cls: type[Configurable]
    values: Mapping[str, Any]
    location: Location
    places: Mapping[str, Location]
    """Where each property was written."""

    @property
    def key(self) -> str:
        """Its dotted key in the description."""
        return f"{self.section}.{self.id}"

    def links(self) -> Iterable[tuple[str, str, str]]:
        """Property, section and id of each link that leads somewhere."""
        for name, spec in self.cls.properties().items():
            value = self.values.get(name, spec.default)
            if spec.section is not None and isinstance(value, str):
                yield name, spec.section, value

    def place(self, name: str) -> Location:
        """Where property `name` was written, or else the part."""
        return self.places.get(name, self.location)


class Choice(NamedTuple):
    """An accelerator to try: `type_name` may be `auto`. `problem` is why it can't be used, if that is known already."""

    type_name: str
    cls: type[Configurable] | None
    values: Mapping[str, Any]
    location: Location | None
    problem: str = ""


class Description(NamedTuple):
    """A machine, as it was described. `memory` is in bytes."""

    name: str
    file: Path
    memory: int
    cpus: int
    """How many there are when it starts."""
    max_cpus: int
    """How many there may be."""
    cpu: str
    """The name of the CPU model."""
    cpu_location: Location | None
    accelerators: tuple[Choice, ...]
    swaps_on_error: bool
    """The next one of `accelerators` takes over from one that can't go on executing the guest."""
    boot: BootSettings | None
    """The kernel to boot; None: what the firmware finds."""
    identity: Identity
    numa: Numa
    sections: Mapping[str, Mapping[str, Part]]


def load(machine: str = "pc", settings: Iterable[str] = ()) -> Description:
    """The description of `machine`, a path or a shipped name, with `settings` ("key=value") on top.

    Raises SouthbridgeError: a DescriptionError, with the place, for what is wrong in it.
    """
    return described(*load_tree(machine, settings))


def described(path: Path, tree: Table) -> Description:
    """What `tree` says; `path` is the file that it is from. Raises DescriptionError."""
    for key in tree.entries:
        if key not in KEYS:
            hint = nearest(key, KEYS) or f" (there are: {', '.join(KEYS)})"
            raise DescriptionError(f"a machine description has no such key{hint}", tree.keys[key], key)
    cpu = tree.entries.get("cpu")
    accelerators = _accelerators(tree.entries.get("accelerator"))
    cpus = _cpus(tree.entries.get("cpus"))
    max_cpus = _cpus(tree.entries.get("maxcpus"), cpus, "maxcpus")
    memory = _memory(tree.entries.get("memory"))
    boot = boot_settings(tree)
    return Description(
        name=_name(tree.entries.get("name"), path.stem),
        file=path,
        memory=memory,
        cpus=cpus,
        max_cpus=max_cpus,
        cpu=_cpu(cpu),
        cpu_location=cpu.location if cpu else None,
        accelerators=accelerators,
        swaps_on_error=_swaps_on_error(tree.entries.get("on_internal_error"), accelerators),
        boot=boot,
        identity=identity(tree),
        numa=numa(tree.entries.get("numa"), memory, max_cpus),
        sections=_sections(tree, with_firmware=boot is None or boot.firmware),
    )


def _name(node: Node | None, default: str) -> str:
    if node is None or is_null(node):
        return default
    if not isinstance(node, Scalar) or not isinstance(node.value, str) or not 0 < len(node.value) <= LONGEST_ID:
        raise DescriptionError(
            f"expected a name, at most {LONGEST_ID} characters, not {what_is(node)}", node.location, "name"
        )
    return node.value


def _memory(node: Node | None) -> int:
    if node is None or is_null(node):
        return DEFAULT_MEMORY
    size = size_in_bytes(node, "memory")
    if size % MEMORY_UNIT or not MEMORY_UNIT <= size <= LARGEST_MEMORY:
        message = f"expected a multiple of 4 KiB, at most {format_size(LARGEST_MEMORY)}, not {what_is(node)}"
        raise DescriptionError(message, node.location, "memory")
    return size


# --- CPUs and accelerators ----------------------------------------------------------------------------------------


def _cpus(node: Node | None, least: int = 1, key: str = "cpus") -> int:
    if node is None or is_null(node):
        return least
    if not isinstance(node, Scalar) or type(node.value) is not int or not least <= node.value <= MOST_CPUS:
        raise DescriptionError(
            f"expected a number of CPUs, {least} to {MOST_CPUS}, not {what_is(node)}", node.location, key
        )
    return node.value


def _cpu(node: Node | None) -> str:
    if node is None or is_null(node):
        return DEFAULT_CPU
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        raise DescriptionError(f"expected a CPU model's name, not {what_is(node)}", node.location, "cpu")
    if node.value.partition(",")[0] != HOST_CPU:
        try:
            find_model(node.value)
        except SouthbridgeError as error:
            raise DescriptionError(str(error), node.location, "cpu") from None
    return node.value


def _swaps_on_error(node: Node | None, accelerators: tuple[Choice, ...]) -> bool:
    if node is None or is_null(node):
        return False
    key = "on_internal_error"
    if not isinstance(node, Scalar) or node.value not in ON_INTERNAL_ERROR:
        expected = " or ".join(ON_INTERNAL_ERROR)
        raise DescriptionError(f"expected {expected}, not {what_is(node)}", node.location, key)
    if node.value == "swap" and len(accelerators) < 2:
        raise DescriptionError("`swap` needs a list of accelerators: [kvm, unicorn]", node.location, key)
    return node.value == "swap"


def _accelerators(node: Node | None) -> tuple[Choice, ...]:
    if node is None or is_null(node):
        return (Choice(AUTO, None, {}, None),)
    if not isinstance(node, Sequence):
        return (_choice(node, "accelerator", alone=True),)
    if not node.items:
        raise DescriptionError("expected at least one accelerator", node.location, "accelerator")
    return tuple(_choice(item, f"accelerator[{index}]", alone=False) for index, item in enumerate(node.items))


def _choice(node: Node, key: str, alone: bool) -> Choice:
    if isinstance(node, Scalar) and isinstance(node.value, str):
        node = Table({"type": node}, {"type": node.location}, node.location)
    elif not isinstance(node, Table):
        expected = "auto, an accelerator's name, a mapping with a type" + (", or a list of these" if alone else "")
        raise DescriptionError(f"expected {expected}, not {what_is(node)}", node.location, key)
    type_node, name = _type(node, "accelerators", key)
    if name == AUTO:
        for extra in node.entries:
            if extra != "type":
                raise DescriptionError("`auto` has no properties", node.keys[extra], f"{key}.{extra}")
        return Choice(AUTO, None, {}, node.location)
    try:
        cls = load_plugin("accelerators", name)
    except PluginError as error:
        if alone or name not in names("accelerators"):
            raise DescriptionError(str(error), type_node.location, key) from None
        return Choice(name, None, {}, node.location, str(error))
    values, _ = validated_values(cls, name, node, key)
    return Choice(name, cls, values, node.location)


# --- devices and back ends ---------------------------------------------------------------------------------------


def _sections(tree: Table, *, with_firmware: bool) -> dict[str, dict[str, Part]]:
    tables = {section: _section(tree, section) for section in SECTIONS}
    sections: dict[str, dict[str, Part]] = {}
    for section, table in tables.items():
        sections[section] = {}
        for id, node in table.entries.items():
            _check_id(id, table, section)
            sections[section][id] = _part(section, id, node, table)
    for parts in sections.values():
        for part in parts.values():
            _check_links(part, sections)
    if not with_firmware:
        sections["devices"] = {id: part for id, part in sections["devices"].items() if not _is_firmware(part)}
    return sections


def _is_firmware(part: Part) -> bool:
    return issubclass(part.cls, Device) and part.cls.is_firmware


def _section(tree: Table, section: str) -> Table:
    node = tree.entries.get(section)
    if node is None:
        return Table({}, {}, tree.location)
    if not isinstance(node, Table):
        message = f"expected a mapping from ids to {section} ({{}} for none), not {what_is(node)}"
        raise DescriptionError(message, node.location, section)
    return node


def _check_id(id: str, table: Table, section: str) -> None:
    if not ID.fullmatch(id) or len(id) > LONGEST_ID:
        message = f"expected an id: a letter, then letters, digits, '.', '_' or '-', at most {LONGEST_ID} in all"
        raise DescriptionError(message, table.keys[id], f"{section}.{id[:LONGEST_ID]}")


def _part(section: str, id: str, node: Node, table: Table) -> Part:
    key = f"{section}.{id}"
    if is_null(node):
        others = [other for other in table.entries if other != id]
        message = f"nothing to remove: what this extends has no {KINDS[section][0]} {id!r}{nearest(id, others)}"
        raise DescriptionError(message, node.location, key)
    if not isinstance(node, Table):
        message = f"expected a mapping with a type and its properties, not {what_is(node)}"
        raise DescriptionError(message, node.location, key)
    type_node, name = _type(node, section, key)
    try:
        cls = load_plugin(section, name)
    except PluginError as error:
        raise DescriptionError(str(error), type_node.location, f"{key}.type") from None
    values, places = validated_values(cls, name, node, key)
    return Part(section, id, name, cls, values, table.keys[id], places)


def _type(node: Table, kind: str, key: str) -> tuple[Node, str]:
    type_node = node.entries.get("type")
    called = KINDS[kind][0]
    if type_node is None:
        raise DescriptionError(f"missing: the {called}'s type", node.location, f"{key}.type")
    if not isinstance(type_node, Scalar) or not isinstance(type_node.value, str):
        message = f"expected the {called}'s type, a name, not {what_is(type_node)}"
        raise DescriptionError(message, type_node.location, f"{key}.type")
    return type_node, type_node.value


def _check_links(part: Part, sections: Mapping[str, Mapping[str, Part]]) -> None:
    """Raises DescriptionError for a link into a section that doesn't have the id. Buses are known to devices only."""
    for name, section, id in part.links():
        known = sections.get(section)
        if known is not None and id not in known:
            hint = nearest(id, known) or f" (there are: {', '.join(known) or 'none'})"
            message = f"there is no {KINDS[section][0]} {id!r}{hint}"
            raise DescriptionError(message, part.place(name), f"{part.key}.{name}")
