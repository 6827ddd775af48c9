"""A client of the remote framebuffer protocol for tests, after RFC 6143, without cleverness.

Pixels are numbers as the client's format has them. What the server sends that makes no sense fails an assertion.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from dataclasses import dataclass, field

RAW, HEXTILE, ZLIB, TIGHT, ZRLE = 0, 5, 6, 7, 16
ENCODINGS = {"raw": RAW, "hextile": HEXTILE, "zlib": ZLIB, "tight": TIGHT, "zrle": ZRLE}
DESKTOP_SIZE, EXTENDED_DESKTOP_SIZE, CURSOR, ALPHA_CURSOR = -223, -308, -239, -314
POINTER_MOTION, EXTENDED_KEYS = -257, -258


@dataclass(frozen=True)
class Format:
    """A pixel format; the default is what the server's first one is to be."""

    bits: int = 32
    depth: int = 24
    big_endian: bool = False
    maxima: tuple[int, int, int] = (255, 255, 255)
    shifts: tuple[int, int, int] = (16, 8, 0)
    true_colour: bool = True

    @property
    def size(self) -> int:
        return self.bits // 8

    def pack(self) -> bytes:
        start = struct.pack(">BBBB", self.bits, self.depth, self.big_endian, self.true_colour)
        return start + struct.pack(">HHHBBBxxx", *self.maxima, *self.shifts)

    def number(self, data: bytes) -> int:
        return int.from_bytes(data, "big" if self.big_endian else "little")

    def expected(self, colour: int) -> int:
        """How the server is to write 00RRGGBBh."""
        result = 0
        for place, (most, shift) in enumerate(zip(self.maxima, self.shifts, strict=True)):
            eight = colour >> (16 - 8 * place) & 0xFF
            result |= (eight * (most + 1) // 256) << shift
        return result


@dataclass
class Rectangle:
    """One that came in an update: its header."""

    x: int
    y: int
    width: int
    height: int
    encoding: int


@dataclass
class Viewer:
    """A client on a pair of asyncio's streams."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    format: Format = Format()
    width: int = 0
    height: int = 0
    name: str = ""
    picture: list[list[int]] = field(default_factory=list)
    cursor: tuple[Rectangle, bytes] | None = None
    colour_map: bytes = b""
    received: int = 0
    relative: bool | None = None
    extended_keys: bool = False

    # --- the handshake -------------------------------------------------------------------------------------------

    async def version(self, version: bytes = b"RFB 003.008\n") -> None:
        assert await self.read(12) == b"RFB 003.008\n"
        self.write(version)

    async def security_types(self) -> list[int]:
        return list(await self.read((await self.read(1))[0]))

    async def result(self) -> str:
        """Empty, or why not."""
        (failed,) = struct.unpack(">I", await self.read(4))
        if not failed:
            return ""
        (length,) = struct.unpack(">I", await self.read(4))
        return (await self.read(length)).decode()

    async def begin(self, shared: bool = True) -> None:
        self.write(bytes([shared]))
        self.width, self.height = struct.unpack(">HH", await self.read(4))
        assert await self.read(16) == Format().pack()
        (length,) = struct.unpack(">I", await self.read(4))
        self.name = (await self.read(length)).decode()
        self.forget()

    async def enter(self, shared: bool = True) -> None:
        """All of it, where no password is asked for."""
        await self.version()
        assert await self.security_types() == [1]
        self.write(b"\1")
        assert await self.result() == ""
        await self.begin(shared)

    # --- what it says --------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def set_format(self, pixel_format: Format) -> None:
        self.format = pixel_format
        self.write(b"\0\0\0\0" + pixel_format.pack())

    def set_encodings(self, *numbers: int) -> None:
        self.write(struct.pack(f">BxH{len(numbers)}i", 2, len(numbers), *numbers))

    def request(self, incremental: bool = True, area: tuple[int, int, int, int] | None = None) -> None:
        self.write(struct.pack(">BBHHHH", 3, incremental, *(area or (0, 0, self.width, self.height))))

    def key(self, keysym: int, down: bool) -> None:
        self.write(struct.pack(">BBxxI", 4, down, keysym))

    def qemu_key(self, keysym: int, number: int, down: bool) -> None:
        self.write(struct.pack(">BBHII", 255, 0, down, keysym, number))

    def point(self, x: int, y: int, buttons: int = 0) -> None:
        self.write(struct.pack(">BBHH", 5, buttons, x, y))

    def forget(self) -> None:
        self.picture = [[-1] * self.width for _ in range(self.height)]

    # --- what it is told -----------------------------------------------------------------------------------------

    async def read(self, length: int) -> bytes:
        self.received += length
        return await self.reader.readexactly(length)

    async def number(self, form: str) -> int:
        return int(struct.unpack(form, await self.read(struct.calcsize(form)))[0])

    async def update(self) -> list[Rectangle]:
        """The next update, drawn."""
        kind = await self.number(">B")
        if kind == 1:
            first, count = struct.unpack(">xHH", await self.read(5))
            assert (first, count) == (0, 256)
            self.colour_map = await self.read(6 * count)
            kind = await self.number(">B")
        assert kind == 0
        found = []
        for _ in range(await self.number(">xH")):
            rectangle = Rectangle(*struct.unpack(">HHHHi", await self.read(12)))
            found.append(rectangle)
            await self._rectangle(rectangle)
        return found

    async def _rectangle(self, r: Rectangle) -> None:
        if r.encoding >= 0:
            assert r.width and r.height and r.x + r.width <= self.width and r.y + r.height <= self.height
        match r.encoding:
            case 0:
                data = await self.read(r.width * r.height * self.format.size)
                self._put(r.x, r.y, r.width, r.height, self._pixels(data))
            case 5:
                await self._hextile(r)
            case 6:
                data = self._inflate("zlib", await self.read(await self.number(">I")))
                self._put(r.x, r.y, r.width, r.height, self._pixels(data))
            case 7:
                await self._tight(r)
            case 16:
                self._zrle(r, self._inflate("zrle", await self.read(await self.number(">I"))))
            case -223:
                self.width, self.height = r.width, r.height
                self.forget()
            case -308:
                screens = await self.number(">Bxxx")
                await self.read(16 * screens)
                if r.y == 0:
                    self.width, self.height = r.width, r.height
                    self.forget()
            case -239:
                mask = (r.width + 7) // 8 * r.height
                self.cursor = r, await self.read(r.width * r.height * self.format.size + mask)
            case -314:
                assert await self.number(">i") == 0
                self.cursor = r, await self.read(r.width * r.height * 4)
            case -257:
                self.relative = not r.x
            case -258:
                self.extended_keys = True
            case other:
                raise AssertionError(f"a rectangle of encoding {other}")

    def _put(self, x: int, y: int, width: int, height: int, pixels: list[int]) -> None:
        assert len(pixels) == width * height
        for row in range(height):
            self.picture[y + row][x : x + width] = pixels[row * width : (row + 1) * width]

    def _pixels(self, data: bytes, size: int | None = None) -> list[int]:
        size = size or self.format.size
        assert len(data) % size == 0
        if size != 3:
            order = ">" if self.format.big_endian else "<"
            return list(struct.unpack(f"{order}{len(data) // size}{'_BH_I'[size]}", data))
        return [self.format.number(data[at : at + size]) for at in range(0, len(data), size)]

    def _inflate(self, stream: str, data: bytes) -> bytes:
        streams: dict[str, zlib._Decompress] = self.__dict__.setdefault("streams", {})
        return streams.setdefault(stream, zlib.decompressobj()).decompress(data)

    # --- hextile (7.7.4) -----------------------------------------------------------------------------------------

    async def _hextile(self, r: Rectangle) -> None:
        background = foreground = 0
        for y in range(r.y, r.y + r.height, 16):
            for x in range(r.x, r.x + r.width, 16):
                width, height = min(16, r.x + r.width - x), min(16, r.y + r.height - y)
                kind = await self.number(">B")
                if kind & 1:
                    pixels = self._pixels(await self.read(width * height * self.format.size))
                    self._put(x, y, width, height, pixels)
                    continue
                if kind & 2:
                    background = self.format.number(await self.read(self.format.size))
                if kind & 4:
                    foreground = self.format.number(await self.read(self.format.size))
                self._put(x, y, width, height, [background] * (width * height))
                for _ in range(await self.number(">B") if kind & 8 else 0):
                    if kind & 16:
                        foreground = self.format.number(await self.read(self.format.size))
                    place, size = await self.read(2)
                    left, top, across, down = place >> 4, place & 15, (size >> 4) + 1, (size & 15) + 1
                    assert left + across <= width and top + down <= height
                    self._put(x + left, y + top, across, down, [foreground] * (across * down))

    # --- ZRLE (7.7.6) --------------------------------------------------------------------------------------------

    def _compact(self, data: bytes) -> list[int]:
        """CPIXELs."""
        used = 0
        for most, shift in zip(self.format.maxima, self.format.shifts, strict=True):
            used |= most << shift
        if self.format.bits != 32 or self.format.depth > 24 or (used >> 24 and used & 0xFF):
            return self._pixels(data)
        numbers = self._pixels(data, 3)
        return [number << 8 for number in numbers] if used >> 24 else numbers

    @property
    def _compact_size(self) -> int:
        return 3 if self.format.bits == 32 and len(self._compact(bytes(12))) == 4 else self.format.size

    def _zrle(self, r: Rectangle, data: bytes) -> None:
        at = 0

        def take(length: int) -> bytes:
            nonlocal at
            at += length
            assert at <= len(data)
            return data[at - length : at]

        def run_length() -> int:
            length = 1
            while (byte := take(1)[0]) == 255:
                length += 255
            return length + byte

        size = self._compact_size
        for y in range(r.y, r.y + r.height, 64):
            for x in range(r.x, r.x + r.width, 64):
                width, height = min(64, r.x + r.width - x), min(64, r.y + r.height - y)
                kind = take(1)[0]
                if kind == 0:
                    pixels = self._compact(take(width * height * size))
                elif kind == 1:
                    pixels = self._compact(take(size)) * (width * height)
                elif kind == 128:
                    pixels = []
                    while len(pixels) < width * height:
                        pixels += self._compact(take(size)) * run_length()
                elif kind >= 130:
                    palette = self._compact(take((kind - 128) * size))
                    pixels = []
                    while len(pixels) < width * height:
                        index = take(1)[0]
                        pixels += [palette[index & 0x7F]] * (run_length() if index & 0x80 else 1)
                else:
                    assert 2 <= kind <= 16
                    palette = self._compact(take(kind * size))
                    bits = 1 if kind == 2 else 2 if kind <= 4 else 4
                    pixels = []
                    for _ in range(height):
                        row = int.from_bytes(take((width * bits + 7) // 8), "big")
                        total = (width * bits + 7) // 8 * 8
                        for column in range(width):
                            pixels.append(palette[row >> (total - bits * (column + 1)) & ((1 << bits) - 1)])
                self._put(x, y, width, height, pixels)
        assert at == len(data)

    # --- tight ---------------------------------------------------------------------------------------------------

    def _tight_pixels(self, data: bytes) -> list[int]:
        """TPIXELs."""
        if self._tight_size != 3:
            return self._pixels(data)
        red, green, blue = self.format.shifts
        triples = [data[at : at + 3] for at in range(0, len(data), 3)]
        return [r << red | g << green | b << blue for r, g, b in triples]

    @property
    def _tight_size(self) -> int:
        return 3 if (self.format.depth, self.format.maxima) == (24, (255, 255, 255)) else self.format.size

    async def _tight(self, r: Rectangle) -> None:
        assert r.width <= 2048
        control = await self.number(">B")
        for stream in range(4):
            if control >> stream & 1:
                self.__dict__.setdefault("streams", {}).pop(f"tight {stream}", None)
        control >>= 4
        if control == 8:
            pixels = self._tight_pixels(await self.read(self._tight_size)) * (r.width * r.height)
        else:
            assert control < 8
            kind = await self.number(">B") if control & 4 else 0
            if kind == 1:
                count = 1 + await self.number(">B")
                palette = self._tight_pixels(await self.read(count * self._tight_size))
                across = (r.width + 7) // 8 if count == 2 else r.width
                data = await self._tight_data(control & 3, across * r.height)
                if count == 2:
                    bits = "".join(f"{byte:08b}" for byte in data)
                    data = bytes(int(bits[8 * across * y + x]) for y in range(r.height) for x in range(r.width))
                pixels = [palette[number] for number in data]
            else:
                assert kind == 0
                data = await self._tight_data(control & 3, r.width * r.height * self._tight_size)
                pixels = self._tight_pixels(data)
        self._put(r.x, r.y, r.width, r.height, pixels)

    async def _tight_data(self, stream: int, length: int) -> bytes:
        if length < 12:
            return await self.read(length)
        sent = shift = 0
        while True:
            byte = await self.number(">B")
            sent |= (byte & 0x7F if shift < 14 else byte) << shift
            shift += 7
            if shift == 21 or not byte & 0x80:
                break
        data = self._inflate(f"tight {stream}", await self.read(sent))
        assert len(data) == length
        return data
