"""Pictures: surfaces of pixels, rectangles of them, and pointers that lie above them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Pixels: TypeAlias = "npt.NDArray[np.uint32]"
"""Rows of pixels."""

RGB_MASK = 0xFF_FFFF
"""The bits of a pixel that are a colour."""


class Rectangle(NamedTuple):
    """Part of a surface, in pixels; `x` and `y` are its left upper corner."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column behind it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first row below it."""
        return self.y + self.height

    @property
    def area(self) -> int:
        """How many pixels it has."""
        return self.width * self.height

    def within(self, width: int, height: int) -> Rectangle:
        """What of it lies in a surface of that size; its area is 0 if nothing does."""
        left, top = min(max(self.x, 0), width), min(max(self.y, 0), height)
        right, bottom = max(min(self.right, width), left), max(min(self.bottom, height), top)
        return Rectangle(left, top, right - left, bottom - top)

    def union(self, other: Rectangle) -> Rectangle:
        """The smallest rectangle that holds both."""
        left, top = min(self.x, other.x), min(self.y, other.y)
        return Rectangle(left, top, max(self.right, other.right) - left, max(self.bottom, other.bottom) - top)


class Surface:
    """A picture: `pixels` are `height` rows of `width` numbers 00RRGGBBh, one behind the other, black at first."""

    def __init__(self, width: int, height: int) -> None:
        if width <= 0 or height <= 0:
            raise ValueError(f"a surface of {width} by {height} pixels")
        import numpy as np  # which a machine whose screen nobody looks at needn't have

        self.width = width
        self.height = height
        self.pixels: Pixels = np.zeros((height, width), dtype=np.uint32)

    def __repr__(self) -> str:
        return f"<Surface {self.width}x{self.height}>"

    @property
    def rectangle(self) -> Rectangle:
        """All of it."""
        return Rectangle(0, 0, self.width, self.height)

    def part(self, rectangle: Rectangle) -> Pixels:
        """The pixels of a part that lies within it: the surface's own, not a copy."""
        return self.pixels[rectangle.y : rectangle.bottom, rectangle.x : rectangle.right]


@dataclass(frozen=True, eq=False)
class Cursor:
    """The picture of a pointer: rows of numbers AARRGGBBh, and which of its pixels points."""

    width: int
    height: int
    hot_x: int
    hot_y: int
    pixels: Pixels
