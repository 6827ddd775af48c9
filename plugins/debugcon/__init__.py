"""The port that firmware writes its messages to."""

from .device import Debugcon

__all__ = ["Debugcon"]
