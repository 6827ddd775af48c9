"""What a machine can be told: commands by name, each a function whose annotated arguments are checked before the call.

    async def snapshot_save(path: str) -> None:
        '''Writes the machine's state to the file `path`.'''

A command is called on the main loop's thread without the machine's lock. One that takes long is a coroutine function,
and does what takes long elsewhere. It returns plain data, None for nothing; a SouthbridgeError's text is what the
client is told. In arguments' names an underscore stands for QMP's hyphen; a positional-only argument is all that the
client gives, as one dictionary; `**others` takes arguments of any name. An argument that is annotated as a `Caller`
isn't the client's to give: it is who said the command. `qapi` says which annotations there are; they are also what
query-qmp-schema tells.
"""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..discovery import describe
from ..errors import PluginError, SouthbridgeError
from .qapi import NOTHING, Invalid, Kind, Member, Object, kind_of

GENERIC = "GenericError"
NOT_FOUND = "CommandNotFound"
NEGOTIATION = "qmp_capabilities"
DEVICE_NOT_FOUND = "DeviceNotFound"
NOT_ACTIVE = "DeviceNotActive"

log = logging.getLogger(__name__)

Function = Callable[..., Any]
AnyFunction = TypeVar("AnyFunction", bound=Function)


class CommandError(Exception):
    """A command failed: `kind` is QMP's error class, the text is for people."""

    def __init__(self, message: str, kind: str = GENERIC) -> None:
        super().__init__(message)
        self.kind = kind


def early(function: AnyFunction) -> AnyFunction:
    """Marks a command that is also accepted before the machine is set up (`-preconfig`)."""
    vars(function)["early"] = True
    return function


def out_of_band(function: AnyFunction) -> AnyFunction:
    """Marks a command that a client may have run before others that it gave earlier. It must be quick."""
    vars(function)["out_of_band"] = True
    return function


class Caller:
    """A client, as a command sees it: `files` are descriptors that it sent along; whoever takes one owns it."""

    def __init__(self) -> None:
        self.files: deque[int] = deque()
        self.capabilities: frozenset[str] | None = None
        """What it negotiated; None before that: it may give no other command then, and hears no events."""


@early
def qmp_capabilities(caller: Caller, enable: list[Literal["oob"]] | None = None) -> None:
    """Must come first: which of the capabilities that the greeting offers the client wants to use."""
    if caller.capabilities is not None:
        raise CommandError("Capabilities negotiation is already complete, command ignored", NOT_FOUND)
    caller.capabilities = frozenset(enable or ())


@dataclass(repr=False, eq=False)
class Command:
    """One command. `make` gives its function, once somebody needs that."""

    name: str
    make: Callable[[], Function]

    @cached_property
    def function(self) -> Function:
        """What it does."""
        return self.make()

    @property
    def doc(self) -> str:
        """What it does, in a line."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def early(self) -> bool:
        """Whether it is accepted before the machine is set up."""
        return getattr(self.function, "early", False)

    @property
    def out_of_band(self) -> bool:
        """Whether it may be run before others that came earlier."""
        return getattr(self.function, "out_of_band", False)

    def check(self) -> None:
        """Raises TypeError, NameError... for a function whose annotations make no sense."""
        _ = self.arguments, self.result

    @cached_property
    def arguments(self) -> Object:
        """What the client gives."""
        if self._whole is not None:
            kind = kind_of(self._hints[self._whole])
            if not isinstance(kind, Object):
                raise TypeError(f"{self._whole}: expected a TypedDict, or a union of some")
            return kind
        members = [
            Member(name.replace("_", "-"), *_argument(self._hints[name], parameter.default))
            for name, parameter in self._parameters.items()
        ]
        return Object(members, open=self._takes_any) if members or self._takes_any else NOTHING

    @cached_property
    def result(self) -> Kind:
        """What it returns."""
        annotation = self._hints.get("return")
        return NOTHING if annotation in (None, type(None)) else kind_of(annotation)

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.function, include_extras=True)

    @cached_property
    def _signature(self) -> dict[str, Parameter]:
        return dict(inspect.signature(self.function).parameters)

    @cached_property
    def _parameters(self) -> dict[str, Parameter]:
        """Each argument that is the client's to give, by Python's name."""
        return {
            name: parameter
            for name, parameter in self._signature.items()
            if parameter.kind is not Parameter.VAR_KEYWORD and self._hints[name] is not Caller
        }

    @cached_property
    def _whole(self) -> str | None:
        """The name of the argument that is all that the client gives."""
        found = (name for name, one in self._parameters.items() if one.kind is Parameter.POSITIONAL_ONLY)
        return next(found, None)

    @cached_property
    def _takes_any(self) -> bool:
        return any(parameter.kind is Parameter.VAR_KEYWORD for parameter in self._signature.values())

    @cached_property
    def _caller(self) -> str | None:
        """The name of the argument that is the caller."""
        return next((name for name, hint in self._hints.items() if hint is Caller), None)

    def _call(self, arguments: dict[str, Any], caller: Caller) -> Any:
        others = {} if self._caller is None else {self._caller: caller}
        if self._whole is not None:
            return self.function(arguments, **others)
        python = {name.replace("_", "-"): name for name in self._parameters}
        return self.function(**{python.get(name, name): value for name, value in arguments.items()}, **others)

    async def run(self, arguments: dict[str, Any], caller: Caller) -> Any:
        """Its result. Raises CommandError."""
        try:
            self.arguments.check(arguments, "")
            for name in self._parameters:
                if "_" in name and name in arguments:
                    raise Invalid(f"Parameter '{name}' is unexpected")
        except Invalid as error:
            raise CommandError(str(error)) from None
        try:
            result = self._call(arguments, caller)
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


def _argument(hint: Any, default: Any) -> tuple[Kind, bool]:
    """The type of an argument, and whether it is optional. None stands for one that isn't given."""
    optional = default is not Parameter.empty
    if optional and default is None and get_origin(hint) in (Union, UnionType):
        hint = Union[tuple(kind for kind in get_args(hint) if kind is not type(None))]  # noqa: UP007
    return kind_of(hint), optional


class Commands:
    """The commands that there are."""

    def __init__(self) -> None:
        self._commands = {NEGOTIATION: Command(NEGOTIATION, lambda: qmp_capabilities)}
        self.waiting: Callable[[], bool] = lambda: False
        """Whether the machine isn't set up yet: only `early` commands are accepted then."""

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
        self.add_later(name, lambda: function)

    def add_later(self, name: str, make: Callable[[], Function]) -> None:
        """The same for one that `make` gives when it is needed."""
        if name in self._commands:
            raise PluginError(f"there are two monitor commands {name!r}")
        self._commands[name] = Command(name, make)

    def all(self) -> list[Command]:
        """Every command, by name."""
        return [self._commands[name] for name in sorted(self._commands)]

    def find(self, name: str) -> Command:
        """The command `name`. Raises CommandError."""
        command = self._commands.get(name)
        if command is None:
            raise CommandError(f"The command {name} has not been found", NOT_FOUND)
        return command

    async def run(self, name: str, arguments: dict[str, Any], caller: Caller) -> Any:
        """The result of the command `name`. Raises CommandError."""
        command = self.find(name)
        if self.waiting() and not command.early:
            raise CommandError(f"The command '{name}' is permitted only after machine initialization has completed")
        return await command.run(arguments, caller)
