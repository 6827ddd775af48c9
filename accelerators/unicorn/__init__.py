"""Accelerator `unicorn`: a software CPU, by the Unicorn library."""

from .accelerator import UnicornAccelerator

__all__ = ["UnicornAccelerator"]
