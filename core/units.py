"""Sizes in bytes: the binary units, and how users write them."""

from __future__ import annotations

import re

KiB = 1 << 10
MiB = 1 << 20
GiB = 1 << 30

_SIZE = re.compile(r"(0x[0-9a-fA-F]+|[0-9]+)\s*([kKmMgGtT]?)(?:i?[bB])?")
_SHIFT = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


def parse_size(text: int | str) -> int:
    """The number of bytes that `text` ("256M", "64 KiB", "0x1000", 4096) says; suffixes are powers of 1024.

    Raises ValueError if it says none.
    """
    if isinstance(text, bool):
        raise ValueError("expected a size such as 256M")
    if isinstance(text, int):
        if text < 0:
            raise ValueError("a size can't be negative")
        return text
    match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"expected a size such as 256M, not {text!r}")
    return int(match[1], 0) << _SHIFT[match[2].lower()]


def format_size(size: int) -> str:
    """`size` bytes in the largest binary unit that divides it: "256 MiB"."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size and not size & ((1 << shift) - 1):
            return f"{size >> shift} {unit}"
    return f"{size} B"
