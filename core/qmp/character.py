"""query-chardev, chardev-add, chardev-remove, chardev-change."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from ..control.commands import CommandError
from ..description.model import ID
from ..errors import SouthbridgeError

if TYPE_CHECKING:
    from ..chardev import CharBackend
    from ..control.commands import Function
    from ..machine import Machine

ChardevInfo = TypedDict("ChardevInfo", {"label": str, "filename": str, "frontend-open": bool})
"""A back end: its id, where it leads, and whether something uses it."""


class BackendInfo(TypedDict):
    """A kind of back end that there is."""

    name: str


class Common(TypedDict):
    """What QEMU's back ends have in common; nothing is logged here."""

    logfile: NotRequired[str]
    logappend: NotRequired[bool]


class FileOptions(Common):
    """A file that output goes to."""

    out: str
    append: NotRequired[bool]


class DeviceOptions(Common):
    """A device of the host's."""

    device: str


class TerminalOptions(Common):
    """Standard input and output."""

    signal: NotRequired[bool]


class UnixAddress(TypedDict):
    """A Unix socket."""

    path: str


class InetAddress(TypedDict):
    """A TCP socket; `port` is a number."""

    host: str
    port: str
    ipv4: NotRequired[bool]
    ipv6: NotRequired[bool]


class UnixPlace(TypedDict):
    """A socket's address."""

    type: Literal["unix"]
    data: UnixAddress


class InetPlace(TypedDict):
    """A socket's address."""

    type: Literal["inet"]
    data: InetAddress


class SocketOptions(Common):
    """A socket that listens, unless it isn't a server; nobody is waited for."""

    addr: UnixPlace | InetPlace
    server: NotRequired[bool]
    wait: NotRequired[bool]
    nodelay: NotRequired[bool]


class FileKind(TypedDict):
    """See FileOptions."""

    type: Literal["file"]
    data: FileOptions


class DeviceKind(TypedDict):
    """See DeviceOptions."""

    type: Literal["serial"]
    data: DeviceOptions


class SocketKind(TypedDict):
    """See SocketOptions."""

    type: Literal["socket"]
    data: SocketOptions


class TerminalKind(TypedDict):
    """See TerminalOptions."""

    type: Literal["stdio"]
    data: TerminalOptions


class PlainKind(TypedDict):
    """A pseudo terminal, or one without anybody at the other end."""

    type: Literal["pty", "null", "vc"]
    data: Common


ChardevBackend = FileKind | DeviceKind | SocketKind | TerminalKind | PlainKind
KINDS = ("file", "serial", "socket", "stdio", "pty", "null", "vc")


class ChardevReturn(TypedDict):
    """What was chosen for a new back end."""

    pty: NotRequired[str]


class CharacterCommands:
    """Character back ends."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {
            "query-chardev": self.query_chardev,
            "query-chardev-backends": self.query_chardev_backends,
            "chardev-add": self.chardev_add,
            "chardev-change": self.chardev_change,
            "chardev-remove": self.chardev_remove,
        }

    def query_chardev(self) -> list[ChardevInfo]:
        """Where serial ports and monitors lead."""
        machine = self._machine
        monitors: list[ChardevInfo] = [
            {"label": id, "filename": monitor.where, "frontend-open": monitor.in_use}
            for id, monitor in machine.backends.get("monitors", {}).items()
        ]
        return monitors + [
            {"label": id, "filename": backend.where, "frontend-open": self._is_used(backend)}
            for id, backend in machine.backends["chardevs"].items()
        ]

    def query_chardev_backends(self) -> list[BackendInfo]:
        """The kinds that chardev-add takes."""
        return [{"name": name} for name in KINDS]

    def chardev_add(self, id: str, backend: ChardevBackend) -> ChardevReturn:
        """A new back end, for a device that comes later."""
        from ..backends import add_backend

        machine = self._machine
        if not ID.fullmatch(id):
            raise CommandError("Parameter 'id' expects an identifier")
        if id in machine.backends["chardevs"] or id in machine.backends.get("monitors", {}):
            raise CommandError(f"Chardev with id '{id}' already exists")
        type_name, values, made = self._made(id, backend, "add")
        add_backend(machine, "chardevs", id, type_name, values, made)
        made.start(asyncio.get_running_loop(), machine.lock)
        return _chosen(made)

    def chardev_change(self, id: str, backend: ChardevBackend) -> ChardevReturn:
        """A new back end in the place of another; the device that uses it goes on with the new one."""
        from ..backends import add_backend, links_to, remove_backend, users

        machine = self._machine
        old = machine.backends["chardevs"].get(id)
        if old is None:
            raise CommandError(f"Chardev '{id}' does not exist")
        parts = users(machine, old)
        if parts.keys() & machine.backends.get("monitors", {}).keys():
            raise CommandError("Chardev user does not support chardev hotswap")
        type_name, values, made = self._made(id, backend, "change")
        with machine.lock:
            frontend, old.frontend = old.frontend, None
            if frontend is not None:
                made.attach(frontend)
            for part in parts.values():
                for name in links_to(part, old):
                    setattr(part, name, made)
        remove_backend(machine, "chardevs", id).close()
        add_backend(machine, "chardevs", id, type_name, values, made)
        made.start(asyncio.get_running_loop(), machine.lock)
        return _chosen(made)

    def chardev_remove(self, id: str) -> None:
        """A back end that nothing uses goes."""
        from ..backends import remove_backend

        backend = self._machine.backends["chardevs"].get(id)
        if backend is None:
            busy = id in self._machine.backends.get("monitors", {})
            raise CommandError(f"Chardev '{id}' {'is busy' if busy else 'not found'}")
        if self._is_used(backend):
            raise CommandError(f"Chardev '{id}' is busy")
        remove_backend(self._machine, "chardevs", id).close()

    def _is_used(self, backend: CharBackend) -> bool:
        from ..backends import users

        return bool(users(self._machine, backend)) or (hasattr(backend, "attach_monitor") and backend.in_use)

    def _made(self, id: str, backend: ChardevBackend, action: str) -> tuple[str, dict[str, Any], CharBackend]:
        from ..backends import make_backend

        type_name, values = _translated(backend)
        try:
            return type_name, values, make_backend(self._machine, "chardevs", id, type_name, values)
        except SouthbridgeError as error:
            raise CommandError(f"Failed to {action} chardev '{id}': {error}") from None


def _translated(backend: ChardevBackend) -> tuple[str, dict[str, Any]]:
    """The type and the properties, as a description has them."""
    match backend["type"]:
        case "file":
            return "file", {"path": backend["data"]["out"], "append": backend["data"].get("append", False)}
        case "serial":
            return "file", {"path": backend["data"]["device"], "append": True}
        case "socket":
            address = backend["data"]["addr"]
            server = backend["data"].get("server", True)
            if address["type"] == "unix":
                return "socket", {"path": address["data"]["path"], "server": server}
            host, port = address["data"]["host"], address["data"]["port"]
            if not port.isdigit() or int(port) > 0xFFFF:
                raise SouthbridgeError(f"{port!r} is no port")
            return "socket", {"host": host, "port": int(port), "server": server}
        case "vc":
            return "null", {}
    return backend["type"], {}


def _chosen(backend: CharBackend) -> ChardevReturn:
    kind, _, path = backend.where.partition(":")
    return {"pty": path} if kind == "pty" else {}
