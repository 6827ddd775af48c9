"""The machine in a browser: see README.md."""

from .display import Web

__all__ = ["Web"]
