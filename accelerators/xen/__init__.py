"""Accelerator `xen`: the device model of a Xen HVM domain; see README.md."""

from .accelerator import XenAccelerator

__all__ = ["XenAccelerator"]
