"""A floppy drive: where its head is, what lies in it, and whether that was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from southbridge.block import BlockBackend, BlockQueue
from southbridge.component import State
from southbridge.device import Device
from southbridge.errors import RealizeError
from southbridge.properties import Link, Property

from .bus import FloppyBus
from .formats import DRIVE_TYPES, LARGEST, Format, format_of

if TYPE_CHECKING:
    from southbridge.block import Done

LAST_TRACK = 85
"""Where the head meets the stop."""


class FloppyDrive(Device):
    """A drive on a floppy disk controller's cable, A (unit 0) to D."""

    bus: FloppyBus = Link("buses", "floppy-bus.0", doc="The controller's cable.")
    unit: int | None = Property(None, ge=0, le=3, doc="Which drive it is; by default the first that is free.")
    drive: BlockBackend | None = Link("blockdevs", None, doc="The disk in it, if there is one at first.")
    drive_type: Literal["auto", "120", "144", "288"] = Property(
        "auto", doc='5.25" of 1.2 MB, 3.5" of 1.44 or 2.88 MB; auto: as its first disk needs, 288 without one.'
    )
    bootindex: int | None = Property(None, ge=0, doc="Its place in the firmware's boot order.")

    track: int = State(0, ge=0, le=LAST_TRACK, doc="Where the head is.")
    rotation: int = State(0, ge=0, le=255, doc="Sectors that READ ID saw go by.")
    changed: bool = State(True, keep=True, doc="DSKCHG: since the last step of the head with a disk in it.")
    tray_open: bool = State(False, keep=True, doc="A disk was taken out, and none put in.")

    locked = False
    queue: BlockQueue | None = None

    def realize(self) -> None:
        """Attaches to the cable. Raises RealizeError, also for an image that is larger than any floppy disk."""
        if not isinstance(self.bus, FloppyBus):
            raise RealizeError(f"{self.id}: its bus isn't a floppy controller's, such as floppy-bus.0")
        self.kind: str = self.drive_type
        if self.kind == "auto":
            self.kind = format_of(self.drive.size, "288").drive if self.drive is not None else "288"
        if self.drive is not None and self.drive.size > LARGEST:
            message = f"{self.drive.size} bytes are more than any floppy disk has: {LARGEST}"
            raise RealizeError(f"{self.id}: {self.drive.name}: {message}")
        self._insert(self.drive)
        self.number = self.bus.attach(self, self.unit, self.id)
        config = self.machine.firmware_config
        config.floppy_drives[self.number] = DRIVE_TYPES[self.kind]
        if self.bootindex is not None:
            try:
                config.add_boot_device(self.bootindex, f"/pci@i0cf8/isa@1/fdc@03f0/floppy@{self.number}")
            except ValueError as error:
                raise RealizeError(f"{self.id}: {error}") from None

    def unrealize(self) -> None:
        """Leaves the cable."""
        if isinstance(self.bus, FloppyBus):
            self.bus.detach(self)
        super().unrealize()

    def broke(self) -> None:
        """The cable is as if it weren't there."""
        self.bus.detach(self)

    # --- the disk ------------------------------------------------------------------------------------------------

    def change_medium(self, backend: BlockBackend | None) -> None:
        """See RemovableMedia."""
        self._insert(backend)
        self.tray_open = backend is None
        self.changed = True

    def move_tray(self, opened: bool) -> None:
        """See RemovableMedia."""
        self.tray_open = opened

    def _insert(self, backend: BlockBackend | None) -> None:
        self.drive = backend
        self.queue = BlockQueue(backend, self.machine.executor, self.machine.lock) if backend is not None else None
        self.format: Format | None = format_of(backend.size, self.kind) if backend is not None else None

    @property
    def protected(self) -> bool:
        """The disk can't be written; so is none."""
        return self.drive is None or not self.drive.writable

    @property
    def disk_changed(self) -> bool:
        """DSKCHG."""
        return self.changed or self.drive is None

    def step_to(self, track: int) -> None:
        """Moves the head, as far as it can."""
        track = max(0, min(track, LAST_TRACK))
        if track != self.track and self.drive is not None:
            self.changed = False
        self.track = track

    # --- its contents --------------------------------------------------------------------------------------------

    def read(self, place: int, length: int, done: Done) -> None:
        """Reads the disk, which is there; what an image is too short for is zeros."""
        assert self.queue is not None and self.drive is not None
        there = max(0, min(length, self.drive.size - place))
        if there == length:
            self.queue.read(place, length, done)
            return
        padding = bytes(length - there)
        self.queue.read(
            min(place, self.drive.size),
            there,
            lambda data, error: done(None if data is None else data + padding, error),
        )

    def write(self, place: int, data: bytes, done: Done) -> None:
        """Writes the disk, which is there."""
        assert self.queue is not None
        self.queue.write(place, data, done)
