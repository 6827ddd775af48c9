"""Each encoding, decoded by a naive client, gives the picture back: all formats, sizes, and numbers of colours."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.display import Rectangle
from southbridge.display.surface import Pixels
from southbridge.rfb.encodings import ENCODERS, Level
from southbridge.rfb.encodings.encoder import pieces
from southbridge.rfb.pixels import PixelFormat
from southbridge.rfb.pseudo import header

from .stage import noise
from .test_pixels import formats
from .viewer import ENCODINGS, Format, Viewer

every_encoding = pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS.keys())


def decoded(encoding: int, pictures: list[Pixels], pixel_format: Format) -> tuple[list[list[list[int]]], int]:
    """Encoded one after the other, and decoded: what a viewer has seen, and how many bytes it took."""

    async def run() -> tuple[list[list[list[int]]], int]:
        encoder = ENCODERS[encoding](Level())
        reader = asyncio.StreamReader()
        viewer = Viewer(reader, None, pixel_format)  # type: ignore[arg-type]
        seen, sent = [], 0
        for pixels in pictures:
            height, width = pixels.shape
            data = encoder.encode(pixels, PixelFormat.parse(pixel_format.pack()))
            sent += len(data)
            reader.feed_data(b"\0\0\0\1" + header(0, 0, width, height, encoding) + data)
            viewer.width, viewer.height = width, height
            viewer.forget()
            await viewer.update()
            seen.append(viewer.picture)
        reader.feed_eof()
        assert await reader.read() == b""
        return seen, sent

    return asyncio.run(run())


def expected(pixels: Pixels, pixel_format: Format) -> list[list[int]]:
    return [[pixel_format.expected(int(pixel)) for pixel in row] for row in pixels]


@every_encoding
@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 140),
    st.integers(1, 80),
    st.sampled_from([1, 2, 3, 4, 5, 16, 17, 200, 300, 1 << 24]),
    st.booleans(),
    formats(),
    st.integers(0, 1 << 30),
)
def test_pictures_come_back(
    encoding: int, width: int, height: int, colours: int, blocks: bool, pixel_format: Format, seed: int
) -> None:
    palette = noise(colours if colours < 1 << 24 else 5000, 1, seed)[0]
    random = np.random.default_rng(seed)
    if blocks:
        small = random.integers(0, len(palette), (-(-height // 7), -(-width // 9)))
        indices = small.repeat(7, axis=0).repeat(9, axis=1)[:height, :width]
    else:
        indices = random.integers(0, len(palette), (height, width))
    wide = np.zeros((height, width + 5), dtype=np.uint32)
    wide[:, 3 : 3 + width] = palette[indices]
    part = wide[:, 3 : 3 + width]  # rows that don't follow one another, as in a surface
    (seen,), _ = decoded(encoding, [part], pixel_format)
    assert seen == expected(part, pixel_format)


@every_encoding
def test_streams_go_on(encoding: int) -> None:
    pictures = [noise(70, 40, seed, colours) for seed, colours in enumerate((1 << 24, 2, 100, 2, 1, 1 << 24))]
    calm = np.zeros((140, 200), np.uint32)
    calm[5:15, 70:110] = noise(40, 10, 1, 1 << 24)
    pictures.append(calm)
    seen, _ = decoded(encoding, pictures, Format())
    assert seen == [expected(pixels, Format()) for pixels in pictures]


@pytest.mark.parametrize(("name", "most"), [("hextile", 0.25), ("zlib", 0.02), ("tight", 0.01), ("zrle", 0.01)])
def test_text_is_small(name: str, most: float) -> None:
    """Two colours, in shapes of letters' sizes: a fraction of the raw pixels."""
    text = np.zeros((160, 320), dtype=np.uint32)
    text[2:160:16, 1:300] = 0xAAAAAA
    text[6:160:16, 1:200] = 0xAAAAAA
    (seen,), sent = decoded(ENCODINGS[name], [text], Format())
    assert seen == expected(text, Format())
    assert sent < most * text.nbytes


def test_another_level_begins_tights_streams_anew() -> None:
    level = Level(1)
    encoder = ENCODERS[ENCODINGS["tight"]](level)
    pixels, pixel_format = noise(70, 70), PixelFormat.parse(Format().pack())
    assert encoder.encode(pixels, pixel_format)[0] == 0x00
    level.value = 9
    assert encoder.encode(pixels, pixel_format)[0] == 0x01  # reset stream 0
    assert encoder.encode(pixels, pixel_format)[0] == 0x00


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 300), st.integers(1, 300), st.integers(1, 99), st.data())
def test_pieces_are_the_whole(x: int, y: int, width: int, height: int, widest: int, data: st.DataObject) -> None:
    area = data.draw(st.integers(1, 20_000))
    covered = np.zeros((350, 350), dtype=int)
    for part in pieces(Rectangle(x, y, width, height), widest, area):
        assert part.width <= widest
        assert part.area <= area or part.height == 1
        covered[part.y : part.bottom, part.x : part.right] += 1
    assert covered[y : y + height, x : x + width].all()
    assert covered.sum() == width * height
