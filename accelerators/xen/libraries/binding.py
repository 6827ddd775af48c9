"""How a function of a C library becomes one of ours that raises OSError."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

DOMAIN_ID = ctypes.c_uint16


class Missing(OSError):
    """A library isn't installed; its text says which, and where to have it from."""


@cache
def load(names: tuple[str, ...], package: str) -> ctypes.CDLL:
    """The first library that is there. Raises Missing."""
    for name in names:
        try:
            return ctypes.CDLL(name, use_errno=True)
        except OSError:
            continue
    raise Missing(errno.ENOENT, f"there is no {names[0]}: install Debian's {package}")


def function(library: ctypes.CDLL, name: str, result: Any, arguments: Sequence[Any]) -> Callable[..., Any]:
    """`name` of `library`. What it gives for a failure, -1, a null pointer or false, becomes an OSError."""
    found = getattr(library, name)
    found.restype = result
    found.argtypes = list(arguments)
    signed = result is ctypes.c_int

    def call(*values: Any) -> Any:
        given = found(*values)
        if given < 0 if signed else not given:
            raise failure(name)
        return given

    return call


def failure(name: str) -> OSError:
    """What the call `name` failed of."""
    number = ctypes.get_errno()
    return OSError(number, f"{name}: {os.strerror(number)}")
