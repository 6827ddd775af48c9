"""The PC's keyboard controller, with keyboard and mouse: see README.md."""

from .device import I8042

__all__ = ["I8042"]
