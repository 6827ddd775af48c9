"""What a machine can be told: commands by name, each a function whose annotated arguments are checked before the call.

    async def snapshot_save(path: str) -> None:
        '''Writes the machine's state to the file `path`.'''

A command is called on the main loop's thread without the machine's lock. One that takes long is a coroutine function,
and does what takes long elsewhere. It returns plain data, None for nothing; a SouthbridgeError's text is what the
client is told. In arguments' names an underscore stands for QMP's hyphen; `**others` takes arguments of any name. An
argument that is annotated as a `Caller` isn't the client's to give: it is who said the command.
"""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from ..discovery import describe
from ..errors import PluginError, SouthbridgeError

GENERIC = "GenericError"
NOT_FOUND = "CommandNotFound"

log = logging.getLogger(__name__)

Function = Callable[..., Any]


class CommandError(Exception):
    """A command failed: `kind` is QMP's error class, the text is for people."""

    def __init__(self, message: str, kind: str = GENERIC) -> None:
        super().__init__(message)
        self.kind = kind


class Caller:
    """A client, as a command sees it: `files` are descriptors that it sent along; whoever takes one owns it."""

    def __init__(self) -> None:
        self.files: deque[int] = deque()


@dataclass(frozen=True)
class Command:
    """One command."""

    name: str
    function: Function

    @property
    def doc(self) -> str:
        """What it does, in a line."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @cached_property
    def arguments(self) -> type[BaseModel]:
        """The model of its arguments. Raises TypeError, NameError... for a function whose annotations make no sense."""
        hints = get_type_hints(self.function, include_extras=True)
        fields: dict[str, Any] = {}
        for name, parameter in inspect.signature(self.function).parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD or hints[name] is Caller:
                continue
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[name] = (hints[name], Field(default, alias=name.replace("_", "-")))
        extra: Literal["allow", "forbid"] = "allow" if self._takes_any else "forbid"
        return create_model(self.name, __config__=ConfigDict(extra=extra, strict=True), **fields)

    @property
    def _takes_any(self) -> bool:
        kinds = [parameter.kind for parameter in inspect.signature(self.function).parameters.values()]
        return inspect.Parameter.VAR_KEYWORD in kinds

    @cached_property
    def _caller(self) -> str | None:
        """The name of the argument that is the caller."""
        hints = get_type_hints(self.function)
        return next((name for name, hint in hints.items() if hint is Caller), None)

    async def run(self, arguments: dict[str, Any], caller: Caller) -> Any:
        """Its result. Raises CommandError."""
        try:
            model = self.arguments.model_validate(arguments)
        except ValidationError as error:
            raise CommandError(_complaint(error)) from None
        try:
            named = {name: getattr(model, name) for name in type(model).model_fields}
            if self._caller is not None:
                named[self._caller] = caller
            result = self.function(**named, **(model.model_extra or {}))
            if inspect.isawaitable(result):
                result = await result
        except SouthbridgeError as error:
            raise CommandError(" ".join(str(error).split())) from None
        except CommandError:
            raise
        except Exception as error:
            log.exception("the command %s failed", self.name)
            raise CommandError(f"{self.name} failed: {describe(error)}") from None
        return {} if result is None else result


class Commands:
    """The commands that there are."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}

    def add(self, name: str, function: Function) -> None:
        """Adds a command. Raises PluginError if the name is taken, or it isn't a function that can be a command."""
        if name in self._commands:
            raise PluginError(f"there are two monitor commands {name!r}")
        command = Command(name, function)
        try:
            _ = command.arguments
        except Exception as error:
            raise PluginError(f"monitor command {name!r}: {describe(error)}") from None
        self._commands[name] = command

    def all(self) -> list[Command]:
        """Every command, by name."""
        return [self._commands[name] for name in sorted(self._commands)]

    async def run(self, name: str, arguments: dict[str, Any], caller: Caller) -> Any:
        """The result of the command `name`. Raises CommandError."""
        command = self._commands.get(name)
        if command is None:
            raise CommandError(f"The command {name} has not been found", NOT_FOUND)
        return await command.run(arguments, caller)


def _complaint(error: ValidationError) -> str:
    """The first of what is wrong with the arguments, in QEMU's words."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"Parameter '{name}' is missing"
    if first["type"] == "extra_forbidden":
        return f"Parameter '{name}' is unexpected"
    return f"Invalid parameter '{name}': {first['msg']}"
