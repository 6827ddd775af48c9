"""Xen's platform device: see README.md."""

from .device import XenPlatform

__all__ = ["XenPlatform"]
