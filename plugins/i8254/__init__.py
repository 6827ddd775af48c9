"""Intel 8254: the PC's timer, with port 61h."""

from .device import I8254

__all__ = ["I8254"]
