"""QEMU's commands, said by QEMU's own client (qemu.qmp), one by one: what comes back, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.core.qmp.talking import refused


def test_who_it_is(converse: Callable[..., None]) -> None:
    async def talk(qmp: Any) -> None:
        assert await qmp.execute("query-version") == {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}
        assert await qmp.execute("query-uuid") == {"UUID": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}
        assert await qmp.execute("query-name") == {"name": "talks"}
        assert await qmp.execute("query-vnc") == {"enabled": False}
        assert "there is no such server" in await refused(qmp.execute("change-vnc-password", {"password": "x"}))
        assert await qmp.execute("query-status") == {"running": False, "singlestep": False, "status": "prelaunch"}
        (cpu,) = await qmp.execute("query-hotpluggable-cpus")
        again = {"id": "again", "driver": cpu["type"], **cpu["props"]}
        assert "CPU 0 is there already" in await refused(qmp.execute("device_add", again))
        again["core-id"] = 1
        assert "expected socket-id 0, core-id 0, thread-id 0" in await refused(qmp.execute("device_add", again))

    converse(talk, "-uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8")


def test_what_it_can_be(converse: Callable[..., None]) -> None:
    async def talk(client: Any) -> None:
        machines = {machine["name"]: machine for machine in await client.execute("query-machines")}
        assert machines.keys() == {"pc-i440fx-7.2", "xenfv-4.2", "none"}
        assert [name for name, machine in machines.items() if machine.get("is-default")] == ["pc-i440fx-7.2"]
        assert machines["none"]["cpu-max"] == 1
        models = {model["name"]: model for model in await client.execute("query-cpu-definitions")}
        assert models["qemu64"]["typename"] == "qemu64-i386-cpu"
        assert [name for name, model in models.items() if not model["migration-safe"]] == ["host"]
        assert await client.execute("query-kvm") == {"enabled": False, "present": True}
        (memory,) = await client.execute("query-memdev")
        assert memory["size"] == 32 << 20

    converse(talk)


def test_memory_and_cpus(converse: Callable[..., None], tmp_path: Path) -> None:
    """The reset vector's firmware is a far jump."""

    async def talk(qmp: Any) -> None:
        assert await qmp.execute("query-memory-size-summary") == {"base-memory": 32 << 20, "plugged-memory": 0}
        saved = tmp_path / "memory"
        where = {"val": 0xFFFF_FFF0, "size": 16, "filename": str(saved)}
        await qmp.execute("pmemsave", where)
        assert saved.read_bytes()[0] == 0xEA
        hole = {"val": 0xE000_0000, "size": 4096, "filename": str(tmp_path / "hole")}
        assert "0xe0000000" in await refused(qmp.execute("pmemsave", hole))
        assert not (tmp_path / "hole").exists()
        nowhere = {**where, "filename": str(tmp_path / "none" / "memory")}
        assert "No such file or directory" in await refused(qmp.execute("pmemsave", nowhere))
        await qmp.execute("memsave", {**where, "val": 0xFFFF_0000, "size": 1 << 16})
        assert saved.read_bytes()[0xFFF0] == 0xEA
        assert "cpu-index" in await refused(qmp.execute("memsave", {**where, "cpu-index": 5}))
        assert await qmp.execute("inject-nmi") == {}
        assert await qmp.execute("set-action", {"reboot": "shutdown", "panic": "exit-failure"}) == {}
        assert await qmp.execute("watchdog-set-action", {"action": "pause"}) == {}
        assert "does not accept value 'foo'" in await refused(qmp.execute("watchdog-set-action", {"action": "foo"}))

    converse(talk)


def test_discs(converse: Callable[..., None], tmp_path: Path) -> None:
    async def talk(qmp: Any) -> None:
        said: list[dict[str, Any]] = []
        with qmp.listener("DEVICE_TRAY_MOVED") as moved:
            await qmp.execute("eject", {"id": "drive"})
            await qmp.execute("eject", {"device": "drive"})  # nothing moves any more
            change = {"id": "drive", "filename": str(tmp_path / "cd2.iso"), "format": "raw"}
            await qmp.execute("blockdev-change-medium", change)
            said += [(await moved.get())["data"] for _ in range(2)]
            assert moved.empty()
        assert said == [{"device": "drive", "tray-open": opened, "id": "drive"} for opened in (True, False)]
        block = await qmp.execute("human-monitor-command", {"command-line": "info block"})
        assert f"image (image): {tmp_path}/boot.img (raw)\r\n    Attached to:      disk\r\n" in block
        assert f"drive (drive): {tmp_path}/cd2.iso (raw, read-only)\r\n    Attached to:      drive\r\n" in block
        missing = {**change, "filename": str(tmp_path / "none.iso")}
        assert "No such file" in await refused(qmp.execute("blockdev-change-medium", missing))
        assert "cd2.iso" in await qmp.execute("human-monitor-command", {"command-line": "info block"})
        assert "Unknown driver 'vhdx'" in await refused(
            qmp.execute("blockdev-change-medium", {**change, "format": "vhdx"})
        )
        assert "Device 'nobody' not found" in await refused(qmp.execute("eject", {"id": "nobody"}))
        assert "Need exactly one of 'device' and 'id'" in await refused(qmp.execute("eject"))
        assert "Device 'disk' is not removable" in await refused(qmp.execute("eject", {"id": "disk"}))

    options = ["-drive", f"id=image,if=none,file={tmp_path}/boot.img", "-device", "ide-hd,id=disk,drive=image"]
    converse(talk, *options)


