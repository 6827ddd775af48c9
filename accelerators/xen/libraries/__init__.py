"""Xen's own libraries, through ctypes: found when they are needed, and absent elsewhere without harm."""

from .domain import OFFLOADS, availability, open_domain

__all__ = ["OFFLOADS", "availability", "open_domain"]
