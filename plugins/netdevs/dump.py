"""A filter that writes what passes to a file."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import BinaryIO, ClassVar, Literal

from southbridge.errors import SouthbridgeError
from southbridge.net import Frame, NetworkFilter, Offload, Takes
from southbridge.properties import FilePath, Property

from .capture import INBOUND, OUTBOUND, Pcap, PcapNg

logger = logging.getLogger(__name__)

FLUSH_S = 0.2
"""How long a frame may be in our buffer before it is in the file."""


class Dump(NetworkFilter):
    """Writes each frame that was taken to a file that Wireshark reads, as it is on the wire: whole segments, checksums.

    What was offered and refused is written once, when it is taken. A disk that is full ends the file, not the machine.
    """

    leaves_undone: ClassVar[Takes] = Takes.NOTHING

    path: FilePath = Property(doc="The file, which is overwritten.")
    format: Literal["pcap", "pcapng"] = Property("pcap", doc="The file's format.")

    _file: BinaryIO | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _flushing = False

    def open(self) -> None:
        """Makes the file. Raises SouthbridgeError if it can't be written."""
        super().open()
        self._form = Pcap() if self.format == "pcap" else PcapNg()
        try:
            self._file = self.path.open("wb")
            self._file.write(self._form.header())
            self._file.flush()
        except OSError as error:
            self.close()
            raise SouthbridgeError(f"dump: cannot write {self.path}: {error.strerror}") from None

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        """From now on what was written is brought to the file by and by."""
        self._loop, self._lock = loop, lock

    def close(self) -> None:
        """Writes what is left."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                logger.error("%s: the last frames are missing: %s", self.path, error.strerror)

    def from_card(self, frame: Frame, offload: Offload | None) -> bool:
        """See NetworkFilter."""
        taken = super().from_card(frame, offload)
        if taken:
            self._record(frame, OUTBOUND)
        return taken

    def from_network(self, frame: Frame, offload: Offload | None) -> bool:
        """See NetworkFilter."""
        taken = super().from_network(frame, offload)
        if taken:
            self._record(frame, INBOUND)
        return taken

    def _record(self, frame: Frame, direction: int) -> None:
        if self._file is None:
            return
        try:
            self._file.write(self._form.record(frame, time.time_ns(), direction))
        except OSError as error:
            self._give_up(error)
            return
        if self._loop is not None and not self._flushing:
            self._flushing = True
            self._loop.call_soon_threadsafe(self._loop.call_later, FLUSH_S, self._flush)

    def _flush(self) -> None:
        with self._lock:
            self._flushing = False
            if self._file is not None:
                try:
                    self._file.flush()
                except OSError as error:
                    self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        logger.error("%s: nothing more is written: %s", self.path, error.strerror)
        file, self._file = self._file, None
        try:
            assert file is not None
            file.close()
        except OSError:
            pass  # it has been told