def test_what_lies_in_the_drives(converse: Callable[..., None], tmp_path: Path) -> None:
    async def talk(client: Any) -> None:
        (drive,) = await client.execute("query-block")
        assert (drive["device"], drive["qdev"], drive["tray_open"]) == ("cd", "drive", False)
        node = drive["inserted"]
        assert (node["file"], node["ro"], node["image"]["virtual-size"]) == (f"{tmp_path}/cd1.iso", True, 1 << 20)
        assert await client.execute("query-named-block-nodes") == [node]
        await client.execute("eject", {"id": "drive"})
        (drive,) = await client.execute("query-block")
        assert drive["tray_open"]
        assert "inserted" not in drive
        assert await client.execute("query-named-block-nodes") == []
        await client.execute("blockdev-change-medium", {"id": "drive", "filename": f"{tmp_path}/cd2.iso"})
        (drive,) = await client.execute("query-block")
        assert (drive["inserted"]["file"], drive["tray_open"]) == (f"{tmp_path}/cd2.iso", False)

    converse(talk)


def test_files_that_come_along(converse: Callable[..., None], tmp_path: Path) -> None:
    async def talk(qmp: Any) -> None:
        assert "No file descriptor supplied" in await refused(qmp.execute("add-fd"))
        descriptor = os.open(tmp_path / "cd2.iso", os.O_RDONLY)
        qmp.send_fd_scm(descriptor)
        added = await qmp.execute("add-fd", {"opaque": "a disc"})
        assert added["fdset-id"] == 0
        qmp.send_fd_scm(descriptor)
        second = await qmp.execute("add-fd", {"fdset-id": 7})
        os.close(descriptor)
        assert await qmp.execute("query-fdsets") == [
            {"fdset-id": 0, "fds": [{"fd": added["fd"], "opaque": "a disc"}]},
            {"fdset-id": 7, "fds": [{"fd": second["fd"]}]},
        ]
        await qmp.execute("blockdev-change-medium", {"id": "drive", "filename": "/dev/fdset/0"})
        write = {"id": "drive", "filename": "/dev/fdset/7", "read-only-mode": "read-write"}
        assert "can" in await refused(qmp.execute("blockdev-change-medium", write))
        assert "No such" not in await qmp.execute("human-monitor-command", {"command-line": "info block"})
        await qmp.execute("remove-fd", {"fdset-id": 7, "fd": second["fd"]})
        assert "'fdset-id:7' not found" in await refused(qmp.execute("remove-fd", {"fdset-id": 7}))
        gone = {"id": "drive", "filename": "/dev/fdset/7"}
        assert "no such set" in await refused(qmp.execute("blockdev-change-medium", gone))

    converse(talk)


def test_the_devices_state(converse: Callable[..., None], tmp_path: Path) -> None:
    async def talk(qmp: Any) -> None:
        save = {"filename": str(tmp_path / "state"), "live": False}
        await qmp.execute("xen-set-global-dirty-log", {"enable": True})
        await qmp.execute("cont")
        await qmp.execute("xen-save-devices-state", save)
        assert (await qmp.execute("query-status"))["status"] == "paused"
        assert "can't write" in await refused(
            qmp.execute("xen-save-devices-state", {"filename": str(tmp_path / "no" / "where")})
        )
        await qmp.execute("xen-set-global-dirty-log", {"enable": False})
        await qmp.execute("xen-load-devices-state", {"filename": save["filename"]})
        (tmp_path / "nothing").write_bytes(bytes(100))
        nothing = {"filename": str(tmp_path / "nothing")}
        assert "is no state" in await refused(qmp.execute("xen-load-devices-state", nothing))
        await qmp.execute("cont")
        assert "while vm is running" in await refused(qmp.execute("xen-load-devices-state", nothing))

    converse(talk)
    assert (tmp_path / "state").read_bytes().startswith(b"SBDEVST\n")


def test_buses(converse: Callable[..., None]) -> None:
    async def talk(qmp: Any) -> None:
        (bus,) = await qmp.execute("query-pci")
        by_place = {(function["slot"], function["function"]): function for function in bus["devices"]}
        assert by_place[0, 0]["class_info"] == {"class": 0x600, "desc": "Host bridge"}
        assert by_place[1, 1]["id"]["device"] == 0x7010
        card = by_place[9, 0]
        assert (card["qdev_id"], card["irq_pin"]) == ("card", 1)
        assert card["regions"][0] | {"bar": 0, "type": "memory", "address": -1} == card["regions"][0]
        await qmp.execute("device_add", {"driver": "edu", "id": "later", "addr": "0a.0"})
        (bus,) = await qmp.execute("query-pci")
        assert [f["qdev_id"] for f in bus["devices"] if f["slot"] == 10] == ["later"]

    converse(talk, "-device", "edu,id=card,addr=0x9")


def test_words_for_people(converse: Callable[..., None]) -> None:
    async def talk(qmp: Any) -> None:
        async def say(line: str) -> Any:
            return await qmp.execute("human-monitor-command", {"command-line": line})

        assert await say("info status") == "VM status: paused (prelaunch)\r\n"
        assert await say("cont") == ""
        assert await say("info status") == "VM status: running\r\n"
        assert await say("stop") == ""
        assert await say("info status") == "VM status: paused\r\n"
        assert await say("info name") == "talks\r\n"
        assert await say("info version") == "7.2.0\r\n"
        assert await say("frobnicate") == "unknown command: 'frobnicate'\r\n"
        assert await say("info frobs") == "unknown command: 'info frobs'\r\n"
        assert "info status" in await say("help info")
        assert "stop|s" in await say("help")
        assert "Host bridge: PCI device 8086:1237" in await say("info pci")
        assert (await say("info cpus")).startswith("* CPU #0: thread_id=")
        assert "monitor: filename=unix:" in await say("info chardev")
        assert await say("system_powerdown") == ""
        assert await say("") == ""

    converse(talk)
