"""eject, blockdev-change-medium: what lies in a drive."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from ..backends import add_backend, make_backend, remove_backend, users
from ..block import BlockBackend, RemovableMedia
from ..control.commands import DEVICE_NOT_FOUND, CommandError
from ..discovery import names
from ..errors import SouthbridgeError

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine

Access = Literal["retain", "read-only", "read-write"]


class MediaCommands:
    """Drives with a tray."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._turn = asyncio.Lock()

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {
            "eject": self.eject,
            "blockdev-change-medium": self.change_medium,
            "blockdev-open-tray": self.open_tray,
            "blockdev-close-tray": self.close_tray,
            "blockdev-insert-medium": self.insert_medium,
            "blockdev-remove-medium": self.remove_medium,
        }

    async def eject(self, id: str | None = None, device: str | None = None, force: bool = False) -> None:
        """Opens a drive's tray and takes out what is in it."""
        async with self._turn:
            name, drive = self._drive(id, device)
            self._check_lock(name, drive, force)
            await self._take_out(name, drive)

    async def change_medium(
        self,
        filename: str,
        id: str | None = None,
        device: str | None = None,
        format: str = "raw",
        force: bool = False,
        read_only_mode: Access = "retain",
    ) -> None:
        """Puts the image `filename` into a drive."""
        async with self._turn:
            name, drive = self._drive(id, device)
            self._check_lock(name, drive, force)
            if format not in names("blockdevs"):
                raise SouthbridgeError(f"Unknown driver '{format}'")
            values = {"path": filename, "read_only": read_only_mode != "read-write"}
            machine = self._machine
            new = await asyncio.to_thread(make_backend, machine, "blockdevs", filename, format, values)
            try:
                await self._take_out(name, drive)
            except BaseException:
                new.close()
                raise
            with machine.lock:
                drive.change_medium(new)
            id = name if name not in machine.backends["blockdevs"] else f"{name}-medium"
            add_backend(machine, "blockdevs", id, format, values, new)
            self._describe(name, id)
            self._moved(name, opened=False)

    async def open_tray(self, id: str | None = None, device: str | None = None, force: bool = False) -> None:
        """Opens a drive's tray, with what is in it."""
        async with self._turn:
            name, drive = self._drive(id, device)
            self._check_lock(name, drive, force)
            self._move_tray(name, drive, opened=True)

    async def close_tray(self, id: str | None = None, device: str | None = None) -> None:
        """Closes it."""
        async with self._turn:
            self._move_tray(*self._drive(id, device), opened=False)

    async def insert_medium(self, id: str, node_name: str) -> None:
        """Puts the image `node_name`, which nothing uses, into a drive whose tray is open."""
        async with self._turn:
            name, drive = self._drive(id, None)
            image = self._machine.backends["blockdevs"].get(node_name)
            if image is None:
                raise CommandError(f"Node '{node_name}' not found")
            if users(self._machine, image):
                raise CommandError(f"Node '{node_name}' is already in use")
            self._check_open(name, drive)
            if drive.drive is not None:
                raise CommandError(f"There already is a medium in device '{name}'")
            self._exchange(name, drive, node_name, image)

    async def remove_medium(self, id: str) -> None:
        """Takes out what is in a drive whose tray is open; the image is there still."""
        async with self._turn:
            name, drive = self._drive(id, None)
            old = drive.drive
            if old is None:
                return
            self._check_open(name, drive)
            self._exchange(name, drive, None, None)
            for queue in old.queues:
                await asyncio.to_thread(queue.drain)
            old.queues = ()

    def _check_open(self, name: str, drive: RemovableMedia) -> None:
        if not drive.tray_open:
            raise CommandError(f"Tray of device '{name}' is not open")

    def _move_tray(self, name: str, drive: RemovableMedia, *, opened: bool) -> None:
        if drive.tray_open != opened:
            with self._machine.lock:
                drive.move_tray(opened)
            self._moved(name, opened=opened)

    def _exchange(self, name: str, drive: RemovableMedia, id: str | None, image: BlockBackend | None) -> None:
        """Another medium, or none, is in the open tray."""
        machine = self._machine
        with machine.lock:
            drive.change_medium(image)
            drive.move_tray(True)
        self._describe(name, id)

    def _drive(self, id: str | None, device: str | None) -> tuple[str, RemovableMedia]:
        """The drive of the device `id`, or the one that has the back end `device`. Raises SouthbridgeError."""
        machine = self._machine
        if (id is None) == (device is None):
            raise SouthbridgeError("Need exactly one of 'device' and 'id'")
        name = self._drive_of(device) if id is None else self._at(id)
        drive = machine.devices.get(name)
        if drive is None:
            raise CommandError(f"Device '{id or device}' not found", DEVICE_NOT_FOUND)
        if not isinstance(drive, RemovableMedia):
            raise SouthbridgeError(f"Device '{name}' is not removable")
        return name, drive

    def _at(self, id: str) -> str:
        """The device `id`, or the one at that QOM path."""
        if not id.startswith("/"):
            return id
        from ..qom.paths import device_path

        devices = list(self._machine.devices.items())
        return next((name for name, device in devices if device_path(self._machine, device) == id), id)

    def _drive_of(self, device: str | None) -> str:
        """The device that is called `device`, or has the back end of that name."""
        backend = self._machine.backends["blockdevs"].get(device or "")
        having = (id for id, found in self._machine.devices.items() if getattr(found, "drive", None) is backend)
        return (next(having, "") if backend is not None else "") or device or ""

    def _check_lock(self, name: str, drive: RemovableMedia, force: bool) -> None:
        if drive.locked and not drive.tray_open and not force:
            raise SouthbridgeError(
                f"Device '{name}' is locked and force was not specified, wait for tray to open and try again"
            )

    async def _take_out(self, name: str, drive: RemovableMedia) -> None:
        """The tray is open, and nothing in it; the image is closed once it has finished its requests."""
        machine = self._machine
        old = drive.drive
        was_open = drive.tray_open
        with machine.lock:
            drive.change_medium(None)
            drive.move_tray(True)
        if not was_open:
            self._moved(name, opened=True)
        if old is not None:
            for queue in old.queues:
                await asyncio.to_thread(queue.close)
            for id in [id for id, other in machine.backends["blockdevs"].items() if other is old]:
                remove_backend(machine, "blockdevs", id)
            self._describe(name, None)

    def _moved(self, name: str, *, opened: bool) -> None:
        data = {"device": name, "tray-open": opened, "id": name}
        self._machine.hooks.call.machine_event(machine=self._machine, name="DEVICE_TRAY_MOVED", data=data)

    def _describe(self, device: str, drive: str | None) -> None:
        """The description says that the back end `drive` is in `device`."""
        description = self._machine.description
        part = self._machine.part("devices", device)
        if description is None or part is None:
            return
        values = {key: value for key, value in part.values.items() if key != "drive"}
        if drive is not None:
            values["drive"] = drive
        devices = {**description.sections["devices"], device: part._replace(values=values)}
        self._machine.description = description._replace(sections={**description.sections, "devices": devices})
