"""Where bytes go: -chardev, -serial, -parallel, -debugcon."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..draft import Draft, Part, Socket
from ..words import OptionError, Words, parsed
from .option import Option

MOST_SERIALS = 4
MUX = "mon:"
"""Before a character device: a monitor for people shares it."""


def _chardev(draft: Draft, argument: str) -> None:
    words = parsed(argument, "backend")
    if words.peek("backend") and argument in ("help", "?"):
        draft.ask("chardev")
        return
    backend = words.one_of("backend", _BACKENDS)
    id = words.need("id")
    add_chardev(draft, _BACKENDS[backend](id, words, f"-chardev {argument}"))
    for key in words.ignore("logfile", "logappend", "signal", "cols", "rows", "width", "height"):
        draft.note(f"-chardev {key}=...: has no effect here")
    words.ignore("mux")  # a monitor may share any `stdio`, and nothing else
    words.end()


def add_chardev(draft: Draft, made: Part | Socket) -> str:
    """Adds a chardev to the draft; gives its id. Raises OptionError if there is one of that id."""
    if made.id in draft.chardevs:
        raise OptionError(f"there are two chardevs {made.id!r}")
    draft.chardevs[made.id] = made
    return made.id


def socket_of(id: str, words: Words, option: str) -> Socket:
    """A socket, as -chardev socket,... has it."""
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
    words.ignore("ipv4", "ipv6", "delay", "nodelay", "reconnect", "telnet", "abstract", "tight", "to")
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
    "socket": socket_of,
    "file": _file,
    "serial": lambda id, words, option: Part(id, "file", {"path": words.need("path"), "append": True}, option),
    **{kind: _plain(kind) for kind in ("pty", "null", "stdio")},
    "vc": _plain("null"),
}
BACKENDS = tuple(_BACKENDS)


# --- the short form: "file:log", "unix:path,server=on,wait=off" ---------------------------------------------------


def short(draft: Draft, id: str, text: str, option: str) -> str:
    """The id of the chardev that `text` describes: a new one, called `id`, or the one that it names."""
    kind, _, rest = text.partition(":")
    if kind == "chardev" and rest:
        return rest
    if text in ("pty", "null", "stdio"):
        return add_chardev(draft, Part(id, text, {}, option))
    if kind == "vc":  # a text screen of a graphical display, which nobody looks at
        return add_chardev(draft, Part(id, "null", {}, option))
    if kind == "file" and rest:
        return add_chardev(draft, Part(id, "file", {"path": rest}, option))
    if text.startswith("/dev/"):
        return add_chardev(draft, Part(id, "file", {"path": text, "append": True}, option))
    made = short_socket(id, text, option)
    if made is None:
        raise OptionError("expected pty, null, stdio, vc, file:PATH, unix:PATH, tcp:HOST:PORT, fd:N or chardev:ID")
    return add_chardev(draft, made)


def short_socket(id: str, text: str, option: str) -> Socket | None:
    """The socket that `text` describes; None if it is none."""
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest:
        words = Words(rest, "path")
    elif kind == "fd" and rest:
        words = Words(rest, "fd")
    elif kind in ("tcp", "telnet") and rest:
        address, _, more = rest.partition(",")
        host, _, port = address.rpartition(":")
        words = Words(f"host={host.strip('[]')},port={port}" + (f",{more}" if more else ""))
    else:
        return None
    made = socket_of(id, words, option)
    words.end()
    return made


def _serial(draft: Draft, argument: str) -> None:
    if len(draft.serials) == MOST_SERIALS:
        raise OptionError(f"there are {MOST_SERIALS} serial ports at most")
    draft.given.add("serial")
    port = f"serial{len(draft.serials)}"
    if argument == "none":
        draft.serials.append(None)
        return
    text = argument.removeprefix(MUX)
    chardev = short(draft, port, text, f"-serial {argument}")
    draft.serials.append(chardev)
    if text != argument:
        from .monitors import PEOPLES, add_monitor  # which import this

        draft.given.add("monitor")
        add_monitor(draft, PEOPLES, chardev, f"-serial {argument}")


def _parallel(draft: Draft, argument: str) -> None:
    if argument not in ("none", "null") and not argument.startswith("vc"):
        raise OptionError("there are no parallel ports; expected none")


def _debug_console(draft: Draft, argument: str) -> None:
    option = f"-debugcon {argument}"
    chardev = short(draft, "debugcon", argument, option)
    draft.devices.append(Part("debugcon", "debugcon", {"iobase": 0xE9, "chardev": chardev}, option))


OPTIONS = (
    Option("chardev", _chardev, "backend,id=id[,key=value...]", f"Where bytes go: {', '.join(BACKENDS)}; help."),
    Option("serial", _serial, "pty, stdio, mon:stdio, file:path...", "The next serial port."),
    Option("parallel", _parallel, "none", "Parallel ports: none."),
    Option("debugcon", _debug_console, "stdio, file:path...", "A port, E9h, whose bytes go there."),
)
