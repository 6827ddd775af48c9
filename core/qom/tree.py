"""The whole tree of a machine."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ..qmp.target import RAM
from .devices import Devices
from .nodes import Entry, Node, child, container, link
from .objects import objects
from .paths import BOARD, NAMED, NAMELESS, cpu_path, device_path
from .type_names import machine_type
from .values import entries

if TYPE_CHECKING:
    from ..machine import Machine


def root(machine: Machine) -> Node:
    """The tree's root, as the machine is now. To be used with the machine's lock held."""
    return Node("/", "container", lambda: _top(machine))


def _top(machine: Machine) -> dict[str, Entry]:
    return {
        "objects": child(container("/objects", partial(objects, machine))),
        "machine": child(Node("/machine", machine_type(machine), lambda: _machine(machine))),
        "chardevs": child(container("/chardevs", lambda path: _chardevs(machine, path))),
    }


def _machine(machine: Machine) -> dict[str, Entry]:
    devices = Devices(machine, root(machine))
    nodes = {device_path(machine, device): devices.device(device) for device in machine.devices.values()}
    nodes |= {cpu_path(machine, index): devices.cpu(index) for index in sorted(machine.cpus.plugged)}

    def below(path: str) -> dict[str, Node]:
        return {place.rpartition("/")[2]: node for place, node in nodes.items() if place.rpartition("/")[0] == path}

    return {
        "memory": Entry("MemorySizeConfiguration", lambda: {"size": machine.ram.size}),
        "memory-backend": link("memory-backend", f"/objects/{machine.objects.memory or RAM}", lambda: root(machine)),
        "smp": Entry("SMPConfiguration", lambda: _topology(machine)),
        "unattached": child(container(BOARD, below)),
        "peripheral-anon": child(container(NAMELESS, below)),
        "peripheral": child(container(NAMED, below)),
        **{name: child(node) for name, node in below("/machine").items()},
    }


def _topology(machine: Machine) -> dict[str, int]:
    topology = machine.cpus.topology
    return {
        "cpus": len(machine.cpus.plugged),
        "maxcpus": machine.cpus.max,
        "threads": topology.thread,
        "cores": topology.core,
        "dies": 1,
        "sockets": topology.socket,
        "clusters": 1,
    }


def _chardevs(machine: Machine, path: str) -> dict[str, Node]:
    """Those of devices, and those of monitors, which are sockets or the terminal."""
    there = {**machine.backends.get("monitors", {}), **machine.backends["chardevs"]}
    return {
        id: Node(f"{path}/{id}", f"chardev-{_kind(machine, id, backend)}", partial(entries, machine, backend))
        for id, backend in there.items()
    }


def _kind(machine: Machine, id: str, backend: Any) -> str:
    part = machine.part("chardevs", id)
    if part is not None:
        return part.type_name
    where: str = backend.where
    return "socket" if ":" in where else where
