"""Back ends that come and go: what they lead to, who uses them, and what is refused."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.core.qmp.talking import refused

NULL = {"type": "null", "data": {}}


def test_a_serial_port_changes_from_nobody_to_a_file_and_a_socket(
    converse: Callable[..., None], tmp_path: Path
) -> None:
    async def talk(qmp: Any) -> None:
        async def chardevs() -> dict[str, tuple[str, bool]]:
            found = await qmp.execute("query-chardev")
            return {one["label"]: (one["filename"], one["frontend-open"]) for one in found}

        assert (await chardevs())["port"] == ("null", True)
        assert "Chardev 'port' is busy" in await refused(qmp.execute("chardev-remove", {"id": "port"}))
        path = str(tmp_path / "socket")
        address = {"type": "unix", "data": {"path": path}}
        await qmp.execute(
            "chardev-change", {"id": "port", "backend": {"type": "socket", "data": {"addr": address, "wait": False}}}
        )
        assert (await chardevs())["port"] == (f"disconnected:unix:{path},server=on", True)
        reader, writer = await asyncio.open_unix_connection(path)
        while (await chardevs())["port"][0].startswith("disconnected:"):
            pass
        await qmp.execute("qom-set", {"path": "serial0/registers/ports", "property": "THR", "value": 0x41})
        assert await reader.readexactly(1) == b"A"
        writer.close()
        await qmp.execute("chardev-change", {"id": "port", "backend": NULL})
        assert not os.path.exists(path)
        assert await qmp.execute("qom-get", {"path": "/chardevs/port", "property": "type"}) == "chardev-null"
        in_the_way = {"id": "x", "backend": {"type": "file", "data": {"out": str(tmp_path / "no" / "file")}}}
        assert "Failed to add chardev 'x': " in await refused(qmp.execute("chardev-add", in_the_way))
        assert "x" not in await chardevs()
        made = await qmp.execute("chardev-add", {"id": "x", "backend": {"type": "pty", "data": {}}})
        assert (await chardevs())["x"] == (f"pty:{made['pty']}", False)
        await qmp.execute("chardev-remove", {"id": "x"})
        assert "x" not in await chardevs()

    options = ["-chardev", "null,id=port", "-device", "isa-serial,id=serial0,chardev=port"]
    converse(talk, *options)


def test_objects_of_the_command_line(converse: Callable[..., None]) -> None:
    async def talk(qmp: Any) -> None:
        assert [one["id"] for one in await qmp.execute("query-memdev")] == ["all", "spare"]
        (thread,) = await qmp.execute("query-iothreads")
        assert (thread["id"], thread["poll-max-ns"], thread["thread-id"] > 1) == ("t", 5, True)
        where = {"path": "/machine", "property": "memory-backend"}
        assert await qmp.execute("qom-get", where) == "/objects/all"
        assert await qmp.execute("qom-get", {"path": "/objects/key", "property": "data"}) == "open"
        assert "in use" in await refused(qmp.execute("object-del", {"id": "all"}))
        for id in ("spare", "t", "key"):
            await qmp.execute("object-del", {"id": id})
        assert [one["name"] for one in await qmp.execute("qom-list", {"path": "/objects"})] == ["type", "all"]

    memory = ["-object", "memory-backend-ram,id=all,size=32M", "-object", "memory-backend-ram,id=spare,size=1M"]
    others = ["-object", "iothread,id=t,poll-max-ns=5", "-object", "secret,id=key,data=open"]
    converse(talk, *memory, *others, "-machine", "memory-backend=all")


def test_connections_that_come_by_the_monitor(converse: Callable[..., None], tmp_path: Path) -> None:
    async def talk(qmp: Any) -> None:
        async def give(name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            ours, theirs = socket.socketpair()
            with theirs:
                qmp.send_fd_scm(theirs.fileno())
                await qmp.execute("getfd", {"fdname": name})
            return await asyncio.open_connection(sock=ours)

        reader, writer = await give("serial")
        await qmp.execute("add_client", {"protocol": "port", "fdname": "serial"})
        await qmp.execute("qom-set", {"path": "serial0/registers/ports", "property": "THR", "value": 0x42})
        assert await reader.readexactly(1) == b"B"
        _, second = await give("second")
        assert "already" in await refused(qmp.execute("add_client", {"protocol": "port", "fdname": "second"}))
        viewer, viewed = await give("viewer")
        await qmp.execute("add_client", {"protocol": "vnc", "fdname": "viewer"})
        assert await viewer.readexactly(12) == b"RFB 003.008\n"
        _, lost = await give("lost")
        assert "protocol 'nothing' is invalid" in await refused(
            qmp.execute("add_client", {"protocol": "nothing", "fdname": "lost"})
        )
        _, spare = await give("spare")
        await qmp.execute("closefd", {"fdname": "spare"})
        assert "not found" in await refused(qmp.execute("closefd", {"fdname": "spare"}))
        qmp.send_fd_scm(0)
        assert "not starting with a digit" in await refused(qmp.execute("getfd", {"fdname": "0"}))
        with (tmp_path / "plain").open("wb") as file:
            qmp.send_fd_scm(file.fileno())
        await qmp.execute("getfd", {"fdname": "plain"})
        assert "must name a socket" in await refused(qmp.execute("add_client", {"protocol": "vnc", "fdname": "plain"}))
        for each in (writer, second, viewed, lost, spare):
            each.close()

    options = ["-chardev", f"socket,id=port,path={tmp_path}/port,server=on,wait=off", "-vga", "std"]
    converse(talk, *options, "-device", "isa-serial,id=serial0,chardev=port", "-vnc", f"unix:{tmp_path}/vnc")


def test_a_network_comes_and_goes_with_its_card(converse: Callable[..., None]) -> None:
    async def talk(qmp: Any) -> None:
        await qmp.execute("netdev_add", {"type": "user", "id": "later", "net": "10.1.0.0/24"})
        await qmp.execute("cont")
        card = {"driver": "e1000", "id": "card", "netdev": "later", "mac": "52:54:00:00:00:07"}
        await qmp.execute("device_add", card)
        assert await qmp.execute("qom-get", {"path": "card", "property": "netdev"}) == "later"
        assert "in use by 'card'" in await refused(qmp.execute("netdev_del", {"id": "later"}))
        await qmp.execute("stop")
        (found,) = await qmp.execute("query-rx-filter", {"name": "card"})
        assert (found["main-mac"], found["promiscuous"], found["vlan"]) == ("52:54:00:00:00:07", False, "all")
        where = {"path": "card/registers/bar0", "property": "RCTL"}
        await qmp.execute("qom-set", {**where, "value": 1 << 3 | 1 << 15 | 1 << 18})
        (found,) = await qmp.execute("query-rx-filter")
        assert (found["unicast"], found["broadcast-allowed"], found["vlan"]) == ("all", True, "none")
        await qmp.execute("netdev_add", {"type": "user", "id": "spare"})
        await qmp.execute("netdev_del", {"id": "spare"})
        assert "not found" in await refused(qmp.execute("netdev_del", {"id": "spare"}))

    converse(talk)
