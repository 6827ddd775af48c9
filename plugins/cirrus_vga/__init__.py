"""A Cirrus Logic CL-GD5446: see README.md."""

from .device import CirrusVga, IsaCirrusVga

__all__ = ["CirrusVga", "IsaCirrusVga"]
