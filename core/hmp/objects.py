"""Words that make and remove what devices use, and that look at the tree of objects (QOM)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..objects import POLLING
from .line import Line
from .values import settings
from .word import Word

if TYPE_CHECKING:
    from .monitor import HumanMonitor

_MEMORY = ("merge", "dump", "prealloc", "share", "reserve", "policy")
"""What `info memdev` shows besides the size."""


async def _netdev_add(monitor: HumanMonitor, line: Line) -> None:
    await monitor.qmp("netdev_add", **settings(line, "type"))


async def _object_add(monitor: HumanMonitor, line: Line) -> None:
    given = settings(line, "qom-type", missing="string expected")
    await monitor.qmp("object-add", **given)


async def _chardev_add(monitor: HumanMonitor, line: Line) -> None:
    given = settings(line, "backend", missing="string expected")
    kind, id = given.pop("backend"), given.pop("id", None)
    await monitor.qmp("chardev-add", id=id, backend={"type": kind, "data": _chardev_data(kind, given)})


def _chardev_data(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """As QMP has it: a socket's address, a file's name."""
    if kind == "file":
        return {"out": given.get("path", ""), **({"append": given["append"]} if "append" in given else {})}
    if kind != "socket":
        return given
    if "path" in given:
        address = {"type": "unix", "data": {"path": given.pop("path")}}
    elif "fd" in given:
        address = {"type": "fd", "data": {"str": str(given.pop("fd"))}}
    else:
        where = {"host": str(given.pop("host", "127.0.0.1")), "port": str(given.pop("port", ""))}
        address = {"type": "inet", "data": where}
    return {"addr": address, **given}


def _by_id(command: str) -> Any:
    """What says a QMP command of an id."""

    async def does(monitor: HumanMonitor, line: Line) -> None:
        id = line.word()
        line.end()
        await monitor.qmp(command, id=id)

    return does


async def _list(monitor: HumanMonitor, line: Line) -> str:
    path = line.optional_word()
    line.end()
    if path is None:
        return "/"
    return "\n".join(f"{found['name']} ({found['type']})" for found in await monitor.qmp("qom-list", path=path))


async def _get(monitor: HumanMonitor, line: Line) -> str:
    path, name = line.word(), line.word()
    line.end()
    return json.dumps(await monitor.qmp("qom-get", path=path, property=name), indent=4)


async def _set(monitor: HumanMonitor, line: Line) -> None:
    as_json = line.flag("j")
    path, name = line.word(), line.word()
    text = line.word() if line.peek() == '"' else line.rest() or line.word()
    value: Any = text
    if as_json or text in ("true", "false", "on", "off") or text.lstrip("-").isdecimal():
        try:
            value = json.loads({"on": "true", "off": "false"}.get(text, text))
        except ValueError:
            value = text
    await monitor.qmp("qom-set", path=path, property=name, value=value)


async def _memdev(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    lines: list[str] = []
    for memory in await monitor.qmp("query-memdev"):
        lines += [f"memory backend: {memory.get('id', '')}", f"  size:  {memory['size']}"]
        lines += [f"  {name}: {_shown(memory[name])}" for name in _MEMORY if name in memory]
        lines.append(f"  host nodes: {','.join(map(str, memory['host-nodes']))}\n")
    return "\n".join(lines) + "\n"


async def _iothreads(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    lines: list[str] = []
    for thread in await monitor.qmp("query-iothreads"):
        lines += [f"{thread['id']}:", f"  thread_id={thread['thread-id']}"]
        lines += [f"  {name}={thread[name]}" for name in POLLING]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


WORDS = (
    Word(("netdev_add",), "type,id=str[,prop=value][,...]", "add host network device", _netdev_add),
    Word(("netdev_del",), "id", "remove host network device", _by_id("netdev_del"), "netdevs"),
    Word(("chardev-add",), "backend,id=str[,prop=value][,...]", "add chardev", _chardev_add),
    Word(("chardev-remove",), "id", "remove chardev", _by_id("chardev-remove"), "chardevs"),
    Word(("object_add",), "type,id=str[,prop=value][,...]", "create an object", _object_add),
    Word(("object_del",), "id", "destroy an object", _by_id("object-del")),
    Word(("qom-list",), "[path]", "list the properties of an object", _list),
    Word(("qom-get",), "path property", "print a property of an object", _get),
    Word(("qom-set",), "[-j] path property value", "set a property of an object (-j: as JSON)", _set),
)
TOPICS = (
    Word(("memdev",), "", "show memory backends", _memdev),
    Word(("iothreads",), "", "show iothread's information", _iothreads),
)
