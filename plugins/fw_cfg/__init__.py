"""QEMU's firmware configuration device: see README.md."""

from .device import FwCfg

__all__ = ["FwCfg"]
