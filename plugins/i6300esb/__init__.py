"""Intel 6300ESB's watchdog timer: see README.md."""

from .device import I6300Esb

__all__ = ["I6300Esb"]
