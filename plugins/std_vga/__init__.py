"""A plain VGA card with Bochs' VBE extensions: see README.md."""

from .device import StdVga

__all__ = ["StdVga"]
