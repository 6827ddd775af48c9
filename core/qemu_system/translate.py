"""From a draft to a machine description: a tree in which each part says by which option it came."""

from __future__ import annotations

from typing import Any

from ..description.loader import load_over
from ..description.model import Description, described
from ..description.nodes import Table
from ..errors import SouthbridgeError
from .defaults import add_defaults
from .disks import add_disks
from .draft import Draft, Part, Socket
from .globals import apply_globals
from .machines import PLATFORM, XEN, machine_type
from .numa import numa_of
from .options.devices import SERIAL_PORTS
from .options.monitors import address_of
from .tree import Tree

USB_CONTROLLER = Part("usb", "piix3-usb-uhci", {"addr": "01.2"}, "-usb")


def describe(draft: Draft) -> Description:
    """The machine, validated. Raises SouthbridgeError, naming the option at fault."""
    return described(*load_over(description_tree(draft)))


def description_tree(draft: Draft) -> Table:
    """The description as a tree that extends a shipped one. Raises SouthbridgeError."""
    accelerator = _accelerator_name(draft)
    kind = machine_type(draft.machine, accelerator)
    add_defaults(draft, kind.description)
    tree = Tree()
    tree.set("extends", kind.description, draft.machine_option)
    tree.set("accelerator", *_accelerator(draft, accelerator))
    size = f"{draft.memory >> 10}K" if draft.memory & 0xFFFFF else f"{draft.memory >> 20}M"
    tree.set("memory", size, draft.memory_option)
    if draft.most_cpus != 1:
        tree.set("cpus", draft.cpus, draft.smp_option)
        tree.set("maxcpus", draft.most_cpus, draft.smp_option)
    if draft.cpu:
        tree.set("cpu", draft.cpu, draft.cpu_option)
    if draft.name:
        tree.set("name", draft.name, f"-name {draft.name}")
    if draft.uuid:
        tree.set("uuid", draft.uuid, f"-uuid {draft.uuid}")
    if numa := numa_of(draft):
        tree.set("numa", numa, "-numa")
    for key, (value, option) in draft.top.items():
        tree.set(key, value, option)
    if accelerator == XEN and draft.machine != "xenfv":
        tree.remove("devices", PLATFORM, draft.machine_option)
    _board(draft, tree)
    _serial_ports(draft, tree)
    for made in draft.chardevs.values():
        tree.part("chardevs", _socket_part(made) if isinstance(made, Socket) else made)
    if draft.qtest is not None:
        log = {} if draft.qtest_log == "none" else {"log": draft.qtest_log}
        tree.part("monitors", Part("qtest", "qtest", {**draft.qtest.values, **log}, draft.qtest.option))
    for section, parts in (("monitors", draft.monitors), ("displays", draft.displays), ("netdevs", draft.netdevs)):
        for part in parts:
            tree.part(section, part)
    if draft.usb and not any(device.type == USB_CONTROLLER.type for device in draft.devices):
        tree.part("devices", USB_CONTROLLER)
    for part in draft.cards:
        tree.part("devices", part)
    add_disks(draft, tree)
    apply_globals(draft, tree, kind.description)
    return tree.table(draft.machine_option)


# --- accelerators ------------------------------------------------------------------------------------------------


def _accelerator_name(draft: Draft) -> str:
    """The first that is to be tried."""
    if draft.accelerators:
        return draft.accelerators[0].name
    return "qtest" if draft.qtest is not None else machine_type(draft.machine, "").accelerator


def _accelerator(draft: Draft, name: str) -> tuple[Any, str]:
    if name == XEN:
        if draft.domain is None:
            raise SouthbridgeError(f"{draft.machine_option}: -xen-domid is missing: which domain is it?")
        return {"type": XEN, "domain": draft.domain, **draft.accelerator_values}, f"-xen-domid {draft.domain}"
    if not draft.accelerators:
        return name, draft.machine_option
    choices = [{"type": each.name, **each.values} if each.values else each.name for each in draft.accelerators]
    return choices[0] if len(choices) == 1 else choices, draft.accelerators[0].option


# --- the board ---------------------------------------------------------------------------------------------------


def _board(draft: Draft, tree: Tree) -> None:
    """What options change of the shipped description's parts. Of texts and files several options add up."""
    changes = {id: list(made) for id, made in draft.changes.items()}
    for id, made in changes.items():
        values: dict[str, Any] = {}
        for change in made:
            if change.values is None:
                tree.remove("devices", id, change.option)
                break
            for key, value in change.values.items():
                values[key] = {**values[key], **value} if isinstance(value, dict) and key in values else value
            tree.change("devices", id, values, change.option)


def _serial_ports(draft: Draft, tree: Tree) -> None:
    """The ports that -serial asked for, in place of the shipped description's one."""
    if draft.machine == "none":
        return
    tree.remove("chardevs", "serial0", "-nodefaults")
    for number, chardev in enumerate(draft.serials):
        iobase, irq = SERIAL_PORTS[number]
        if chardev is None:
            if not number:
                tree.remove("devices", "com1", "-serial none")
            continue
        port = Part(f"com{number + 1}", "uart16550", {"iobase": iobase, "irq": irq, "chardev": chardev}, "-serial")
        tree.part("devices", port)
    if not draft.serials:
        tree.remove("devices", "com1", "-nodefaults")


def _socket_part(made: Socket) -> Part:
    values: dict[str, Any] = {"server": made.server, **address_of(made)}
    if made.descriptor is not None:
        raise SouthbridgeError(f"{made.option}: only a monitor's socket may be an inherited descriptor")
    if made.server and made.wait:
        values["wait"] = True
    return Part(made.id, "socket", values, made.option)
