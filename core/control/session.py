"""A conversation with one client in QMP's form, on whatever transport: bytes in, messages out.

Like QEMU's (docs/interop/qmp-spec): the server greets; nothing is accepted before `qmp_capabilities`; a message's `id`
is echoed; a message ends where its braces are closed, whether or not a line does.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ..qmp.version import version
from ..units import KiB
from .commands import NEGOTIATION, NOT_FOUND, Caller, CommandError, Commands

Message = dict[str, Any]
Render = Callable[[Message], bytes]

LONGEST_MESSAGE = 64 * KiB
BACKSLASH, NEWLINE = b"\\\n"

_TOKEN = re.compile(r"""[^"']+|"(?:[^"\\]|\\.)*"|'((?:[^'\\]|\\.)*)'""", re.DOTALL)
_PART = re.compile(r"\\.|\"", re.DOTALL)
_IN_STRING = re.compile(rb"""[\\"'\n]""")
_OUTSIDE = re.compile(rb"""[][{}"'\n]""")
_EMPTY = re.compile(r'^( *)("(?:[^"\\]|\\.)*": )?([\[{])([]}])(,?)$', re.MULTILINE)
"""In pretty JSON, a line that ends with an empty array or object."""
_NO_CHARACTER = re.compile("[\ud800-\udfff]")
OUT_OF_BAND = "oob"
"""The capability."""


class Splitter:
    """Cuts what a client sends into messages. It holds no more than the longest message and one piece of input."""

    def __init__(self, longest: int = LONGEST_MESSAGE) -> None:
        self._longest = longest
        self._buffer = bytearray()
        self._position = 0
        """Where nothing was looked at yet."""
        self._depth = 0
        self._quote = 0
        """What ends the string that we are in, or 0."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Each message that ends in `data`; what is none, up to the line's end. Raises CommandError if too long."""
        self._buffer += data
        while (found := self._special().search(self._buffer, self._position)) is not None:
            at = found.start()
            ended = self._pass(self._buffer[at], at)
            if ended is None:
                break
            self._position = at + 2 if self._buffer[at] == BACKSLASH else at + 1
            if ended:
                text = bytes(self._buffer[: self._position])
                del self._buffer[: self._position]
                self._position = self._depth = self._quote = 0
                if text.strip():
                    yield text
        else:
            self._position = max(self._position, len(self._buffer))
        if len(self._buffer) > self._longest:
            raise CommandError(f"JSON parse error, a message is longer than {self._longest} bytes")

    def _special(self) -> re.Pattern[bytes]:
        return _IN_STRING if self._quote else _OUTSIDE

    def _pass(self, character: int, at: int) -> bool | None:
        """Whether the message ends with this character, found at `at`. None: more must come before that is known."""
        if self._quote:
            if character == BACKSLASH:
                return None if at + 1 == len(self._buffer) else False
            if character == self._quote:
                self._quote = 0
            return character == NEWLINE  # no string goes on there
        if character == NEWLINE:
            return not self._depth
        if character in b"\"'":
            self._quote = character
        elif character in b"{[":
            self._depth += 1
        else:
            self._depth -= 1
            return self._depth <= 0
        return False


class Request(NamedTuple):
    """What a client asks for: a command. `urgent`: out of band, before others that came earlier."""

    command: str
    arguments: Message
    urgent: bool
    echoed: Message
    """Its `id`, if it has one."""


class Refused(NamedTuple):
    """What a client said is no request; this is the answer."""

    answer: Message


