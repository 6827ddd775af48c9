"""System control port A: fast A20 and fast reset."""

from .device import Port92

__all__ = ["Port92"]
