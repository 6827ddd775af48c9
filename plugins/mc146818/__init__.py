"""Motorola MC146818A: the PC's real-time clock, with its non-volatile memory."""

from .device import Mc146818

__all__ = ["Mc146818"]
