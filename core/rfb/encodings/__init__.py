"""Encodings: how a rectangle's pixels are sent (RFC 6143, section 7.7), by number.

An encoder belongs to one client: those that compress go on with one stream for as long as it is connected.
"""

from __future__ import annotations

from collections.abc import Callable

from .encoder import Encoder, Level
from .hextile import Hextile
from .raw import Raw
from .tight import Tight
from .zlib import Zlib
from .zrle import Zrle

ENCODERS: dict[int, Callable[[Level], Encoder]] = {cls.number: cls for cls in (Raw, Hextile, Zlib, Tight, Zrle)}
"""Those that can be had."""

__all__ = ["ENCODERS", "Encoder", "Level", "Raw"]
