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
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

from ..discovery import describe
from ..errors import PluginError, SouthbridgeError
from ..quick_check import UNSURE, makes_sense, quickly

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

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

    def check(self) -> None:
        """Raises TypeError, NameError... for a function whose annotations make no sense."""
        if not all(makes_sense(kind, {}) for kind, _ in self._parameters.values()):
            _ = self._model

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.function, include_extras=True)

    @cached_property
    def _parameters(self) -> dict[str, tuple[Any, Any]]:
        """Type and default of each argument that is the client's to give, by Python's name; `...`: it must be given."""
        return {
            name: (self._hints[name], ... if parameter.default is parameter.empty else parameter.default)
            for name, parameter in inspect.signature(self.function).parameters.items()
            if parameter.kind is not parameter.VAR_KEYWORD and self._hints[name] is not Caller
        }

    @cached_property
    def _model(self) -> type[BaseModel]:
        """The model of its arguments."""
        from pydantic import ConfigDict, Field, create_model

        fields: dict[str, Any] = {
            name: (kind, Field(default, alias=name.replace("_", "-")))
            for name, (kind, default) in self._parameters.items()
        }
        extra: Literal["allow", "forbid"] = "allow" if self._takes_any else "forbid"
        return create_model(self.name, __config__=ConfigDict(extra=extra, strict=True), **fields)

    @cached_property
    def _takes_any(self) -> bool:
        kinds = [parameter.kind for parameter in inspect.signature(self.function).parameters.values()]
        return inspect.Parameter.VAR_KEYWORD in kinds

    @cached_property
    def _caller(self) -> str | None:
        """The name of the argument that is the caller."""
        return next((name for name, hint in self._hints.items() if hint is Caller), None)

    def _checked(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The function's arguments, with what the client gave. Raises CommandError."""
        rest = dict(arguments)
        named: dict[str, Any] = {}
        for name in self._parameters:
            if "_" in name and name in rest:
                raise CommandError(f"Parameter '{name}' is unexpected")
        for name, (kind, default) in self._parameters.items():
            alias = name.replace("_", "-")
            named[name] = quickly(kind, rest.pop(alias), {}) if alias in rest else default
        if any(value is UNSURE or value is ... for value in named.values()) or (rest and not self._takes_any):
            return self._validated(arguments)
        return named | rest

    def _validated(self, arguments: dict[str, Any]) -> dict[str, Any]:
        from pydantic import ValidationError

        try:
            model = self._model.model_validate(arguments)
        except ValidationError as error:
            raise CommandError(complaint(error)) from None
        return {name: getattr(model, name) for name in self._parameters} | (model.model_extra or {})

    async def run(self, arguments: dict[str, Any], caller: Caller) -> Any:
        """Its result. Raises CommandError."""
        named = self._checked(arguments)
        if self._caller is not None:
            named[self._caller] = caller
        try:
            result = self.function(**named)
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
        self.add_own(name, function)
        try:
            self._commands[name].check()
        except Exception as error:
            del self._commands[name]
            raise PluginError(f"monitor command {name!r}: {describe(error)}") from None

    def add_own(self, name: str, function: Function) -> None:
        """Adds one of ours, which tests look at. Raises PluginError if the name is taken."""
        if name in self._commands:
            raise PluginError(f"there are two monitor commands {name!r}")
        self._commands[name] = Command(name, function)

    def all(self) -> list[Command]:
        """Every command, by name."""
        return [self._commands[name] for name in sorted(self._commands)]

    async def run(self, name: str, arguments: dict[str, Any], caller: Caller) -> Any:
        """The result of the command `name`. Raises CommandError."""
        command = self._commands.get(name)
        if command is None:
            raise CommandError(f"The command {name} has not been found", NOT_FOUND)
        return await command.run(arguments, caller)


def complaint(error: ValidationError) -> str:
    """The first of what is wrong with the arguments, in QEMU's words."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"Parameter '{name}' is missing"
    if first["type"] == "extra_forbidden":
        return f"Parameter '{name}' is unexpected"
    return f"Invalid parameter '{name}': {first['msg']}"
