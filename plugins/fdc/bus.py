"""The cable between a floppy disk controller and its drives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from southbridge.errors import RealizeError

if TYPE_CHECKING:
    from .drive import FloppyDrive

MOST_DRIVES = 4


class FloppyBus:
    """Room for four drives."""

    def __init__(self) -> None:
        self.drives: list[FloppyDrive | None] = [None] * MOST_DRIVES

    def attach(self, drive: FloppyDrive, unit: int | None, who: str) -> int:
        """Connects `drive`, called `who`; says which it is. Raises RealizeError if there is no room."""
        free = [place for place, other in enumerate(self.drives) if other is None]
        if unit is None and free:
            unit = free[0]
        if unit is None or unit not in free:
            raise RealizeError(f"{who}: the cable's place for that drive is taken")
        self.drives[unit] = drive
        return unit

    def detach(self, drive: FloppyDrive) -> None:
        """Disconnects `drive`, if it is connected."""
        self.drives = [None if other is drive else other for other in self.drives]
