"""Intel 82371SB PIIX3, function 2: a UHCI host controller for USB 1.1; see README.md."""

from .device import Uhci

__all__ = ["Uhci"]
