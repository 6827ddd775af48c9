"""Images that come and go by name, and drives whose tray is opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.core.qmp.talking import refused


async def nodes(qmp: Any) -> dict[str, str]:
    return {node["node-name"]: node["drv"] for node in await qmp.execute("query-named-block-nodes")}


def test_a_file_its_format_and_the_device_that_has_it(converse: Callable[..., None], tmp_path: Path) -> None:
    async def talk(qmp: Any) -> None:
        file = {"driver": "file", "node-name": "storage", "filename": str(tmp_path / "boot.img")}
        await qmp.execute("blockdev-add", file)
        await qmp.execute("blockdev-add", {"driver": "raw", "node-name": "format", "file": "storage"})
        assert (await nodes(qmp)).keys() == {"cd", "format"}
        assert "Block device storage is in use" in await refused(qmp.execute("blockdev-del", {"node-name": "storage"}))
        await qmp.execute("device_add", {"driver": "usb-storage", "id": "stick", "drive": "format"})
        assert "Node format is in use" in await refused(qmp.execute("blockdev-del", {"node-name": "format"}))
        drives = {drive["qdev"]: drive for drive in await qmp.execute("query-block") if "qdev" in drive}
        assert drives["stick"]["inserted"]["file"] == str(tmp_path / "boot.img")
        await qmp.execute("device_del", {"id": "stick"})
        await qmp.execute("blockdev-del", {"node-name": "format"})
        assert (await nodes(qmp)).keys() == {"cd", "storage"}
        await qmp.execute("blockdev-del", {"node-name": "storage"})
        assert "Failed to find node" in await refused(qmp.execute("blockdev-del", {"node-name": "storage"}))
        missing = {"driver": "file", "filename": str(tmp_path / "none.img")}
        added = {"driver": "raw", "node-name": "format", "file": missing}
        assert "No such file or directory" in await refused(qmp.execute("blockdev-add", added))
        assert (await nodes(qmp)).keys() == {"cd"}

    converse(talk, "-usb")


def test_what_cant_be_opened_leaves_what_was_there(converse: Callable[..., None], tmp_path: Path) -> None:
    async def talk(qmp: Any) -> None:
        file = {"driver": "file", "node-name": "storage", "filename": str(tmp_path / "boot.img")}
        await qmp.execute("blockdev-add", file)
        wrong = {"driver": "qcow2", "node-name": "format", "file": "storage"}
        assert "GenericError" in await refused(qmp.execute("blockdev-add", wrong))
        assert (await nodes(qmp)).keys() == {"cd", "storage"}
        failing = {
            "driver": "blkdebug",
            "node-name": "bad",
            "image": "storage",
            "inject-error": [{"event": "write_aio"}],
        }
        await qmp.execute("blockdev-add", failing)
        assert "in use" in await refused(qmp.execute("blockdev-del", {"node-name": "storage"}))
        await qmp.execute("blockdev-del", {"node-name": "bad"})
        await qmp.execute("blockdev-del", {"node-name": "storage"})

    converse(talk)


def test_another_disc_by_hand(converse: Callable[..., None], tmp_path: Path) -> None:
    async def talk(qmp: Any) -> None:
        other = {"driver": "file", "filename": str(tmp_path / "cd2.iso")}
        await qmp.execute("blockdev-add", {"driver": "raw", "node-name": "other", "read-only": True, "file": other})
        assert "Tray of device 'drive' is not open" in await refused(
            qmp.execute("blockdev-remove-medium", {"id": "drive"})
        )
        with qmp.listener("DEVICE_TRAY_MOVED") as moved:
            await qmp.execute("blockdev-open-tray", {"id": "drive"})
            await qmp.execute("blockdev-open-tray", {"device": "cd"})
            assert "There already is a medium in device 'drive'" in await refused(
                qmp.execute("blockdev-insert-medium", {"id": "drive", "node-name": "other"})
            )
            await qmp.execute("blockdev-remove-medium", {"id": "drive"})
            await qmp.execute("blockdev-insert-medium", {"id": "/machine/peripheral/drive", "node-name": "other"})
            await qmp.execute("blockdev-close-tray", {"id": "drive"})
            assert [(await moved.get())["data"]["tray-open"] for _ in range(2)] == [True, False]
            assert moved.empty()
        (drive, loose) = await qmp.execute("query-block")
        assert (drive["inserted"]["file"], drive["tray_open"]) == (str(tmp_path / "cd2.iso"), False)
        assert loose["inserted"]["file"] == str(tmp_path / "cd1.iso")
        assert "Node 'other' is already in use" in await refused(
            qmp.execute("blockdev-insert-medium", {"id": "drive", "node-name": "other"})
        )
        await qmp.execute("blockdev-del", {"node-name": "cd"})

    converse(talk)
