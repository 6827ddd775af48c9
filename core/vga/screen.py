"""A card's screen. What draws it (`picture`) is made, and imported, once somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..display import GraphicConsole

if TYPE_CHECKING:
    from ..device import Device
    from ..memory.regions import Ram
    from .modes import Mode
    from .picture import Lines, Picture
    from .registers import Vga


class Screen:
    """What `vga`'s card shows of `vram`, in the mode that `find_mode` gives.

    `prepare()` is called before anything is drawn; `overlay(lines)` draws what lies above the picture onto lines that
    were drawn anew.
    """

    def __init__(self, device: Device, vga: Vga, vram: Ram, find_mode: Callable[[], Mode]) -> None:
        self.console = GraphicConsole(device.id, self.update, self._watched)
        self.device = device
        self.vga = vga
        self.vram = vram
        self.find_mode = find_mode
        self.overlay: Callable[[Lines], None] | None = None
        self.prepare: Callable[[], None] | None = None
        self.picture: Picture | None = None
        """Since somebody looked for the first time."""

    def touch(self) -> None:
        """The registers changed: the mode or the palette may be others."""
        if self.picture is not None:
            self.picture.touch()

    def redraw(self) -> None:
        """Nothing that is on the surface counts any more."""
        if self.picture is not None:
            self.picture.redraw()

    def redraw_lines(self, first: int, end: int) -> None:
        """What lies above lines `first` to before `end` changed."""
        if self.picture is not None:
            self.picture.redraw_lines(first, end)

    def close(self) -> None:
        """The device leaves."""
        self._watched(False)

    def update(self) -> None:
        """Makes the surface what the card shows now."""
        if self.picture is not None:
            self.picture.update()

    def _watched(self, watched: bool) -> None:
        if self.picture is None and watched:
            from .picture import Picture

            self.picture = Picture(self)
        if self.picture is not None:
            self.picture.watched(watched)
