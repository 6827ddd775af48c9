"""An Ethernet interface of the host's (Linux's Documentation/networking/tuntap.rst).

Each frame has a header in front, virtio's (virtio 1.2, section 5.1.6), by which large segments go to the kernel whole.
What the kernel gives is finished, since the cards have no use for more.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import struct
import threading

from southbridge.errors import SouthbridgeError
from southbridge.net import Frame, Gso, NetworkBackend, NetworkPort, Offload, Takes
from southbridge.net.frames import LARGEST
from southbridge.properties import Property

logger = logging.getLogger(__name__)

DEVICE = "/dev/net/tun"
TUNSETIFF, TUNGETIFF, TUNSETVNETHDRSZ, TUNSETOFFLOAD = 0x4004_54CA, 0x8004_54D2, 0x4004_54D8, 0x4004_54D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
LONGEST_NAME = 15
_REQUEST = struct.Struct("16sH22x")

HEADER = struct.Struct("<BBHHHH")
NEEDS_CHECKSUM, DATA_VALID = 1, 2
_PLAIN = HEADER.pack(0, 0, 0, 0, 0, 0)
FRAMES = 64
"""How many are read in one turn of the main loop."""
_CHECKED = Offload(checksum_good=True)


class TapNetdev(NetworkBackend):
    """A tap interface: one that is made for as long as the machine is there, one that exists, or an open descriptor."""

    ifname: str = Property(
        "", max_length=LONGEST_NAME, doc="Its name; by default the first tap0, tap1... that is free."
    )
    fd: int | None = Property(None, ge=0, doc="An open descriptor of one, in place of a name.")

    _descriptor: int | None = None
    _loop: asyncio.AbstractEventLoop | None = None

    # --- life ----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Opens the interface. Raises SouthbridgeError."""
        self._held: list[bytes] = []  # what one turn brought and the card had no room for
        self._offload: Offload | None = None
        self._buffer = memoryview(bytearray(LARGEST + HEADER.size))
        self._watches_output = False
        self._header = True
        try:
            self._descriptor = os.dup(self.fd) if self.fd is not None else self._attach()
            self._ask()
            os.set_blocking(self._descriptor, False)
        except OSError as error:
            self.close()
            raise SouthbridgeError(self._problem(error)) from None
        takes = Takes.CHECKSUM | Takes.TCP4 | Takes.TCP6 if self._header else Takes.NOTHING
        self.port = NetworkPort(self._send, sendable=self._card_has_room, takes=takes)

    def _attach(self) -> int:
        descriptor = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        try:
            flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
            fcntl.ioctl(descriptor, TUNSETIFF, _REQUEST.pack(self.ifname.encode(), flags))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _ask(self) -> None:
        """What it is called, and whether it has the header."""
        assert self._descriptor is not None
        answer = fcntl.ioctl(self._descriptor, TUNGETIFF, _REQUEST.pack(b"", 0))
        name, flags = _REQUEST.unpack(answer)
        if not flags & IFF_TAP or not flags & IFF_NO_PI:
            raise SouthbridgeError("tap: the interface must be a tap without packet information (IFF_TAP, IFF_NO_PI)")
        self.name = name.rstrip(b"\0").decode(errors="replace")
        self._header = bool(flags & IFF_VNET_HDR)
        if self._header:
            fcntl.ioctl(self._descriptor, TUNSETVNETHDRSZ, struct.pack("i", HEADER.size))
            fcntl.ioctl(self._descriptor, TUNSETOFFLOAD, 0)

    def _problem(self, error: OSError) -> str:
        which = f"descriptor {self.fd}" if self.fd is not None else self.ifname or "an interface"
        if error.errno in (errno.EPERM, errno.EACCES):
            return f"tap: no permission for {which}: it takes CAP_NET_ADMIN, or an interface that is yours (ip tuntap)"
        if error.errno == errno.EBUSY:
            return f"tap: {which} is in use by another program"
        if error.errno in (errno.ENOENT, errno.ENODEV) and self.fd is None:
            return f"tap: there is no {DEVICE}: is the kernel's module tun there?"
        if error.errno == errno.EINVAL and self.fd is None:
            return f"tap: {which} is an interface of another kind"
        return f"tap: cannot use {which}: {error.strerror}"

    def plug(self, port: NetworkPort) -> None:
        """See NetworkBackend."""
        self.plug_into(self.port, port)

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        """Begins to read."""
        assert self._descriptor is not None
        self._loop, self._lock = loop, lock
        loop.add_reader(self._descriptor, self._readable)

    def close(self) -> None:
        """Gives it back; one that we made goes."""
        if self._descriptor is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._descriptor)
                self._loop.remove_writer(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    # --- from the card -------------------------------------------------------------------------------------------

    def _send(self, frame: Frame, offload: Offload | None) -> bool:
        if self._descriptor is None:
            return True
        parts: list[Frame] = [_header(offload), frame] if self._header else [frame]
        try:
            os.writev(self._descriptor, parts)
        except BlockingIOError:
            self._watch_output()
            return False
        except OSError as error:  # the interface is down, or refuses the frame
            logger.debug("%s: a frame of %d bytes is lost: %s", self.name, len(frame), error.strerror)
        return True

    def _watch_output(self) -> None:
        if not self._watches_output and self._loop is not None:
            self._watches_output = True
            self._loop.call_soon_threadsafe(self._write_on)

    def _write_on(self) -> None:
        if self._descriptor is not None and self._loop is not None:
            self._loop.add_writer(self._descriptor, self._writable)

    def _writable(self) -> None:
        with self._lock:
            if self._descriptor is not None and self._loop is not None:
                self._loop.remove_writer(self._descriptor)
                self._watches_output = False
                self.port.ready()

    # --- to the card ---------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        with self._lock:
            if self._held or self._descriptor is None:
                return
            self._held, self._offload = self._read(self._descriptor)
            if not self._deliver():
                self._stop_reading()

    def _read(self, descriptor: int) -> tuple[list[bytes], Offload | None]:
        """The frames that are there, as many as one turn has, and whether the kernel vouches for all of them."""
        frames: list[bytes] = []
        header, checked = (HEADER.size, True) if self._header else (0, False)
        buffer = self._buffer
        try:
            while len(frames) < FRAMES:
                length = os.readv(descriptor, (buffer,))
                if length > header:
                    frames.append(bytes(buffer[header:length]))
                    checked = checked and bool(buffer[0] & (NEEDS_CHECKSUM | DATA_VALID))
        except BlockingIOError:
            pass
        except OSError as error:
            logger.warning("%s: %s", self.name, error.strerror)
            self._stop_reading()
            self.port.carrier = False
        return frames, _CHECKED if checked else None

    def _deliver(self) -> bool:
        """Gives the card what it has room for; False if something is left."""
        if self._held:
            del self._held[: self.port.send_batch(self._held, self._offload)]
        return not self._held

    def _stop_reading(self) -> None:
        if self._loop is not None and self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)

    def _card_has_room(self) -> None:
        """On any thread."""
        if self._held and self._deliver() and self._loop is not None:
            self._loop.call_soon_threadsafe(self._read_on)

    def _read_on(self) -> None:
        with contextlib.suppress(OSError):
            if self._descriptor is not None and self._loop is not None:
                self._loop.add_reader(self._descriptor, self._readable)


def _header(offload: Offload | None) -> bytes:
    """What is left to do, as the kernel is told it."""
    if offload is None or offload.checksum_start is None:
        return _PLAIN
    return HEADER.pack(
        NEEDS_CHECKSUM,
        offload.gso.value if offload.gso is not Gso.NONE else 0,
        offload.header_length,
        offload.segment_size,
        offload.checksum_start,
        offload.checksum_offset,
    )
