"""A machine goes from one process to another, and its guest goes on counting."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from qemu.qmp import QMPClient

from tests.core.qemu_system.program import running
from tests.core.qmp.talking import PATIENCE_S, refused

COUNTER = 0x1000
FIRMWARE = bytes.fromhex(
    "31c0"  # xor ax, ax
    "8ed8"  # mov ds, ax
    "66ff060010"  # again: inc dword [0x1000]
    "ebf9"  # jmp again
)
RESET = bytes.fromhex("ea000000f0")  # jmp 0xf000:0
UNDER_WAY = ("setup", "active", "device", "cancelling")


class Process:
    """One of ours, and the client that talks with it."""

    def __init__(self, qmp: QMPClient, process: subprocess.Popen[bytes], log: Path) -> None:
        self.qmp = qmp
        self.process = process
        self.log = log

    async def run(self, command: str, **arguments: Any) -> Any:
        return await self.qmp.execute(command, {name.replace("_", "-"): value for name, value in arguments.items()})

    async def count(self, folder: Path) -> int:
        saved = folder / "count"
        await self.run("pmemsave", val=COUNTER, size=4, filename=str(saved))
        return int.from_bytes(saved.read_bytes(), "little")

    async def ended(self) -> dict[str, Any]:
        """What is told of the migration at its end."""
        while (told := await self.run("query-migrate"))["status"] in UNDER_WAY:
            pass
        assert isinstance(told, dict)
        return told


@contextlib.asynccontextmanager
async def started(folder: Path, name: str, *options: str) -> AsyncIterator[Process]:
    image = bytearray(FIRMWARE.ljust(1 << 16, b"\x90"))
    image[0xFFF0 : 0xFFF0 + len(RESET)] = RESET
    (folder / "bios").write_bytes(image)
    log = folder / f"{name}.log"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / name))
        listener.listen()
        all_options = [
            *("-machine", "pc", "-accel", "unicorn", "-nodefaults", "-display", "none", "-m", "4"),
            *("-bios", str(folder / "bios"), "-device", "edu,id=card", "-name", name),
            *("-chardev", f"socket,id=monitor,fd={listener.fileno()},server=on", "-mon", "monitor,mode=control"),
        ]
        with running([*all_options, *options], log, inherited=[listener.fileno()]) as process:
            client = QMPClient(name)
            await client.connect(str(folder / name))
            yield Process(client, process, log)
            await client.disconnect()
            process.terminate()
            assert process.wait(PATIENCE_S) == 0, log.read_text()


def run(talk: Any) -> None:
    asyncio.run(asyncio.wait_for(talk(), PATIENCE_S))


async def counted(process: Process, folder: Path, more_than: int) -> int:
    while (count := await process.count(folder)) <= more_than:
        pass
    return count


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("m")


@pytest.mark.parametrize("kind", ["unix", "tcp", "fd", "exec"])
def test_the_guest_goes_on_counting(short: Path, kind: str) -> None:
    async def talk() -> None:
        there = {"unix": f"unix:{short}/way", "exec": f"exec:cat {short}/way"}
        here = {"unix": f"unix:{short}/way", "exec": f"exec:cat > {short}/way"}
        with socket.create_server(("127.0.0.1", 0)) as free:
            here["tcp"] = there["tcp"] = f"tcp:127.0.0.1:{free.getsockname()[1]}"
        here["fd"] = there["fd"] = "fd:way"
        async with started(short, "a") as source, started(short, "b", "-incoming", "defer") as target:
            count = await counted(source, short, 0)
            assert await target.run("query-status") == {"running": False, "singlestep": False, "status": "inmigrate"}
            await source.run("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
            if kind == "fd":
                ours, theirs = socket.socketpair()
                for process, cable in ((source, ours), (target, theirs)):
                    with cable:
                        process.qmp.send_fd_scm(cable.fileno())
                        await process.run("getfd", fdname="way")
            if kind != "exec":
                await target.run("migrate-incoming", uri=there[kind])
            with source.qmp.listener("MIGRATION") as told:
                await source.run("migrate", uri=here[kind])
                end = await source.ended()
                events: Any = [await told.get() for _ in range(4)]
            statuses = [event["data"]["status"] for event in events]
            assert statuses == ["setup", "active", "device", "completed"]
            assert end["status"] == "completed", end
            assert (end["ram"]["remaining"], end["ram"]["total"] >= 4 << 20) == (0, True)
            assert (await source.run("query-status"))["status"] == "postmigrate"
            if kind == "exec":
                await target.run("migrate-incoming", uri=there[kind])
            assert (await target.ended())["status"] == "completed", target.log.read_text()
            while (await target.run("query-status"))["status"] != "running":
                pass
            left = await source.count(short)
            assert left >= count
            await counted(target, short, left)
            assert "Can't migrate the vm" in await refused(source.run("migrate", uri=here[kind]))
            assert "already been started" in await refused(target.run("migrate-incoming", uri=there[kind]))
            await source.run("cont")
            await counted(source, short, left)

    run(talk)


def test_one_that_waits_from_the_start_and_stays_paused(short: Path) -> None:
    async def talk() -> None:
        way = f"unix:{short}/way"
        async with started(short, "b", "-incoming", way, "-S") as target, started(short, "a", "-S") as source:
            assert "waiting for an incoming migration" in await refused(target.run("migrate", uri=way))
            await source.run("migrate", uri=way)
            assert (await source.ended())["status"] == "completed"
            assert (await target.ended())["status"] == "completed", target.log.read_text()
            assert (await target.run("query-status"))["status"] == "paused"
            await target.run("cont")
            await counted(target, short, 0)

    run(talk)


def test_what_fails_leaves_the_guest_where_it_is(short: Path) -> None:
    async def talk() -> None:
        async with started(short, "a") as source:
            assert await source.run("query-migrate") == {}
            assert "expects a valid migration protocol" in await refused(source.run("migrate", uri="rdma:x"))
            assert "'-incoming' was not specified" in await refused(source.run("migrate-incoming", uri="unix:x"))
            assert "named 'nobody' has not been found" in await refused(source.run("migrate", uri="fd:nobody"))
            for uri, problem in (
                (f"unix:{short}/nowhere", "No such file or directory"),
                ("tcp:192.0.2.1:4000", "to this host only"),
                ("exec:exit 3", ""),
            ):
                await source.run("migrate", uri=uri)
                end = await source.ended()
                assert end["status"] == "failed"
                assert problem in end["error-desc"]
            assert (await source.run("query-status"))["status"] == "running"
            await counted(source, short, await source.count(short))
            some = [{"capability": "xbzrle", "state": True}]
            assert "not supported" in await refused(source.run("migrate-set-capabilities", capabilities=some))
            known = await source.run("query-migrate-capabilities")
            assert {"capability": "events", "state": False} in known

    run(talk)


def test_it_is_cancelled_while_nobody_takes_it(short: Path) -> None:
    async def talk() -> None:
        async with started(short, "a", "-vga", "std") as source:
            reader, writer = os.pipe()
            source.qmp.send_fd_scm(writer)
            os.close(writer)
            await source.run("getfd", fdname="way")
            await source.run("migrate", uri="fd:way")
            while (await source.run("query-migrate"))["status"] != "active":
                pass
            assert "in progress" in await refused(source.run("migrate", uri="fd:way"))
            await source.run("migrate_cancel")
            assert (await source.ended())["status"] == "cancelled"
            await counted(source, short, await source.count(short))
            os.close(reader)

    run(talk)


@pytest.mark.parametrize("what", ["damaged", "other"])
def test_what_cant_be_taken(short: Path, what: str) -> None:
    async def talk() -> None:
        async with started(short, "b", "-incoming", "defer") as target:
            file = short / "state"
            if what == "damaged":
                file.write_bytes(b"\x93SBSNAP\n" + bytes(100))
            else:
                async with started(short, "a", "-device", "edu,id=more") as source:
                    await source.run("migrate", uri=f"exec:cat > {file}")
                    assert (await source.ended())["status"] == "completed"
            assert "unknown migration protocol: x" in await refused(target.run("migrate-incoming", uri="x"))
            await target.run("migrate-incoming", uri=f"exec:cat {file}")
            end = await target.ended()
            assert end["status"] == "failed"
            assert ("other devices: more" if what == "other" else "format") in end["error-desc"]
            assert (await target.run("query-status"))["status"] == "inmigrate"

    run(talk)
