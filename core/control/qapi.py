"""The types of commands' arguments and results and of events' data: QAPI's, made from Python's annotations.

| annotation | QAPI |
|---|---|
| `str`, `int`, `float`, `bool`, `None`, `Any` | the built-in types |
| `Literal["a", "b"]` | an enum |
| `list[X]` | an array |
| a `TypedDict`, with members `NotRequired` | an object with optional members |
| a union of `TypedDict`s that a `Literal` member tells apart | a union, with that member as its tag |
| any other union | an alternate |

From these the arguments are checked, with QEMU's words for what is wrong, and `schema` says what a machine can be told
(QEMU's docs/devel/qapi-code-gen).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache, cached_property
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    NamedTuple,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)


class Invalid(ValueError):
    """A value isn't of its type; the text says so in QEMU's words."""


class Kind(ABC):
    """A type. Those made from the same annotation are the same object."""

    expected: str = ""
    """What messages call it."""

    @abstractmethod
    def check(self, value: Any, name: str) -> None:
        """Raises Invalid unless `value`, the parameter `name`, is of this type."""

    def wrong(self, name: str) -> Invalid:
        """That the parameter `name` is of another type."""
        return Invalid(f"Invalid parameter type for '{name}', expected: {self.expected}")


class Builtin(Kind):
    """One of QAPI's own: `json` is what introspection calls its values."""

    def __init__(self, name: str, json: str, expected: str, *classes: type) -> None:
        self.name = name
        self.json = json
        self.expected = expected
        self._classes = classes

    def check(self, value: Any, name: str) -> None:
        """See Kind."""
        if self._classes and type(value) not in self._classes:
            raise self.wrong(name)
        if isinstance(value, str) and "\0" in value:  # which no file's name has, for one
            raise Invalid(f"Parameter '{name}' has a NUL in it")


ANY = Builtin("any", "value", "any")
BUILTINS: dict[Any, Builtin] = {
    str: Builtin("str", "string", "string", str),
    int: Builtin("int", "int", "integer", int),
    float: Builtin("number", "number", "number", int, float),
    bool: Builtin("bool", "boolean", "boolean", bool),
    NoneType: Builtin("null", "null", "null", NoneType),
    Any: ANY,
}


class Enum(Kind):
    """One of some words."""

    expected = "string"

    def __init__(self, values: tuple[str, ...]) -> None:
        self.values = values

    def check(self, value: Any, name: str) -> None:
        """See Kind."""
        if not isinstance(value, str):
            raise self.wrong(name)
        if value not in self.values:
            raise Invalid(f"Parameter '{name.rpartition('.')[2]}' does not accept value '{value}'")


class Array(Kind):
    """Any number of `item`."""

    expected = "array"

    def __init__(self, item: Kind) -> None:
        self.item = item

    def check(self, value: Any, name: str) -> None:
        """See Kind."""
        if not isinstance(value, list):
            raise self.wrong(name)
        for index, item in enumerate(value):
            self.item.check(item, f"{name}[{index}]")


class Member(NamedTuple):
    """A member of an object."""

    name: str
    kind: Kind
    optional: bool


class Object(Kind):
    """A dictionary with such members, and if it is `open` with any others. `tag` is the member that tells variants."""

    expected = "object"
    tag: str = ""

    def __init__(self, members: list[Member], *, open: bool = False) -> None:
        self._members = members
        self._open = open

    @property
    def members(self) -> list[Member]:
        """Those that it has in any case."""
        return self._members

    @property
    def variants(self) -> dict[str, Object]:
        """What more it has, by the tag's value."""
        return {}

    def check(self, value: Any, name: str) -> None:
        """See Kind."""
        if not isinstance(value, dict):
            raise self.wrong(name)
        prefix = f"{name}." if name else ""
        self.check_members(value, prefix, set() if self._open else set(value))

    def check_members(self, value: dict[str, Any], prefix: str, left: set[str]) -> None:
        """Raises Invalid unless the members are right, and no others are `left`."""
        for member in self.members:
            if member.name in value:
                member.kind.check(value[member.name], prefix + member.name)
                left.discard(member.name)
            elif not member.optional:
                raise Invalid(f"Parameter '{prefix}{member.name}' is missing")
        if self.tag:
            self.variants[value[self.tag]].check_members(value, prefix, left)
        elif left:
            raise Invalid(f"Parameter '{prefix}{min(left)}' is unexpected")


