"""One client: what it says is taken in, and what changed is sent to it, when it asks and no faster than it takes it.

There is one update under way at a time, made a piece at a time, and a piece only once the client has taken most of the
one before. What changes meanwhile is a bit for each tile. So neither memory nor the guest's time depend on how fast a
client is (CVE-2017-15124).
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from ..display.surface import Rectangle
from . import pseudo
from .encodings import ENCODERS, Encoder, Level, Raw
from .encodings.encoder import FASTEST, pieces
from .messages import (
    CutText,
    Key,
    Message,
    PointerMove,
    SetDesktopSize,
    SetEncodings,
    SetPixelFormat,
    UpdateRequest,
    read_message,
)
from .pixels import NATIVE
from .screen import PointerPicture, Screen
from .security import Security
from .stream import Stream
from .tiles import Copy, TileMap
from .user import Keyboard, Pointer

if TYPE_CHECKING:
    from ..machine import Machine

PIECE = 1 << 18
"""Pixels that are encoded at once, at most, unless a row has more."""
MOST_RECTANGLES = 1024
"""In an update, before pieces; where there would be more, whole rows are sent."""
SEVERAL = 16
"""Messages of a client that are taken in before others have their turns."""

UPDATE = 0


class Session:
    """One client, from when it was let in. A Watcher of its screen."""

    def __init__(self, machine: Machine, screen: Screen, stream: Stream, executor: Executor) -> None:
        self._machine = machine
        self._screen = screen
        self._stream = stream
        self._executor = executor
        self._keyboard = Keyboard(machine.input)
        self._pointer = Pointer(machine.input)
        self._format = NATIVE
        self._level = Level()
        self._encoders: dict[int, Encoder] = {}
        self._encoding = Raw.number
        self._extras: frozenset[int] = frozenset()
        """The pseudo-encodings that it understands."""
        self._told = (0, 0)
        """The screen's size, as far as the client knows."""
        self._copy: Copy = screen.copy
        self._tiles: TileMap = self._copy.no_tiles()
        """What it is to be sent."""
        self._drawn: PointerPicture | None = None
        """The pointer in the picture that it has."""
        self._requested = False
        self._sends = False
        """An update is under way."""
        self._news = asyncio.Event()
        self._due: set[str] = set()
        """News that it is to be told besides."""
        self.waits = False
        self.peer = stream.peer

    async def run(self, name: str) -> None:
        """Serves it until it leaves, or something fails, which is raised."""
        self._screen.add(self)
        try:
            self.resized()
            self.pointer_changed()
            self._told = (self._copy.width, self._copy.height)
            text = name.encode()
            await self._stream.send(
                struct.pack(">HH", *self._told) + NATIVE.pack() + struct.pack(">I", len(text)) + text
            )
            tasks = [asyncio.ensure_future(self._listen()), asyncio.ensure_future(self._talk())]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._screen.remove(self)
            with self._machine.lock:
                self._keyboard.release()
                self._pointer.release()

    # --- what it says --------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        for number in itertools.count(1):
            self._take(await read_message(self._stream))
            if number % SEVERAL == 0:
                await asyncio.sleep(0)  # however much comes, others have their turns

    def _take(self, message: Message) -> None:
        match message:
            case UpdateRequest():
                self._requested = True
                if not message.incremental:
                    self._screen.look()
                    wanted = Rectangle(message.x, message.y, message.width, message.height)
                    self._tiles[self._copy.tiles_of(wanted)] = True
                self._check_motion()
                if self._sends or self._has_news:
                    self._news.set()
                else:
                    self._wait_for_news()
            case Key():
                self._screen.soon()
                with self._machine.lock:
                    if message.number is None:
                        self._keyboard.keysym(message.keysym, message.down)
                    else:
                        self._keyboard.number(message.keysym, message.number, message.down)
            case PointerMove():
                self._screen.soon()
                with self._machine.lock:
                    self._pointer.event(message.mask, message.x, message.y, *self._told)
                self._check_motion()
            case SetEncodings():
                self._understand(message.numbers)
            case SetPixelFormat():
                self._format = message.format
                self._due.discard("colour map")
                if not message.format.true_colour:
                    self._due.add("colour map")
            case SetDesktopSize():
                self._tell("size refused", pseudo.EXTENDED_DESKTOP_SIZE)
            case CutText():
                pass

    def _understand(self, numbers: tuple[int, ...]) -> None:
        self._encoding = next((number for number in numbers if number in ENCODERS), Raw.number)
        self._extras = frozenset(number for number in numbers if number < 0)
        levels = [number - pseudo.COMPRESSION[0] for number in numbers if number in pseudo.COMPRESSION]
        self._level.value = max(levels[0], FASTEST) if levels else FASTEST
        self._due -= {"size", "size refused", "keys", "motion", "pointer"}
        self._tell("size", pseudo.EXTENDED_DESKTOP_SIZE)
        self._tell("keys", pseudo.EXTENDED_KEYS)
        if self._screen.pointer is not None:
            self.pointer_changed()
        self._check_motion(anew=True)

    def _tell(self, news: str, extra: int) -> None:
        """Has the client told of `news`, if it understands `extra`."""
        if extra in self._extras:
            self._due.add(news)
            self._news.set()

    def _check_motion(self, anew: bool = False) -> None:
        """Whether it is to say where the pointer is depends on what the guest uses."""
        relative = not self._machine.input.points_absolutely
        if anew or relative != self._pointer.relative:
            self._tell("motion", pseudo.POINTER_MOTION)

    # --- what it is told -----------------------------------------------------------------------------------------

    def changed(self, tiles: TileMap) -> None:
        """See Watcher."""
        self._tiles |= tiles
        self._news.set()

    def resized(self) -> None:
        """See Watcher."""
        self._copy = self._screen.copy
        self._tiles = ~self._copy.no_tiles()
        self._news.set()

    def pointer_changed(self) -> None:
        """See Watcher."""
        drawn = None if self._shows_pointer else self._screen.pointer
        for pointer in (self._drawn, drawn):
            if pointer is not None and drawn != self._drawn:
                self._tiles[self._copy.tiles_of(pointer.rectangle)] = True
        self._drawn = drawn
        self._tell("pointer", pseudo.CURSOR)
        self._tell("pointer", pseudo.ALPHA_CURSOR)
        self._news.set()

    @property
    def _shows_pointer(self) -> bool:
        return bool(self._extras & {pseudo.CURSOR, pseudo.ALPHA_CURSOR})

    async def _talk(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if not self._requested:
                continue
            self._screen.look_again()
            update = self._size_news() or self._update()
            if update is None:
                self._wait_for_news()
                continue
            self.waits = self._requested = False
            self._sends = True
            for message in update:
                await self._stream.send(message if isinstance(message, bytes) else await message)
            self._sends = False

    @property
    def _has_news(self) -> bool:
        """Whether there may be something to tell it."""
        size = (self._copy.width, self._copy.height)
        return bool(self._due) or size != self._told or bool(self._tiles.any())

    def _wait_for_news(self) -> None:
        self.waits = True
        self._screen.want()

    def _size_news(self) -> Iterable[bytes] | None:
        """A message of its own, if the client is to be told of a size."""
        size = (self._copy.width, self._copy.height)
        extended = pseudo.EXTENDED_DESKTOP_SIZE in self._extras
        if not extended and pseudo.DESKTOP_SIZE not in self._extras:
            return None
        rectangles = []
        if "size refused" in self._due:
            rectangles.append(pseudo.extended_desktop_size(*size, pseudo.BY_CLIENT, pseudo.PROHIBITED))
        if size != self._told or "size" in self._due:
            rectangles.append(pseudo.extended_desktop_size(*size) if extended else pseudo.desktop_size(*size))
            self._told = size
        self._due -= {"size", "size refused"}
        return [_update_header(len(rectangles)) + b"".join(rectangles)] if rectangles else None

    def _update(self) -> Iterator[Any] | None:
        """The pieces of an update, messages or what makes them; None: there is nothing to tell."""
        parts = self._parts()
        rectangles = self._other_news()
        if not parts and not rectangles:
            return None
        start = _update_header(len(rectangles) + len(parts)) + b"".join(rectangles)
        if "colour map" in self._due:
            self._due.discard("colour map")
            start = self._format.colour_map() + start
        return self._messages(start, parts)

    def _other_news(self) -> list[bytes]:
        rectangles = []
        if "keys" in self._due:
            rectangles.append(pseudo.extended_keys())
        if "motion" in self._due:
            self._pointer.relative = not self._machine.input.points_absolutely
            rectangles.append(pseudo.pointer_motion(self._pointer.relative))
        if "pointer" in self._due:
            picture = self._screen.pointer.cursor if self._screen.pointer else None
            if pseudo.ALPHA_CURSOR in self._extras:
                rectangles.append(pseudo.alpha_cursor(picture))
            else:
                rectangles.append(pseudo.cursor(picture, self._format))
        self._due -= {"keys", "motion", "pointer"}
        return rectangles

    def _parts(self) -> list[Rectangle]:
        """What is to be sent of the picture, and isn't from now on. All of it lies within what the client knows."""
        if not self._tiles.any():
            return []
        tiles, self._tiles = self._tiles, self._copy.no_tiles()
        rectangles = self._copy.rectangles(tiles)
        if len(rectangles) > MOST_RECTANGLES:
            tiles |= tiles.any(axis=1, keepdims=True)
            rectangles = self._copy.rectangles(tiles)
        known = [rectangle.within(*self._told) for rectangle in rectangles]
        widest = self._encoder().widest
        return [part for rectangle in known if rectangle.area for part in pieces(rectangle, widest, PIECE)]

    def _encoder(self) -> Encoder:
        if self._encoding not in self._encoders:
            self._encoders[self._encoding] = ENCODERS[self._encoding](self._level)
        return self._encoders[self._encoding]

    def _messages(self, start: bytes, parts: list[Rectangle]) -> Iterator[Any]:
        """One after the other, of bounded size; larger ones are made on another thread."""
        copy, encoder, pixel_format = self._copy, self._encoder(), self._format
        pointer = None if self._shows_pointer else self._drawn

        def encoded(start: bytes, batch: list[Rectangle]) -> bytes:
            pieces = [start]
            for part in batch:
                pixels = copy.pixels[part.y : part.bottom, part.x : part.right]
                pieces.append(pseudo.header(*part, encoder.number))
                pieces.append(encoder.encode(pseudo.drawn(pixels, part, pointer), pixel_format))
            return b"".join(pieces)

        loop = asyncio.get_running_loop()
        while parts or start:
            batch = _batch(parts)
            parts = parts[len(batch) :]
            if sum(part.area for part in batch) <= encoder.quick:
                yield encoded(start, batch)
            else:
                yield loop.run_in_executor(self._executor, encoded, start, batch)
            start = b""


def _update_header(rectangles: int) -> bytes:
    return struct.pack(">BxH", UPDATE, rectangles)


def _batch(parts: list[Rectangle]) -> list[Rectangle]:
    """The first of `parts`, with as many after it as are a piece together."""
    area = 0
    for count, part in enumerate(parts):
        area += part.area
        if count and area > PIECE:
            return parts[:count]
    return parts


async def admitted(stream: Stream, security: Security) -> bool:
    """Lets a client in: whether it shares the screen with others (ClientInit). Raises what `security` raises."""
    await security.admit(stream)
    return bool((await stream.read(1))[0])
