"""Words about drives and what lies in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .line import Line
from .word import Word

if TYPE_CHECKING:
    from .monitor import HumanMonitor

NAME = "block device name expected"
_MODES = ("retain", "read-only", "read-write")


async def _eject(monitor: HumanMonitor, line: Line) -> None:
    force = line.flag("f")
    device = line.word(NAME)
    line.end()
    await monitor.qmp("eject", device=device, force=force)


async def _change(monitor: HumanMonitor, line: Line) -> str | None:
    device, target = line.word(NAME), line.word("filename expected")
    format, mode = line.optional_word(), line.optional_word()
    line.end()
    if device == "vnc":
        if target not in ("password", "passwd"):
            return "Error: Expected 'password' after 'vnc'"
        await monitor.qmp("change-vnc-password", password=format or "")
        return None
    if mode is not None and mode not in _MODES:
        return f"Error: invalid parameter value: {mode}"
    values = {"device": device, "filename": target, "format": format, "read-only-mode": mode}
    await monitor.qmp("blockdev-change-medium", **values)
    return None


async def _block(monitor: HumanMonitor, line: Line) -> str:
    wanted = line.optional_word()
    line.end()
    found: list[str] = []
    for drive in await monitor.qmp("query-block"):
        if wanted in (None, drive["device"]):
            found.append(_drive(drive))
    return "\n\n".join(found)


def _drive(drive: Any) -> str:
    name = drive["device"] or drive.get("qdev", "")
    inserted = drive.get("inserted")
    if inserted is None:
        lines = [f"{name}: [not inserted]"]
    else:
        node = f" ({inserted['node-name']})" if inserted.get("node-name") else ""
        readonly = ", read-only" if inserted["ro"] else ""
        lines = [f"{name}{node}: {inserted['file']} ({inserted['drv']}{readonly})"]
    if drive.get("qdev"):
        lines.append(f"    Attached to:      {drive['qdev']}")
    if drive["removable"]:
        lock = "locked" if drive["locked"] else "not locked"
        lines.append(f"    Removable device: {lock}, tray {'open' if drive.get('tray_open') else 'closed'}")
    if inserted is not None:
        cache = inserted["cache"]
        words = ["writeback" if cache["writeback"] else "writethrough", *(["direct"] if cache["direct"] else [])]
        lines.append(f"    Cache mode:       {', '.join(words)}")
    return "\n".join(lines)


WORDS = (
    Word(("eject",), "[-f] device", "eject a removable medium (use -f to force it)", _eject, "drives"),
    Word(("change",), "device filename [format [read-only-mode]]", "change a removable medium", _change, "drives"),
)
TOPICS = (Word(("block",), "[device]", "show info of one block device or all block devices", _block, "drives"),)
