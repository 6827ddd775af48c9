"""Few colours: which ones a rectangle has, and its pixels as numbers of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...display.surface import Pixels

SAMPLES = 256
"""Pixels that are looked at first, and more for larger palettes: rectangles with many colours are told by those."""
SEARCHED = 16
"""With more colours than these it is cheaper to sort."""


def colours(pixels: Pixels, most: int) -> Pixels | None:
    """The colours of `pixels`, in no order, or None if there are more than `most`."""
    flat = pixels.reshape(-1)
    samples = SAMPLES + 4 * most
    if len(set(flat[:: len(flat) // samples + 1].tolist())) > most:
        return None
    if most > SEARCHED:
        ordered = np.sort(flat)
        found = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
        return found if len(found) <= most else None
    several: list[np.uint32] = []
    while flat.size:
        if len(several) == most:
            return None
        several.append(flat[0])
        flat = flat[flat != flat[0]]
    return np.array(several, dtype=np.uint32)


def numbers(pixels: Pixels, palette: Pixels) -> npt.NDArray[np.uint8]:
    """Each pixel's place in `palette`, which has all of its colours, at most 256."""
    if len(palette) > SEARCHED:
        order = np.argsort(palette)
        return order[np.searchsorted(palette, pixels, sorter=order)].astype(np.uint8)
    result = np.zeros(pixels.shape, dtype=np.uint8)
    for number, colour in enumerate(palette[1:], 1):
        result[pixels == colour] = number
    return result


def packed(indices: npt.NDArray[np.uint8], bits: int) -> bytes:
    """Rows of numbers of `bits` bits (1, 2, 4), from the left; each row begins a byte."""
    if bits == 1:
        return np.packbits(indices, axis=1).tobytes()
    each = 8 // bits
    height, width = indices.shape
    padded = np.zeros((height, -(-width // each) * each), dtype=np.uint8)
    padded[:, :width] = indices
    result = padded[:, ::each] << (8 - bits)
    for place in range(1, each):
        result |= padded[:, place::each] << (8 - bits * (place + 1))
    return result.tobytes()