NOTHING = Object([])
"""No arguments, no result."""


class Struct(Object):
    """What a TypedDict says. Its members are looked at when they are asked for: they may be of its own kind."""

    def __init__(self, cls: Any) -> None:
        super().__init__([])
        self._cls = cls

    @cached_property
    def members(self) -> list[Member]:
        """See Object."""
        hints = get_type_hints(self._cls, include_extras=True)
        return [
            Member(name, kind_of(get_args(hint)[0]), True)
            if get_origin(hint) is NotRequired
            else Member(name, kind_of(hint), False)
            for name, hint in hints.items()
        ]


class Variants(Object):
    """What a union of TypedDicts says: a tag, what all have in common, and the rest by the tag's value."""

    def __init__(self, structs: list[Struct]) -> None:
        super().__init__([])
        self._structs = structs

    @cached_property
    def tag(self) -> str:  # type: ignore[override]
        """The first member that is a Literal in each, and always there."""
        words = [{m.name for m in s.members if isinstance(m.kind, Enum) and not m.optional} for s in self._structs]
        shared = set.intersection(*words)
        found = [member.name for member in self._structs[0].members if member.name in shared]
        if not found:
            raise TypeError("a union of TypedDicts needs a member that is a Literal in each of them")
        return found[0]

    @cached_property
    def members(self) -> list[Member]:
        """See Object."""
        first, *others = (set(struct.members) for struct in self._structs)
        common = first.intersection(*others)
        tag = Member(self.tag, _enum(tuple(self.variants)), False)
        return [tag, *(m for m in self._structs[0].members if m in common and m.name != self.tag)]

    @cached_property
    def variants(self) -> dict[str, Object]:
        """See Object."""
        first, *others = (set(struct.members) for struct in self._structs)
        common = first.intersection(*others)
        found: dict[str, Object] = {}
        for struct in self._structs:
            own = [member for member in struct.members if member not in common and member.name != self.tag]
            rest = Object(own) if own else NOTHING
            found |= {value: rest for member in struct.members if member.name == self.tag for value in _values(member)}
        return found


def _values(member: Member) -> tuple[str, ...]:
    assert isinstance(member.kind, Enum)
    return member.kind.values


class Alternate(Kind):
    """A value of one of several types, which JSON tells apart."""

    def __init__(self, kinds: list[Kind]) -> None:
        self.kinds = kinds
        self.expected = " or ".join(kind.expected for kind in kinds)

    def check(self, value: Any, name: str) -> None:
        """See Kind."""
        for kind in self.kinds:
            if _json_type(value) == kind.expected:
                kind.check(value, name)
                return
        raise self.wrong(name)


def _json_type(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "null")


@cache
def _enum(values: tuple[str, ...]) -> Enum:
    return Enum(values)


@cache
def kind_of(annotation: Any) -> Kind:
    """The type that `annotation` says. Raises TypeError if it says none."""
    if annotation is None:
        return BUILTINS[NoneType]
    if annotation in BUILTINS:
        return BUILTINS[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if is_typeddict(annotation):
        return Struct(annotation)
    if origin is Literal and all(isinstance(value, str) for value in arguments):
        return _enum(arguments)
    if origin is list:
        return Array(kind_of(arguments[0]))
    if origin in (Union, UnionType):
        structs = [argument for argument in arguments if is_typeddict(argument)]
        if len(structs) == len(arguments):
            return Variants([kind for argument in structs if isinstance(kind := kind_of(argument), Struct)])
        others = [kind_of(argument) for argument in arguments if argument not in structs]
        return Alternate([*others, *([kind_of(Union[tuple(structs)])] if structs else [])])  # noqa: UP007
    if origin is dict or annotation is dict:
        return ANY
    raise TypeError(f"{annotation!r} is no type of QAPI's")
