"""Modules that aren't loaded before somebody uses them, though others import them.

asyncio imports TLS, and with it OpenSSL, which is a thirtieth of a machine's start; few machines use it.
(importlib's LazyLoader doesn't do: its modules are loaded when they are imported for the second time.)
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any

LATE = ("ssl", "asyncio.sslproto")


class _LateModule(ModuleType):
    """Loads itself when something of it is asked for that it hasn't yet."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        load_now(self)
        return getattr(self, name)


def load_tls_late() -> None:
    """From now on `ssl`, and asyncio's part for it, are loaded by whoever first uses something of theirs.

    For programs, before they import asyncio; where that was imported already, this does nothing.
    """
    package = PathFinder.find_spec("asyncio")
    if package is None or any(name in sys.modules for name in ("asyncio", *LATE)):
        return
    for name in LATE:
        spec = PathFinder.find_spec(name, package.submodule_search_locations if "." in name else None)
        if spec is not None:
            _put(spec)


def load_now(module: ModuleType) -> None:
    """Loads it now, if that is still to be done."""
    if isinstance(module, _LateModule):
        module.__class__ = ModuleType  # type: ignore[assignment]
        assert module.__spec__ is not None and module.__spec__.loader is not None
        module.__spec__.loader.exec_module(module)


def _put(spec: ModuleSpec) -> None:
    module = module_from_spec(spec)
    module.__class__ = _LateModule
    sys.modules[spec.name] = module
