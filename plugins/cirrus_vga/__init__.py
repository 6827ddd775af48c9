"""A Cirrus Logic CL-GD5446: see README.md."""

from .device import CirrusVga

__all__ = ["CirrusVga"]
