"""From a draft to a machine description: a tree in which each part says by which option it came."""

from __future__ import annotations

from typing import Any

from ..description.loader import load_over
from ..description.model import Description, described
from ..description.nodes import Node, OptionLocation, Scalar, Table, from_plain
from ..errors import SouthbridgeError
from .draft import Draft, Drive, Part, Socket
from .machines import PLATFORM, XEN, machine_type
from .options.block import UNITS

SERIAL_PORTS = ((0x3F8, 4), (0x2F8, 3), (0x3E8, 4), (0x2E8, 3))
"""Port and interrupt line of COM1 to COM4."""


def describe(draft: Draft) -> Description:
    """The machine, validated. Raises SouthbridgeError, naming the option at fault."""
    return described(*load_over(description_tree(draft)))


def description_tree(draft: Draft) -> Table:
    """The description as a tree that extends a shipped one. Raises SouthbridgeError."""
    accelerator = draft.accelerator or machine_type(draft.machine, "").accelerator
    kind = machine_type(draft.machine, accelerator)
    tree = _Tree()
    tree.set("extends", kind.description, draft.machine_option)
    tree.set("accelerator", *_accelerator(draft, accelerator))
    tree.set(
        "memory", f"{draft.memory >> 10}K" if draft.memory & 0xFFFFF else f"{draft.memory >> 20}M", draft.memory_option
    )
    if draft.most_cpus != 1:
        tree.set("cpus", draft.cpus, draft.smp_option)
        tree.set("maxcpus", draft.most_cpus, draft.smp_option)
    if draft.name:
        tree.set("name", draft.name, f"-name {draft.name}")
    if draft.uuid:
        tree.set("uuid", draft.uuid, f"-uuid {draft.uuid}")
    if accelerator == XEN and draft.machine != "xenfv":
        tree.remove("devices", PLATFORM)
    _serial_ports(draft, tree)
    for made in draft.chardevs.values():
        tree.part("chardevs", _socket_part(made) if isinstance(made, Socket) else made)
    for monitor in draft.monitors:
        tree.part("monitors", monitor)
    for display in draft.displays:
        tree.part("displays", display)
    for netdev in draft.netdevs:
        tree.part("netdevs", netdev)
    _disks(draft, tree)
    return tree.table(draft.machine_option)


def _accelerator(draft: Draft, name: str) -> tuple[Any, str]:
    if name != XEN:
        return name, draft.accelerator_option or draft.machine_option
    if draft.domain is None:
        raise SouthbridgeError(f"{draft.machine_option}: -xen-domid is missing: which domain is it?")
    return {"type": XEN, "domain": draft.domain, **draft.accelerator_values}, f"-xen-domid {draft.domain}"


def _serial_ports(draft: Draft, tree: _Tree) -> None:
    """The ports that -serial asked for, in place of the shipped description's one."""
    if not draft.serials and draft.defaults:
        return
    tree.remove("chardevs", "serial0")
    for number, chardev in enumerate(draft.serials):
        iobase, irq = SERIAL_PORTS[number]
        if chardev is None:
            if not number:
                tree.remove("devices", "com1")
            continue
        port = Part(f"com{number + 1}", "uart16550", {"iobase": iobase, "irq": irq, "chardev": chardev}, "-serial")
        tree.part("devices", port)
    if not draft.serials:
        tree.remove("devices", "com1")


def _socket_part(made: Socket) -> Part:
    values: dict[str, Any] = {"server": made.server}
    if made.descriptor is not None:
        raise SouthbridgeError(f"{made.option}: only a monitor's socket may be an inherited descriptor")
    if made.path is not None:
        values["path"] = made.path
    else:
        values |= {"host": made.host or "127.0.0.1", "port": made.port}
    if made.server and made.wait:
        values["wait"] = True
    return Part(made.id, "socket", values, made.option)


def _disks(draft: Draft, tree: _Tree) -> None:
    """Images; the drives of if=ide; devices, those that have a drive with its image."""
    order = _BootOrder(draft.boot_order)
    by_id = {drive.id: drive for drive in draft.drives}
    for drive in draft.drives:
        if drive.image is not None:
            tree.part("blockdevs", drive.image)
        if drive.interface == "ide":
            assert drive.index is not None
            bus, unit = divmod(drive.index, UNITS)
            values: dict[str, Any] = {"bus": f"ide.{bus}", "unit": unit}
            if drive.image is not None:
                values["drive"] = drive.id
            elif not drive.cdrom:
                raise SouthbridgeError(f"{drive.option}: a disk needs file=...")
            values |= order.of(drive.cdrom)
            tree.part("devices", Part(drive.id, "ide-cd" if drive.cdrom else "ide-hd", values, drive.option))
    for device in draft.devices:
        tree.part("devices", _with_drive(device, by_id, order))


def _with_drive(device: Part, drives: dict[str, Drive], order: _BootOrder) -> Part:
    """A drive without a medium is none for the description."""
    values = dict(device.values)
    drive = drives.get(str(values.get("drive")))
    if "drive" in values and drive is None:
        raise SouthbridgeError(f"{device.option}: there is no -drive with id={values['drive']}")
    if drive is not None and drive.image is None:
        del values["drive"]
    if "bootindex" not in values and device.type in ("ide-cd", "ide-hd"):
        values |= order.of(device.type == "ide-cd")
    return Part(device.id, device.type, values, device.option)


class _BootOrder:
    """Gives each first device of a kind its place in the order."""

    def __init__(self, letters: str) -> None:
        self._left = {letter: index for index, letter in enumerate(letters)}

    def of(self, cdrom: bool) -> dict[str, int]:
        index = self._left.pop("d" if cdrom else "c", None)
        return {} if index is None else {"bootindex": index}


class _Tree:
    """A description under way."""

    def __init__(self) -> None:
        self._top: dict[str, Node] = {}
        self._sections: dict[str, dict[str, Node]] = {}

    def set(self, key: str, value: Any, option: str) -> None:
        self._top[key] = from_plain(value, OptionLocation(option, 1, 1))

    def part(self, section: str, part: Part) -> None:
        place = OptionLocation(part.option, 1, 1)
        self._sections.setdefault(section, {})[part.id] = from_plain({"type": part.type, **part.values}, place)

    def remove(self, section: str, id: str) -> None:
        """The shipped description's part isn't there."""
        self._sections.setdefault(section, {})[id] = Scalar(None, OptionLocation("-nodefaults", 1, 1))

    def table(self, option: str) -> Table:
        place = OptionLocation(option, 1, 1)
        sections = {name: _table(parts, place) for name, parts in self._sections.items()}
        return _table({**self._top, **sections}, place)


def _table(entries: dict[str, Node], place: OptionLocation) -> Table:
    return Table(entries, {key: node.location for key, node in entries.items()}, place)
