"""Every event that a machine's clients may hear, with its data: QEMU's, one that is ours, and plugins' own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from ..discovery import describe
from ..errors import PluginError

if TYPE_CHECKING:
    from ..machine import Machine

log = logging.getLogger(__name__)

PROGRESS = "X_SNAPSHOT_SAVE_PROGRESS"
"""Ours: bytes done of bytes in all."""

Cause = Literal[
    "none", "host-error", "host-qmp-quit", "host-qmp-system-reset", "host-signal", "host-ui",
    "guest-shutdown", "guest-reset", "guest-panic", "subsystem-reset", "snapshot-load",
]  # fmt: skip
WatchdogAction = Literal["reset", "shutdown", "poweroff", "pause", "debug", "none", "inject-nmi"]
PanicAction = Literal["pause", "poweroff", "run"]
MigrationStatus = Literal[
    "none", "setup", "cancelling", "cancelled", "active", "postcopy-active", "postcopy-paused", "postcopy-recover",
    "completed", "failed", "colo", "pre-switchover", "device", "wait-unplug",
]  # fmt: skip
Family = Literal["ipv4", "ipv6", "unix", "vsock", "unknown"]


class Ended(TypedDict):
    """Why the machine ended or was reset, and whether the guest did it."""

    guest: bool
    reason: Cause


Tray = TypedDict("Tray", {"device": str, "id": str, "tray-open": bool})


BlockFailure = TypedDict(
    "BlockFailure",
    {
        "device": str,
        "node-name": NotRequired[str],
        "operation": Literal["read", "write"],
        "action": Literal["ignore", "report", "stop"],
        "nospace": NotRequired[bool],
        "reason": str,
    },
)
"""What an image couldn't do, and what is done about it."""


class Gone(TypedDict):
    """A device that left."""

    device: NotRequired[str]
    path: str


class Expired(TypedDict):
    """What a watchdog did."""

    action: WatchdogAction


class Panicked(TypedDict):
    """What is done about a guest that gave up."""

    action: PanicAction


class Clock(TypedDict):
    """By how many seconds the guest's clock is ahead of the host's."""

    offset: int


class VncPlace(TypedDict):
    """Where a VNC server listens, or a client is."""

    host: str
    service: str
    family: Family


class VncAddress(VncPlace):
    """A VNC client's address."""

    websocket: bool


class VncServer(VncAddress):
    """A VNC server's address, and how its clients prove who they are."""

    auth: NotRequired[str]


class Vnc(TypedDict):
    """A connection to a VNC server."""

    server: VncServer
    client: VncAddress


class Migrated(TypedDict):
    """How far a migration is."""

    status: MigrationStatus


Pass = TypedDict("Pass", {"pass": int})
"""How many times a migration has gone through memory."""


class Progress(TypedDict):
    """Bytes done, of bytes in all."""

    done: int
    total: int


EVENTS: dict[str, Any] = {
    "BLOCK_IO_ERROR": BlockFailure,
    "DEVICE_DELETED": Gone,
    "DEVICE_TRAY_MOVED": Tray,
    "GUEST_CRASHLOADED": Panicked,
    "GUEST_PANICKED": Panicked,
    "GUEST_PVSHUTDOWN": None,
    "MIGRATION": Migrated,
    "MIGRATION_PASS": Pass,
    "POWERDOWN": None,
    "RESET": Ended,
    "RESUME": None,
    "RTC_CHANGE": Clock,
    "SHUTDOWN": Ended,
    "STOP": None,
    "SUSPEND": None,
    "SUSPEND_DISK": None,
    "VNC_CONNECTED": Vnc,
    "VNC_DISCONNECTED": Vnc,
    "VNC_INITIALIZED": Vnc,
    "WAKEUP": None,
    "WATCHDOG": Expired,
    PROGRESS: Progress,
}
"""The type of each one's data; None: it has none."""


def all_events(machine: Machine) -> dict[str, Any]:
    """Those of `machine`, plugins' included."""
    found = dict(EVENTS)
    for extra in machine.hooks.call.register_monitor_events(machine=machine):
        for name, data in (extra or {}).items():
            try:
                _check(name, data, found)
            except PluginError as error:
                log.warning("left out: %s", error)
            else:
                found[name] = data
    return found


def _check(name: str, data: Any, known: Mapping[str, Any]) -> None:
    """Raises PluginError if the name is taken, or `data` is no type that an event's data can have."""
    from ..control.qapi import Object, kind_of

    if name in known:
        raise PluginError(f"there are two monitor events {name!r}")
    try:
        if data is not None and not isinstance(kind_of(data), Object):
            raise TypeError("expected a TypedDict, or a union of some")
    except Exception as error:
        raise PluginError(f"monitor event {name!r}: {describe(error)}") from None
