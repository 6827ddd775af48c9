"""The PC's DMA controllers: see README.md."""

from .device import I8257

__all__ = ["I8257"]
