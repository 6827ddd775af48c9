"""Which back ends several devices may use."""

from __future__ import annotations

from typing import Any

from .block import BlockBackend


def can_be_shared(backend: Any) -> bool:
    """Whether more than one may use it: an image that nobody writes to, a netdev that says so, a terminal."""
    if isinstance(backend, BlockBackend):
        return not backend.writable
    shared: bool = getattr(backend, "shared", False)
    return shared or hasattr(backend, "attach_monitor")


def stands_alone(backend: Any) -> bool:
    """Whether it is of use though nobody names it: what joins two others, as some netdevs do."""
    alone: bool = getattr(backend, "stands_alone", False)
    return alone
