"""set_link, netdev_add, netdev_del, query-rx-filter: cables, what they lead to, and what cards let in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from ..control.commands import DEVICE_NOT_FOUND, CommandError
from ..description.model import ID
from ..net import CardPort, RxFilter, format_mac

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..device import Device
    from ..machine import Machine
    from ..qemu_system.draft import Part


class Text(TypedDict):
    """A text."""

    str: str


class UnixAddress(TypedDict):
    """A Unix socket."""

    type: Literal["unix"]
    path: str


class InetAddress(TypedDict):
    """An address and a port's number."""

    type: Literal["inet"]
    host: str
    port: str


SocketAddress = UnixAddress | InetAddress


class UserNetwork(TypedDict):
    """A network of its own, behind this process."""

    type: Literal["user"]
    id: str
    hostname: NotRequired[str]
    restrict: NotRequired[bool]
    ipv4: NotRequired[bool]
    ipv6: NotRequired[bool]
    net: NotRequired[str]
    host: NotRequired[str]
    tftp: NotRequired[str]
    bootfile: NotRequired[str]
    dhcpstart: NotRequired[str]
    dns: NotRequired[str]
    domainname: NotRequired[str]
    hostfwd: NotRequired[list[Text]]


class TapNetwork(TypedDict):
    """An interface of the host's."""

    type: Literal["tap"]
    id: str
    ifname: NotRequired[str]
    fd: NotRequired[str]
    script: NotRequired[str]
    downscript: NotRequired[str]


class SocketNetwork(TypedDict):
    """Another emulator."""

    type: Literal["socket"]
    id: str
    listen: NotRequired[str]
    connect: NotRequired[str]
    mcast: NotRequired[str]
    localaddr: NotRequired[str]
    udp: NotRequired[str]


class StreamNetwork(TypedDict):
    """Another emulator, by a connection."""

    type: Literal["stream"]
    id: str
    addr: SocketAddress
    server: NotRequired[bool]


class DatagramNetwork(TypedDict):
    """Another emulator, or several, by datagrams."""

    type: Literal["dgram"]
    id: str
    local: NotRequired[SocketAddress]
    remote: NotRequired[SocketAddress]


class HubPort(TypedDict):
    """A port of a hub."""

    type: Literal["hubport"]
    id: str
    hubid: int
    netdev: NotRequired[str]


Netdev = UserNetwork | TapNetwork | SocketNetwork | StreamNetwork | DatagramNetwork | HubPort

State = Literal["normal", "none", "all"]
RxFilterInfo = TypedDict(
    "RxFilterInfo",
    {
        "name": str,
        "promiscuous": bool,
        "multicast": State,
        "unicast": State,
        "vlan": State,
        "broadcast-allowed": bool,
        "multicast-overflow": bool,
        "unicast-overflow": bool,
        "main-mac": str,
        "vlan-table": list[int],
        "unicast-table": list[str],
        "multicast-table": list[str],
    },
)
"""What a card lets in. Of multicast addresses that overflow only hashes are known."""


class NetworkCommands:
    """Network cards, which are found by having a `port`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {
            "set_link": self.set_link,
            "netdev_add": self.netdev_add,
            "netdev_del": self.netdev_del,
            "query-rx-filter": self.query_rx_filter,
        }

    def set_link(self, name: str, up: bool) -> None:
        """The link of the card `name`, or of the one on the netdev `name`, goes up or down."""
        machine = self._machine
        with machine.lock:
            netdev = machine.backends["netdevs"].get(name)
            ports = [
                port
                for device, port in self._cards()
                if device.id == name or (netdev is not None and getattr(device, "netdev", None) is netdev)
            ]
            if not ports:
                raise CommandError(f"Device '{name}' not found", DEVICE_NOT_FOUND)
            for port in ports:
                port.carrier = up

    def netdev_add(self, options: Netdev, /) -> None:
        """A new network, for a card that comes later."""
        from ..backends import add_backend, make_backend

        machine = self._machine
        id = options["id"]
        if not ID.fullmatch(id):
            raise CommandError("Parameter 'id' expects an identifier")
        if id in machine.backends["netdevs"]:
            raise CommandError(f"Duplicate ID '{id}'")
        for part in _translated(options):
            if part.id not in machine.backends["netdevs"]:
                made = make_backend(machine, "netdevs", part.id, part.type, part.values)
                add_backend(machine, "netdevs", part.id, part.type, part.values, made)
                if machine.networks is not None:
                    machine.networks.joined(made)

    def netdev_del(self, id: str) -> None:
        """A network that nothing uses goes."""
        from ..backends import remove_backend, users

        machine = self._machine
        netdev = machine.backends["netdevs"].get(id)
        if netdev is None:
            raise CommandError(f"Device '{id}' not found", DEVICE_NOT_FOUND)
        using = users(machine, netdev)
        if using:
            raise CommandError(f"Device '{id}' is in use by '{min(using)}'")
        with machine.lock:
            remove_backend(machine, "netdevs", id).close()

    def query_rx_filter(self, name: str | None = None) -> list[RxFilterInfo]:
        """What network cards let in: all that tell it, or the card `name`."""
        with self._machine.lock:
            cards = {device.id: device for device, _ in self._cards()}
            if name is not None and name not in cards:
                raise CommandError(f"invalid net client name: {name}")
            asked = cards if name is None else {name: cards[name]}
            told = {id: card.rx_filter() for id, card in asked.items() if hasattr(card, "rx_filter")}
            if name is not None and not told:
                raise CommandError(f"net client({name}) doesn't support rx-filter querying")
            return [_info(id, found) for id, found in told.items()]

    def _cards(self) -> list[tuple[Device, CardPort]]:
        devices = self._machine.devices.values()
        return [(device, port) for device in devices if isinstance(port := getattr(device, "port", None), CardPort)]


def _translated(options: Netdev) -> list[Part]:
    """What -netdev makes of the same words: the network, after a hub if it needs one."""
    from ..qemu_system.draft import Draft
    from ..qemu_system.options.network import OPTIONS

    draft = Draft()
    netdev = next(option for option in OPTIONS if option.name == "netdev")
    netdev.read(draft, json.dumps(options))
    return draft.netdevs


def _info(name: str, found: RxFilter) -> RxFilterInfo:
    multicast: State = "all" if found.all_multicast else "normal" if found.multicast or found.uncertain else "none"
    return {
        "name": name,
        "promiscuous": found.promiscuous,
        "multicast": multicast,
        "unicast": "all" if found.promiscuous else "normal",
        "vlan": "all" if found.vlans is None else "normal" if found.vlans else "none",
        "broadcast-allowed": found.broadcast,
        "multicast-overflow": found.uncertain,
        "unicast-overflow": False,
        "main-mac": format_mac(found.address),
        "vlan-table": found.vlans or [],
        "unicast-table": [format_mac(address) for address in found.unicast],
        "multicast-table": [format_mac(address) for address in found.multicast],
    }
