"""Intel's gigabit Ethernet controllers of the 8254x family."""

from .device import E1000, E1000_82544gc, E1000_82545em

__all__ = ["E1000", "E1000_82544gc", "E1000_82545em"]
