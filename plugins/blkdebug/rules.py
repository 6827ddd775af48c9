"""The rules of blkdebug, in the form of QEMU's configuration (its docs/devel/blkdebug).

    [inject-error]
    event = "read_aio"
    errno = "5"

or, one rule a line of a description, `inject-error event=read_aio errno=5`.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from southbridge.discovery import nearest
from southbridge.errors import SouthbridgeError

EVENTS = ("none", "read_aio", "write_aio", "flush_to_os", "flush_to_disk", "pwritev", "pwritev_done")
"""The points that a request to an image passes."""
OPERATIONS = ("read", "write", "flush")
_HEADING = re.compile(r"\[([\w-]+)\]")
_SETTING = re.compile(r'([\w-]+)\s*=\s*"([^"]*)"')
_KEYS = {
    "inject-error": ("event", "state", "errno", "sector", "once", "immediately", "iotype", "short"),
    "set-state": ("event", "state", "new_state"),
}
_ON = ("on", "yes", "true")


class InjectError(NamedTuple):
    """From `event` in `state` (0: any) on, requests of kind `operation` ("": any) about `sector` (None: any) fail.

    With `errno`; or, if they are `short`, half of what is read comes. `once`: only the first.
    """

    event: str
    state: int = 0
    errno: int = errno.EIO
    sector: int | None = None
    once: bool = False
    operation: str = ""
    short: bool = False


class SetState(NamedTuple):
    """At `event` in `state` (0: any) the state becomes `new`."""

    event: str
    state: int
    new: int


Rule = InjectError | SetState


def rules_of_file(text: str) -> list[Rule]:
    """The rules in a configuration file. Raises SouthbridgeError, naming the line."""
    return [_rule(kind, values, f"line {number}") for kind, values, number in _sections(text)]


def rules_of_lines(lines: Iterable[str]) -> list[Rule]:
    """The rules in lines `kind key=value...`. Raises SouthbridgeError, naming the rule."""
    found = []
    for line in lines:
        kind, *words = line.split() or [""]
        pairs = [word.partition("=") for word in words]
        found.append(_rule(kind, {key: value for key, _, value in pairs}, repr(line)))
    return found


def _sections(text: str) -> Iterator[tuple[str, dict[str, str], int]]:
    kind, values, first = "", dict[str, str](), 0
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if heading := _HEADING.fullmatch(line):
            if kind:
                yield kind, values, first
            kind, values, first = heading[1], {}, number
        elif (setting := _SETTING.fullmatch(line)) and kind:
            values[setting[1]] = setting[2]
        else:
            raise SouthbridgeError(
                f'line {number}: expected [inject-error], [set-state] or key = "value", not {line!r}'
            )
    if kind:
        yield kind, values, first


def _rule(kind: str, values: Mapping[str, str], where: str) -> Rule:
    if kind not in _KEYS:
        raise SouthbridgeError(f"{where}: there is no rule {kind!r}{nearest(kind, _KEYS)}")
    for key in values:
        if key not in _KEYS[kind]:
            raise SouthbridgeError(f"{where}: {kind} has no {key!r}{nearest(key, _KEYS[kind])}")
    event = values.get("event", "none")
    if event not in EVENTS:
        raise SouthbridgeError(f"{where}: there is no event {event!r}{nearest(event, EVENTS) or f' ({EVENTS})'}")
    state = _number(values, "state", 0, where)
    if kind == "set-state":
        return SetState(event, state, _number(values, "new_state", 0, where))
    operation = values.get("iotype", "")
    if operation and operation not in OPERATIONS:
        raise SouthbridgeError(f"{where}: iotype={operation}: expected {', '.join(OPERATIONS)}")
    sector = _number(values, "sector", -1, where)
    return InjectError(
        event,
        state,
        _number(values, "errno", errno.EIO, where),
        None if sector < 0 else sector,
        values.get("once") in _ON,
        operation,
        values.get("short") in _ON,
    )


def _number(values: Mapping[str, str], key: str, default: int, where: str) -> int:
    try:
        return int(values.get(key, default))
    except ValueError:
        raise SouthbridgeError(f"{where}: {key}={values[key]}: expected a number") from None
