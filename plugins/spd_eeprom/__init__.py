"""The memory modules' EEPROMs, which say what kind of memory they are (serial presence detect)."""

from .device import SpdEeprom

__all__ = ["SpdEeprom"]
