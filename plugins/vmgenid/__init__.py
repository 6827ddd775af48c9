"""The virtual machine's generation ID: see README.md."""

from .device import VmGenId

__all__ = ["VmGenId"]
