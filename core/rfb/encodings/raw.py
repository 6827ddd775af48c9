"""Raw: pixels as they are (RFC 6143, section 7.7.1)."""

from __future__ import annotations

from ...display.surface import Pixels
from ..pixels import PixelFormat
from .encoder import Encoder


class Raw(Encoder):
    """What every client understands."""

    number = 0
    quick = 1 << 18

    def encode(self, pixels: Pixels, pixel_format: PixelFormat) -> bytes:
        """See Encoder."""
        return pixel_format.to_bytes(pixels)
