"""What libxl 4.17 said to a device model, and the form of what QEMU 7.2 answered, verb by verb of xl, as recorded.

Each verb is a list of connections, each a list of commands: name, arguments, whether a file came along, and the result
that QEMU gave, in which only the kinds of values count.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Said(NamedTuple):
    """One command and its answer."""

    command: str
    arguments: dict[str, Any]
    answer: Any
    file: bool = False


CPU = {
    "thread-id": 149,
    "props": {"core-id": 0, "thread-id": 0, "socket-id": 0},
    "qom-path": "/machine/unattached/device[2]",
    "cpu-index": 0,
    "target": "i386",
}
CPUS = Said("query-cpus-fast", {}, [CPU])
VERSION = Said("query-version", {}, {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"})
CHARDEVS = Said(
    "query-chardev",
    {},
    [
        {"frontend-open": True, "filename": "unix:/run/qmp,server=on", "label": "libxl-cmd"},
        {"frontend-open": True, "filename": "disconnected:unix:/run/other,server=on", "label": "libxenstat-cmd"},
        {"frontend-open": True, "filename": "file", "label": "serial0"},
    ],
)
FILE = {"fd": 13, "fdset-id": 0}
EJECT = Said("eject", {"id": "ide-5632"}, {})


def log_dirty(enable: bool) -> list[Said]:
    return [Said("xen-set-global-dirty-log", {"enable": enable}, {})]


def save(live: bool) -> list[Said]:
    return [
        Said("stop", {}, {}),
        Said("add-fd", {}, FILE, file=True),
        Said("xen-save-devices-state", {"live": live, "filename": "/dev/fdset/0"}, {}),
    ]


VERBS: dict[str, list[list[Said]]] = {
    "create": [[CHARDEVS], [Said("cont", {}, {})]],
    "list -l": [[CPUS]],
    "unpause": [[Said("cont", {}, {})]],
    "cd-insert": [
        [
            VERSION,
            EJECT,
            Said("add-fd", {"opaque": "raw:/tmp/cd2.iso"}, FILE, file=True),
            Said("blockdev-change-medium", {"id": "ide-5632", "filename": "/dev/fdset/0", "format": "raw"}, {}),
        ]
    ],
    "cd-eject": [[VERSION, EJECT]],
    "qemu-monitor-command": [
        [Said("human-monitor-command", {"command-line": "info status"}, "VM status: running\r\n")]
    ],
    "save, which fails later": [[CPUS], log_dirty(True), save(live=False), log_dirty(False), [Said("cont", {}, {})]],
    "migrate": [[CPUS], log_dirty(True), save(live=True), log_dirty(False)],
}
"""In this order they were said to one device model; but for the save's failure, which has it go on."""


def form(value: Any) -> Any:
    """The kinds of values in `value`; of a list, each element's."""
    if isinstance(value, dict):
        return {key: form(item) for key, item in value.items()}
    if isinstance(value, list):
        return [form(item) for item in value]
    return type(value).__name__
