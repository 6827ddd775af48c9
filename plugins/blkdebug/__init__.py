"""Faults between a device and its image: see README.md."""

from .image import Blkdebug

__all__ = ["Blkdebug"]
