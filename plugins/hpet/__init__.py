"""High-precision event timer."""

from .device import Hpet

__all__ = ["Hpet"]
