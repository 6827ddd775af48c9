"""Where bytes go: -chardev, -serial, -parallel, -mon, -qmp, -monitor."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ..draft import Draft, Part, Socket
from ..words import OptionError, Words
from .option import Option

MOST_SERIALS = 4


def _chardev(draft: Draft, argument: str) -> None:
    words = Words(argument, "backend")
    backend = words.one_of("backend", _BACKENDS)
    id = words.need("id")
    _add(draft, _BACKENDS[backend](id, words, f"-chardev {argument}"))
    words.end()


def _add(draft: Draft, made: Part | Socket) -> str:
    if made.id in draft.chardevs:
        raise OptionError(f"there are two chardevs {made.id!r}")
    draft.chardevs[made.id] = made
    return made.id


def _socket(id: str, words: Words, option: str) -> Socket:
    made = Socket(id, option, server=words.flag("server"), host=words.take("host"))
    made.wait = words.flag("wait", default=made.server)
    path, descriptor, port = words.take("path"), words.take("fd"), words.take("port")
    if sum(map(bool, (path, descriptor, port))) != 1:
        raise OptionError("expected one of path=..., fd=... and port=...")
    made.path = path or None
    if descriptor:
        made.descriptor = _open_descriptor(descriptor)
    if port:
        made.port = _port(port)
    words.ignore("ipv4", "ipv6", "nodelay", "reconnect", "telnet", "abstract", "tight")
    return made


def _open_descriptor(text: str) -> int:
    try:
        descriptor = int(text)
        os.fstat(descriptor)
    except (ValueError, OSError):
        raise OptionError(f"fd={text}: expected the number of an open descriptor") from None
    return descriptor


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 0xFFFF:
        raise OptionError(f"port={text}: expected a TCP port's number")
    return int(text)


def _file(id: str, words: Words, option: str) -> Part:
    return Part(id, "file", {"path": words.need("path"), "append": words.flag("append")}, option)


def _plain(kind: str) -> Callable[[str, Words, str], Part]:
    return lambda id, words, option: Part(id, kind, {}, option)


_BACKENDS: dict[str, Callable[[str, Words, str], Part | Socket]] = {
    "socket": _socket,
    "file": _file,
    **{kind: _plain(kind) for kind in ("pty", "null", "stdio")},
}


# --- the short form: "file:log", "unix:path,server=on,wait=off" ---------------------------------------------------


def _short(draft: Draft, id: str, text: str, option: str) -> str:
    """The id of the chardev that `text` describes: a new one, called `id`, or the one that it names."""
    kind, _, rest = text.partition(":")
    if kind == "chardev" and rest:
        return rest
    if text in ("pty", "null", "stdio"):
        return _add(draft, Part(id, text, {}, option))
    if kind == "file" and rest:
        return _add(draft, Part(id, "file", {"path": rest}, option))
    if kind == "unix" and rest:
        words = Words(rest, "path")
    elif kind == "tcp" and rest:
        address, _, more = rest.partition(",")
        host, _, port = address.rpartition(":")
        words = Words(f"host={host.strip('[]')},port={port}" + (f",{more}" if more else ""))
    else:
        raise OptionError("expected pty, null, stdio, file:PATH, unix:PATH, tcp:HOST:PORT or chardev:ID")
    made = _add(draft, _socket(id, words, option))
    words.end()
    return made


def _serial(draft: Draft, argument: str) -> None:
    if len(draft.serials) == MOST_SERIALS:
        raise OptionError(f"there are {MOST_SERIALS} serial ports at most")
    port = f"serial{len(draft.serials)}"
    draft.serials.append(None if argument == "none" else _short(draft, port, argument, f"-serial {argument}"))


def _parallel(draft: Draft, argument: str) -> None:
    if argument != "none":
        raise OptionError("there are no parallel ports; expected none")


# --- monitors -----------------------------------------------------------------------------------------------------


def _mon(draft: Draft, argument: str) -> None:
    words = Words(argument, "chardev")
    chardev = words.need("chardev")
    mode = words.one_of("mode", ("control", "readline"), "readline")
    words.ignore("pretty")
    words.end()
    if mode != "control":
        raise OptionError("only mode=control, for programs, is there")
    _monitor(draft, chardev, f"-mon {argument}")


def _monitor(draft: Draft, chardev: str, option: str) -> None:
    """QMP on `chardev`, a socket that nobody else has."""
    there = draft.chardevs.pop(chardev, None)
    if there is None:
        raise OptionError(f"there is no chardev {chardev!r} before this")
    if not isinstance(there, Socket):
        raise OptionError(f"{chardev} is no socket, which a monitor needs")
    if not there.server:
        raise OptionError(f"{chardev}: a monitor's socket must be a server's (server=on)")
    values: dict[str, Any] = {}
    if there.path is not None:
        values["path"] = there.path
    elif there.descriptor is not None:
        values["fd"] = there.descriptor
    else:
        values |= {"host": there.host or "127.0.0.1", "port": there.port}
    draft.monitors.append(Part(chardev, "qmp", values, f"{there.option} {option}"))


def _qmp(draft: Draft, argument: str) -> None:
    id = f"compat_monitor{len(draft.monitors)}"
    _monitor(draft, _short(draft, id, argument, f"-qmp {argument}"), "")


def _human_monitor(draft: Draft, argument: str) -> None:
    if argument != "none":
        raise OptionError("there is no monitor for people; expected none")


OPTIONS = (
    Option("chardev", _chardev, "backend,id=id[,key=value...]", "A back end of a serial port or monitor."),
    Option("serial", _serial, "pty, file:path...", "The next serial port."),
    Option("parallel", _parallel, "none", "Parallel ports: none."),
    Option("mon", _mon, "chardev=id,mode=control", "A QMP monitor on a chardev."),
    Option("qmp", _qmp, "unix:path,server=on,wait=off", "A QMP monitor."),
    Option("monitor", _human_monitor, "none", "A monitor for people: none."),
)
