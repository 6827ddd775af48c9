"""Components: a device, or a part of one (a channel, a chip), with its registers, state and timers.

All of it is declared in the class body:

    class Channel(Component):
        COUNT = Channel.ports.register(...)             # a register
        mode: int = State(0, ge=0, le=5, doc="...")     # state beyond the registers

        @timer
        def expire(self) -> None: ...                   # self.expire.after(us=5), self.expire.cancel()

    class Pit(Device):
        channels: list[Channel] = Parts(Channel, 3)     # parts

From the declarations come reset, `save` and `load`. What is loaded is validated before any of it takes effect.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Generic, ParamSpec, overload

from .banks import Bank, WindowSpec
from .clock import Timer
from .errors import SouthbridgeError
from .properties import declared_type
from .registers import RegisterSpec

if TYPE_CHECKING:
    from pydantic import BaseModel

    from .clock import Clock
    from .device import Device

P = ParamSpec("P")


class StateSpec:
    """The declaration of a piece of state: its value after reset, and what a restored value must satisfy."""

    def __init__(self, default: Any, keep: bool, doc: str, constraints: dict[str, Any]) -> None:
        self.default = default
        self.keep = keep
        self.doc = doc
        self.constraints = constraints


def State(default: Any, *, keep: bool = False, doc: str = "", **constraints: Any) -> Any:
    """Declares a piece of state, with its value after a reset; `keep`: a reset doesn't change it.

    A restored value must satisfy the annotation and the `constraints` (pydantic's: `ge`, `le`, `max_length`...).
    """
    return StateSpec(default, keep, doc, constraints)


class PartsSpec:
    """The declaration of a component's part, or of a list of them whose `count` may be left open."""

    def __init__(self, make: type[Component], count: int | None, *, several: bool) -> None:
        self.make = make
        self.count = count
        self.several = several


def Part(make: type[Component]) -> Any:
    """Declares a part."""
    return PartsSpec(make, None, several=False)


def Parts(make: type[Component], count: int | None = None) -> Any:
    """Declares a list of `count` like parts. None: the device makes them by `make_parts` while it is realized."""
    return PartsSpec(make, count, several=True)


class BoundTimer(Timer, Generic[P]):
    """A component's timer, which can also be called as the plain method."""

    __slots__ = ()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Runs the method now, without touching the deadline."""
        self.call(*args, **kwargs)


class TimerSpec(Generic[P]):
    """A method that is called by the clock. In an object, the attribute is its `BoundTimer`."""

    def __init__(self, method: Callable[Concatenate[Any, P], None]) -> None:
        self.method = method
        self.name = method.__name__
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> TimerSpec[P]: ...

    @overload
    def __get__(self, instance: Component, owner: type) -> BoundTimer[P]: ...

    def __get__(self, instance: Component | None, owner: type) -> TimerSpec[P] | BoundTimer[P]:
        if instance is None:
            return self
        bound: BoundTimer[P] = BoundTimer(instance.device.machine.clock, self.method.__get__(instance))
        vars(instance)[self.name] = bound
        return bound


def timer(method: Callable[Concatenate[Any, P], None]) -> TimerSpec[P]:
    """Makes a method a timer: `self.METHOD.after(us=..., argument=...)` has it called then. Saved with the state."""
    return TimerSpec(method)


class Component:
    """Something with registers, state, timers and parts, in a device.

    What several base classes declare under the same name is what the first of them says.
    """

    register_specs: ClassVar[list[RegisterSpec]] = []
    window_specs: ClassVar[list[WindowSpec]] = []
    bank_specs: ClassVar[list[Bank]] = []
    state_specs: ClassVar[dict[str, StateSpec]] = {}
    timer_specs: ClassVar[list[str]] = []
    part_specs: ClassVar[dict[str, PartsSpec]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)

        def declared(kind: type) -> list[Any]:
            return [value for value in own.values() if isinstance(value, kind)]

        bases = [base for base in reversed(cls.__bases__) if issubclass(base, Component)]
        inherited = {spec.name: spec for base in bases for spec in base.register_specs}
        for spec in declared(RegisterSpec):
            base = inherited.get(spec.name)
            if base is not None and base.bank is not spec.bank:
                raise TypeError(f"{cls.__name__}.{spec.name} is already a register of the bank {base.bank.name!r}")
            spec.doc = spec.doc or (base.doc if base else "")
        windows = {spec.name: spec for base in bases for spec in base.window_specs}
        banks = {spec.name: spec for base in bases for spec in base.bank_specs}
        cls.register_specs = [spec for name, spec in inherited.items() if name not in own] + declared(RegisterSpec)
        cls.window_specs = [spec for name, spec in windows.items() if name not in own] + declared(WindowSpec)
        cls.bank_specs = [spec for name, spec in banks.items() if name not in own] + declared(Bank)
        timers = [name for base in bases for name in base.timer_specs] + [spec.name for spec in declared(TimerSpec)]
        cls.timer_specs = list(dict.fromkeys(timers))
        cls.state_specs = {name: spec for base in bases for name, spec in base.state_specs.items()}
        cls.state_specs |= {name: spec for name, spec in own.items() if isinstance(spec, StateSpec)}
        cls.part_specs = {name: spec for base in bases for name, spec in base.part_specs.items()}
        cls.part_specs |= {name: spec for name, spec in own.items() if isinstance(spec, PartsSpec)}

    def _construct(self, device: Device, path: str) -> None:
        """Makes registers, banks, state and parts; `path` is "" for the device itself, else "channels[1]"."""
        self.device = device
        self.path = path
        prefix = f"{device.id}.{path}." if path else f"{device.id}."
        attributes = vars(self)
        for spec in self.register_specs:
            attributes[spec.name] = spec.make()
        for bank in self.bank_specs:
            attributes[bank.name] = bank.make(self, prefix + bank.name)
        for name, state in self.state_specs.items():
            attributes[name] = copy.deepcopy(state.default)
        for name, parts in self.part_specs.items():
            if parts.several:
                self.make_parts(name, parts.count or 0)
            else:
                attributes[name] = parts.make()
                attributes[name]._construct(device, f"{path}.{name}" if path else name)

    def make_parts(self, name: str, count: int) -> None:
        """Makes `count` parts of the declaration `name`, for a number that only the machine knows."""
        make = self.part_specs[name].make
        parts = vars(self)[name] = [make() for _ in range(count)]
        path = f"{self.path}.{name}" if self.path else name
        for index, part in enumerate(parts):
            part._construct(self.device, f"{path}[{index}]")

    def parts(self) -> list[tuple[str, Component]]:
        """The parts, each with its key in the saved state."""
        found: list[tuple[str, Component]] = []
        for name, spec in self.part_specs.items():
            value = vars(self)[name]
            if spec.several:
                found.extend((f"{name}[{index}]", part) for index, part in enumerate(value))
            else:
                found.append((name, value))
        return found

    @property
    def clock(self) -> Clock:
        """The machine's clock."""
        return self.device.machine.clock

    def guest_error(self, message: str) -> None:
        """Notes that the guest did what the hardware forbids."""
        self.device.machine.guest_error(self.device, f"{self.path}: {message}" if self.path else message)

    def reset_registers(self) -> None:
        """Puts registers and state to what they are after a reset, and cancels the timers; parts as well."""
        attributes = vars(self)
        for spec in self.register_specs:
            if spec.reset is not None:
                attributes[spec.name].value = spec.reset
        for name, state in self.state_specs.items():
            if not state.keep:
                attributes[name] = copy.deepcopy(state.default)
        for name in self.timer_specs:
            getattr(self, name).cancel()
        for _, part in self.parts():
            part.reset_registers()

    # --- saved state ---------------------------------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """Registers, state, timers and parts, by name, as plain data."""
        attributes = vars(self)
        timers = {name: getattr(self, name) for name in self.timer_specs}
        return {
            "registers": {spec.name: attributes[spec.name].value for spec in self.register_specs},
            "state": {name: copy.deepcopy(attributes[name]) for name in self.state_specs},
            "timers": {
                name: {"deadline": bound.deadline, "arguments": dict(bound.arguments)}
                for name, bound in timers.items()
                if bound.pending
            },
            "parts": {key: part.save() for key, part in self.parts()},
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Takes over what `save` gave. Raises SouthbridgeError, having changed nothing, if it isn't valid here."""
        self._check(saved)
        self._apply(saved)

    def _check(self, saved: object) -> None:
        from pydantic import ValidationError

        where = f"{self.device.id}.{self.path}" if self.path else self.device.id
        try:
            state_model(type(self), tuple(key for key, _ in self.parts())).model_validate(saved)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise SouthbridgeError(f"saved state of {where}: {key}: {first['msg']}") from None
        assert isinstance(saved, dict)
        for key, part in self.parts():
            part._check(saved["parts"][key])

    def _apply(self, saved: dict[str, Any]) -> None:
        attributes = vars(self)
        for name, value in saved["registers"].items():
            attributes[name].value = value
        for name, value in saved["state"].items():
            attributes[name] = copy.deepcopy(value)
        for name in self.timer_specs:
            bound = getattr(self, name)
            bound.cancel()
            if name in saved["timers"]:
                bound.at(saved["timers"][name]["deadline"], **saved["timers"][name]["arguments"])
        for key, part in self.parts():
            part._apply(saved["parts"][key])


_LATEST = (1 << 63) - 1

_Fields = dict[str, tuple[Any, dict[str, Any]]]
"""By key: the type of its value, and arguments of pydantic's `Field`."""

_models: dict[tuple[type[Component], tuple[str, ...]], type[BaseModel]] = {}


def state_model(cls: type[Component], part_keys: tuple[str, ...]) -> type[BaseModel]:
    """The pydantic model of what `save` gives for a `cls` that has such parts, which are left to their own."""
    if (cls, part_keys) not in _models:
        _models[cls, part_keys] = _make_state_model(cls, part_keys)
    return _models[cls, part_keys]


def _make_state_model(cls: type[Component], part_keys: tuple[str, ...]) -> type[BaseModel]:
    registers: _Fields = {spec.name: (int, {"ge": 0, "le": spec.mask}) for spec in cls.register_specs}
    state: _Fields = {name: (declared_type(cls, name), spec.constraints) for name, spec in cls.state_specs.items()}
    timers: _Fields = {name: (_timer_model(getattr(cls, name)), {"default": None}) for name in cls.timer_specs}
    parts: _Fields = {key: (dict[str, Any], {}) for key in part_keys}
    sections = {"registers": registers, "state": state, "timers": timers, "parts": parts}
    return _model(cls.__name__, {name: (_model(name, fields), {}) for name, fields in sections.items()})


def _timer_model(spec: TimerSpec[Any]) -> type[BaseModel]:
    """What is saved of a timer that is set: its deadline, and arguments that fit its method."""
    arguments: _Fields = {}
    for parameter in list(inspect.signature(spec.method).parameters.values())[1:]:
        kind = parameter.annotation
        if isinstance(kind, str):
            kind = eval(kind, spec.method.__globals__)
        default = {} if parameter.default is parameter.empty else {"default": parameter.default}
        arguments[parameter.name] = (kind, default)
    return _model(
        spec.name, {"deadline": (int, {"ge": 0, "le": _LATEST}), "arguments": (_model("arguments", arguments), {})}
    )


def _model(name: str, fields: _Fields) -> type[BaseModel]:
    """A model of a dictionary with these keys. They are aliases: pydantic keeps some names for itself."""
    from pydantic import ConfigDict, Field, create_model

    plain: dict[str, Any] = {
        f"field{index}": (kind, Field(alias=key, **keywords))
        for index, (key, (kind, keywords)) in enumerate(fields.items())
    }
    return create_model(name, __config__=ConfigDict(extra="forbid", strict=True), **plain)
