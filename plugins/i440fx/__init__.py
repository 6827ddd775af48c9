"""Intel 82441FX PMC, the host bridge of a 440FX board: see README.md."""

from .device import I440fx

__all__ = ["I440fx"]
