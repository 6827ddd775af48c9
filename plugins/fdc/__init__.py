"""The floppy disk controller and its drives: see README.md."""

from .device import Fdc
from .drive import FloppyDrive

__all__ = ["Fdc", "FloppyDrive"]
