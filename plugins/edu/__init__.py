"""A teaching device: see README.md, and docs/writing-a-device.md."""

from .device import Edu

__all__ = ["Edu"]
