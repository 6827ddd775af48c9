"""Which back ends several devices may use."""

from __future__ import annotations

from .block import BlockBackend
from .net import NetworkBackend


def can_be_shared(backend: object) -> bool:
    """Whether more than one may use it: an image that nobody writes to, a hub, a terminal."""
    if hasattr(backend, "attach_monitor"):
        return True
    if isinstance(backend, NetworkBackend):
        return backend.shared
    return isinstance(backend, BlockBackend) and not backend.writable


def stands_alone(backend: object) -> bool:
    """Whether it is of use though nobody names it: what joins two others."""
    return isinstance(backend, NetworkBackend) and backend.stands_alone
