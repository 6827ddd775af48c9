"""A VNC server: see README.md."""

from .display import Vnc

__all__ = ["Vnc"]
