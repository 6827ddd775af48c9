"""The network that nobody is on."""

from __future__ import annotations

from collections.abc import Sequence

from southbridge.net import Frame, NetworkBackend, NetworkPort, Offload, Takes


class NullNetdev(NetworkBackend):
    """Drops what is sent; nothing ever comes. The link is up."""

    def open(self) -> None:
        """Needs nothing."""
        takes = Takes.CHECKSUM | Takes.TCP4 | Takes.TCP6
        self.port = NetworkPort(self._drop, receive_batch=self._drop_all, takes=takes)

    def plug(self, port: NetworkPort) -> None:
        """See NetworkBackend."""
        self.plug_into(self.port, port)

    def close(self) -> None:
        """Holds nothing."""

    def _drop(self, frame: Frame, offload: Offload | None) -> bool:
        return True

    def _drop_all(self, frames: Sequence[Frame], offload: Offload | None) -> int:
        return len(frames)
