"""Local APICs: the interrupt controller that each CPU has of its own."""

from .device import Lapic

__all__ = ["Lapic"]
