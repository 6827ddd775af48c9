"""National PC16550D, the PC's serial port: see README.md."""

from .device import Uart16550

__all__ = ["Uart16550"]
