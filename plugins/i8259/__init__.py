"""Intel 8259A: the PC's pair of interrupt controllers."""

from .device import I8259

__all__ = ["I8259"]
