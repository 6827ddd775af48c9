"""The watchdog of iBASE's IB700 boards: see README.md."""

from .device import Ib700

__all__ = ["Ib700"]
