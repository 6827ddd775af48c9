"""Who tells it what to do while it runs: -mon, -qmp, -qmp-pretty, -monitor, -qtest, -qtest-log."""

from __future__ import annotations

from typing import Any

from ...discovery import load
from ..draft import Draft, Part, Socket
from ..words import OptionError, parsed
from .character import short
from .option import Option

PEOPLES = "hmp"
KINDS = {"control": "qmp", "readline": PEOPLES}


def _mon(draft: Draft, argument: str) -> None:
    words = parsed(argument, "chardev")
    chardev = words.need("chardev")
    mode = words.one_of("mode", KINDS, "readline")
    pretty = words.flag("pretty")
    words.end()
    draft.given.add("monitor")
    add_monitor(draft, KINDS[mode], chardev, f"-mon {argument}", pretty=pretty)


def add_monitor(draft: Draft, kind: str, chardev: str, option: str, *, pretty: bool = False) -> None:
    """A monitor on a chardev; one for people may share it with a serial port. Raises OptionError."""
    there = draft.chardevs.get(chardev)
    if there is None:
        raise OptionError(f"there is no chardev {chardev!r}")
    if kind == PEOPLES and isinstance(there, Part):
        draft.monitors.append(
            Part(f"{chardev}-monitor", kind, {"chardev": chardev}, f"{there.option} {option}".strip())
        )
        return
    values = monitor_values(there)
    if pretty:
        values["pretty"] = True
    for key in values.keys() - load("monitors", kind).properties().keys():
        if key not in ("wait", "pretty"):
            raise OptionError(f"{key}: a monitor can't be had that way")
        draft.note(f"{option or there.option} {key}: has no effect here")
        del values[key]
    del draft.chardevs[chardev]
    draft.monitors.append(Part(chardev, kind, values, f"{there.option} {option}".strip()))


def monitor_values(there: Part | Socket) -> dict[str, Any]:
    """A monitor's properties: where it is. Raises OptionError."""
    if isinstance(there, Part):
        if there.type != "stdio":
            raise OptionError(f"{there.id} is a {there.type}: a monitor needs a socket or stdio")
        return {"stdio": True}
    values = address_of(there)
    if not there.server:
        values["server"] = False
    elif there.wait and there.descriptor is None:
        values["wait"] = True
    return values


def address_of(there: Socket) -> dict[str, Any]:
    """The properties that say where a socket is."""
    if there.path is not None:
        return {"path": there.path}
    if there.descriptor is not None:
        return {"fd": there.descriptor}
    return {"host": there.host or "127.0.0.1", "port": there.port}


def _short(kind: str, option: str, *, pretty: bool, doc: str) -> Option:
    def read(draft: Draft, argument: str) -> None:
        draft.given.add("monitor")
        if argument == "none" or argument.partition(":")[0] in ("null", "vc"):
            return
        id = f"compat_monitor{len(draft.monitors)}"
        chardev = short(draft, id, argument.removeprefix("mon:"), f"-{option} {argument}")
        add_monitor(draft, kind, chardev, "", pretty=pretty)

    return Option(option, read, "unix:path,server=on,wait=off; tcp:...; stdio; none", doc)


def _qtest(draft: Draft, argument: str) -> None:
    if argument == "none":
        return
    option = f"-qtest {argument}"
    made = draft.chardevs.pop(short(draft, "qtest", argument, option), None)
    if isinstance(made, Socket):
        draft.qtest = Part("qtest", "qtest", {**address_of(made), "server": made.server}, option)
        if made.server and made.wait:
            draft.qtest.values["wait"] = True
    elif made is not None and made.type == "stdio":
        draft.qtest = Part("qtest", "qtest", {"stdio": True}, option)
    else:
        raise OptionError("expected unix:PATH, tcp:HOST:PORT, chardev:ID of a socket, or stdio")


def _qtest_log(draft: Draft, argument: str) -> None:
    draft.qtest_log = argument


OPTIONS = (
    Option("mon", _mon, "chardev=id[,mode=control or readline]", "A monitor on a chardev: for programs, or people."),
    _short("qmp", "qmp", pretty=False, doc="A QMP monitor."),
    _short("qmp", "qmp-pretty", pretty=True, doc="A QMP monitor that writes on several lines."),
    _short(PEOPLES, "monitor", pretty=False, doc="A monitor for people."),
    Option("qtest", _qtest, "unix:path, tcp:host:port or stdio", "Where a test drives it from."),
    Option("qtest-log", _qtest_log, "file", "Where what a test says is written down; none."),
)
