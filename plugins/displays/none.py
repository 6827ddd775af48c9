"""The display `none`."""

from __future__ import annotations

from southbridge.display import Display


class NoDisplay(Display):
    """Shows nothing."""

    def open(self) -> None:
        """See Display."""

    async def start(self) -> None:
        """See Display."""

    async def stop(self) -> None:
        """See Display."""

    def close(self) -> None:
        """See Display."""
