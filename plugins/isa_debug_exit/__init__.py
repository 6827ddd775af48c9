"""A port by which a test program ends its machine."""

from .device import IsaDebugExit

__all__ = ["IsaDebugExit"]
