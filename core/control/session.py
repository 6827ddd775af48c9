"""A conversation with one client in QMP's form, on whatever transport: text lines in, messages out.

Like QEMU's (docs/interop/qmp-spec): the server greets; nothing is accepted before `qmp_capabilities`; a message's `id`
is echoed. Unlike QEMU's parser, which takes objects from a stream, ours wants each on a line of its own.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

from .. import __version__
from .commands import NOT_FOUND, CommandError, Commands

Message = dict[str, Any]

_TOKEN = re.compile(r"""[^"']+|"(?:[^"\\]|\\.)*"|'((?:[^'\\]|\\.)*)'""", re.DOTALL)
_PART = re.compile(r"\\.|\"", re.DOTALL)
_MEMBERS = ("execute", "arguments", "id")


class Session:
    """One client's conversation. `commands` is what it may say."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self.ready = False
        """Capabilities are negotiated: commands are accepted, and events may be sent."""

    def greeting(self) -> Message:
        """What the client hears first."""
        major, minor, micro = (int(part) for part in __version__.split(".")[:3])
        version = {"qemu": {"major": major, "minor": minor, "micro": micro}, "package": ""}
        return {"QMP": {"version": version, "capabilities": []}}

    async def answer(self, line: bytes) -> Message | None:
        """The answer to a line of the client's; None to an empty one."""
        message: Any = None
        try:
            if not line.strip():
                return None
            message = parse(line)
            answer: Message = {"return": await self._run(message)}
        except CommandError as error:
            answer = {"error": {"class": error.kind, "desc": str(error)}}
        if isinstance(message, dict) and "id" in message:
            answer["id"] = message["id"]
        return answer

    async def _run(self, message: Any) -> Any:
        if not isinstance(message, dict):
            raise CommandError("QMP input must be a JSON object")
        for member in message:
            if member not in _MEMBERS:
                raise CommandError(f"QMP input member '{member}' is unexpected")
        name, arguments = message.get("execute"), message.get("arguments", {})
        if name is None:
            raise CommandError("QMP input lacks member 'execute'")
        if not isinstance(name, str):
            raise CommandError("QMP input member 'execute' must be a string")
        if not isinstance(arguments, dict):
            raise CommandError("QMP input member 'arguments' must be an object")
        if name == "qmp_capabilities":
            return self._negotiate(arguments)
        if not self.ready:
            raise CommandError("Expecting capabilities negotiation with 'qmp_capabilities'", NOT_FOUND)
        return await self._commands.run(name, arguments)

    def _negotiate(self, arguments: Message) -> Message:
        if self.ready:
            raise CommandError("Capabilities negotiation is already complete, command ignored", NOT_FOUND)
        for name in arguments:
            if name != "enable":
                raise CommandError(f"Parameter '{name}' is unexpected")
        wanted = arguments.get("enable", [])
        if not isinstance(wanted, list):
            raise CommandError("Invalid parameter type for 'enable', expected: array")
        if wanted:
            raise CommandError(f"Capability {wanted[0]!r} not available")
        self.ready = True
        return {}


def event(name: str, data: Message | None = None) -> Message:
    """An event that happens now."""
    seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
    message: Message = {"event": name, "timestamp": {"seconds": seconds, "microseconds": microseconds}}
    return message | ({"data": data} if data else {})


def render(message: Message) -> bytes:
    """`message` as it is sent: ASCII, a line."""
    return json.dumps(message).encode("ascii") + b"\r\n"


def parse(line: bytes) -> Any:
    """What a line says: JSON, in which strings may also have single quotes. Raises CommandError."""
    try:
        text = line.decode("utf-8")
        if "'" in text:
            text = _double_quoted(text)
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CommandError(f"JSON parse error, {reason}") from None


def _double_quoted(text: str) -> str:
    """`text` with double quotes where strings have single ones."""
    parts: list[str] = []
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:  # not tried again further on: that would take time that grows with the square of the length
            raise ValueError(f"a string that doesn't end: char {position}")
        inside = token[1]
        parts.append(token[0] if inside is None else f'"{_PART.sub(_escaped, inside)}"')
        position = token.end()
    return "".join(parts)


def _escaped(part: re.Match[str]) -> str:
    return {"\\'": "'", '"': '\\"'}.get(part[0], part[0])


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
