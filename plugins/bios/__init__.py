"""The board's firmware ROM: see README.md."""

from .device import Bios

__all__ = ["Bios"]