class Session:
    """One client's conversation. `commands` is what it may say."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self.caller = Caller()

    @property
    def ready(self) -> bool:
        """Capabilities are negotiated: commands are accepted, and events may be sent."""
        return self.caller.capabilities is not None

    @property
    def out_of_band(self) -> bool:
        """The client may have commands run before others that it gave earlier."""
        return OUT_OF_BAND in (self.caller.capabilities or ())

    def greeting(self) -> Message:
        """What the client hears first."""
        return {"QMP": {"version": version(), "capabilities": [OUT_OF_BAND]}}

    def request(self, text: bytes) -> Request | Refused:
        """What a message of the client's says."""
        message: Any = None
        try:
            message = parse(text)
            return self._understood(message)
        except CommandError as error:
            return Refused(refusal(error) | _echoed(message))

    async def answer(self, request: Request | Refused) -> Message:
        """The answer to it."""
        if isinstance(request, Refused):
            return request.answer
        try:
            return {"return": await self._run(request)} | request.echoed
        except CommandError as error:
            return refusal(error) | request.echoed

    def _understood(self, message: Any) -> Request:
        if not isinstance(message, dict):
            raise CommandError("QMP input must be a JSON object")
        members = {"execute", "arguments", "id"} | ({"exec-oob"} if self.out_of_band else set())
        for member in message:
            if member not in members:
                raise CommandError(f"QMP input member '{member}' is unexpected")
        said = [member for member in ("execute", "exec-oob") if member in message]
        if not said:
            raise CommandError("QMP input lacks member 'execute'")
        if len(said) > 1:
            raise CommandError("QMP input member 'exec-oob' clashes with 'execute'")
        name, arguments = message[said[0]], message.get("arguments", {})
        if not isinstance(name, str):
            raise CommandError(f"QMP input member '{said[0]}' must be a string")
        if not isinstance(arguments, dict):
            raise CommandError("QMP input member 'arguments' must be an object")
        return Request(name, arguments, said[0] == "exec-oob", _echoed(message))

    async def _run(self, request: Request) -> Any:
        if not self.ready and request.command != NEGOTIATION:
            raise CommandError(f"Expecting capabilities negotiation with '{NEGOTIATION}'", NOT_FOUND)
        if request.urgent and not self._commands.find(request.command).out_of_band:
            raise CommandError(f"The command {request.command} does not support OOB")
        return await self._commands.run(request.command, request.arguments, self.caller)


def _echoed(message: Any) -> Message:
    return {"id": message["id"]} if isinstance(message, dict) and "id" in message else {}


def event(name: str, data: Message | None = None) -> Message:
    """An event that happens now."""
    seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
    message: Message = {"event": name, "timestamp": {"seconds": seconds, "microseconds": microseconds}}
    return message | ({"data": data} if data else {})


def refusal(error: CommandError) -> Message:
    """What a client is told of `error`."""
    return {"error": {"class": error.kind, "desc": str(error)}}


def render(message: Message) -> bytes:
    """`message` as it is sent: ASCII, a line."""
    return json.dumps(message).encode("ascii") + b"\r\n"


def render_pretty(message: Message) -> bytes:
    """`message` on several lines, as QEMU has it: what is empty is on two of them."""
    text = _EMPTY.sub(r"\1\2\3\n\1\4\5", json.dumps(message, indent=4))
    return text.replace("\n", "\r\n").encode("ascii") + b"\r\n"


def parse(data: bytes) -> Any:
    """What a message says: JSON, in which strings may also have single quotes. Raises CommandError."""
    try:
        text = data.decode("utf-8")
        if "'" in text:
            text = _double_quoted(text)
        message = json.loads(text, parse_constant=_no_number)
        if "\\u" in text:
            _check_texts(message)
        return message
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CommandError(f"JSON parse error, {reason}") from None


def _check_texts(value: Any) -> None:
    """Raises ValueError for a text with a character that there isn't."""
    if isinstance(value, str):
        wrong = _NO_CHARACTER.search(value)
        if wrong is not None:
            raise ValueError(f"\\u{ord(wrong[0]):04x} is not a valid Unicode character")
    elif isinstance(value, dict | list):
        for item in value:
            _check_texts(item)
        for item in value.values() if isinstance(value, dict) else ():
            _check_texts(item)


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
