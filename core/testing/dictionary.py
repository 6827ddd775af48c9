"""The numbers that a device's code speaks of: commands, magic values, bits. A guest that writes these gets further."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterator
from types import CodeType, ModuleType


def numbers(cls: type) -> list[int]:
    """The whole numbers below 2**32 in the module that `cls` is from, and those of its package that this one uses."""
    modules = [cls.__module__]
    package = cls.__module__.rpartition(".")[0] + "."
    found: set[int] = set()
    for name in modules:
        module = sys.modules[name]
        found |= set(_of_module(module))
        for value in vars(module).values():
            used = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if isinstance(used, str) and used.startswith(package) and used in sys.modules and used not in modules:
                modules.append(used)
    return sorted(number for number in found if 0 <= number < 1 << 32)


def _of_module(module: ModuleType) -> Iterator[int]:
    for value in vars(module).values():
        yield from _of_value(value, module.__name__)


def _of_value(value: object, module: str) -> Iterator[int]:
    if isinstance(value, int):
        yield int(value)
    elif isinstance(value, CodeType):
        for inner in value.co_consts:
            yield from _of_value(inner, module)
    elif isinstance(value, tuple | list | set | frozenset):
        for inner in value:
            yield from _of_value(inner, module)
    elif isinstance(value, dict):
        yield from _of_value(tuple(value), module)
    elif isinstance(value, enum.EnumMeta):
        yield from _of_value(list(value.__members__.values()), module)
    elif getattr(value, "__module__", None) == module:
        if isinstance(value, type):
            for inner in vars(value).values():
                yield from _of_value(inner, module)
        else:
            code = getattr(getattr(value, "method", value), "__code__", None)
            if code is not None:
                yield from _of_value(code, module)
