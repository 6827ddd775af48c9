"""Where the server listens, whom it lets in, and what is wrong in a description of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from southbridge.control.qapi import kind_of
from southbridge.display import GraphicConsole
from southbridge.errors import SouthbridgeError
from southbridge.hookspecs import hookimpl
from southbridge.machine import Machine
from southbridge.plugins.vnc import Vnc
from southbridge.qmp.vnc import VncCommands, VncServerInfo
from southbridge.rfb import des, security
from southbridge.units import MiB

from tests.core.rfb.certificate import make_certificate
from tests.core.rfb.viewer import Viewer


class Served:
    """A display on a machine that doesn't run, served by a loop on a thread."""

    def __init__(self, **properties: Any) -> None:
        if not properties.keys() & {"port", "path", "display"}:
            properties["port"] = 0
        self.machine = Machine(memory=1 * MiB, name="served")
        self.console = GraphicConsole("vga", lambda: None)
        self.machine.consoles.append(self.console)
        self.display = Vnc(**properties)
        self.display.id, self.display.machine = "screen", self.machine
        self.machine.backends["displays"] = {"screen": self.display}
        self.display.open()

    async def connect(self) -> Viewer:
        address = self.display.address
        if isinstance(address, str):
            return Viewer(*await asyncio.open_unix_connection(address))
        return Viewer(*await asyncio.open_connection(*address))


@contextmanager
def on_a_thread(display: Vnc) -> Iterator[None]:
    """The display is served meanwhile, for clients that block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(display.start(), loop).result(10)
        yield
    finally:
        asyncio.run_coroutine_threadsafe(display.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        display.close()


def run(test: Any, **properties: Any) -> None:
    """Runs `test`, a coroutine function, while the display serves."""

    async def all_of_it() -> None:
        served = Served(**properties)
        try:
            await served.display.start()
            async with asyncio.timeout(60):
                await test(served)
        finally:
            await served.display.stop()
            served.display.close()

    asyncio.run(all_of_it())


async def sees(viewer: Viewer) -> None:
    viewer.request(incremental=False)
    await viewer.update()
    assert viewer.name == "served"


def test_a_tcp_port() -> None:
    async def test(served: Served) -> None:
        assert served.display.address[0] == "127.0.0.1"
        viewer = await served.connect()
        await viewer.enter()
        await sees(viewer)

    run(test)


def test_a_unix_socket(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        viewer = await served.connect()
        await viewer.enter()
        await sees(viewer)

    path = tmp_path / "vnc.sock"
    run(test, path=path)
    assert not path.exists()


def test_a_password_from_a_file(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        viewer = await served.connect()
        await viewer.version()
        assert await viewer.security_types() == [2]
        viewer.write(b"\2")
        viewer.write(des.answer(b"secret", await viewer.read(16)))
        assert await viewer.result() == ""

    file = tmp_path / "password"
    file.write_text("secret\n")
    run(test, password_file=file)


def test_tls_and_a_password(tmp_path: Path) -> None:
    """VeNCrypt 0.2, X509Vnc; the client checks the certificate."""
    certificate, key = make_certificate(tmp_path)

    async def test(served: Served) -> None:
        viewer = await served.connect()
        await viewer.version()
        assert await viewer.security_types() == [19]
        viewer.write(b"\x13")
        assert await viewer.read(2) == b"\0\2"
        viewer.write(b"\0\2")
        assert await viewer.number(">B") == 0
        assert await viewer.number(">B") == 1
        assert await viewer.number(">I") == 261
        viewer.write((261).to_bytes(4, "big"))
        assert await viewer.number(">B") == 1
        context = ssl.create_default_context(cafile=certificate)
        await viewer.writer.start_tls(context, server_hostname="localhost")
        viewer.write(des.answer(b"secret", await viewer.read(16)))
        assert await viewer.result() == ""
        await viewer.begin()
        await sees(viewer)

    run(test, tls_certificate=certificate, tls_key=key, password="secret")


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\xff\xff", b"GET / HTTP/1.1\r\n\r\n" * 100])
def test_garbage_instead_of_tls(tmp_path: Path, garbage: bytes) -> None:
    certificate, key = make_certificate(tmp_path)

    async def test(served: Served) -> None:
        viewer = await served.connect()
        await viewer.version()
        await viewer.read(2)
        viewer.write(b"\x13\0\2" + (260).to_bytes(4, "big") + garbage)
        viewer.writer.write_eof()
        await viewer.reader.read()
        assert served.display.server is not None
        assert not served.display.server.sessions

    run(test, tls_certificate=certificate, tls_key=key)


def test_a_version_without_tls_is_told_so(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)

    async def test(served: Served) -> None:
        viewer = await served.connect()
        await viewer.version(b"RFB 003.003\n")
        assert await viewer.number(">I") == 0
        assert b"TLS" in await viewer.read(await viewer.number(">I"))

    run(test, tls_certificate=certificate, tls_key=key)


def refusal(**properties: Any) -> str:
    with pytest.raises(SouthbridgeError) as caught:
        Served(**properties)
    return str(caught.value)


def test_what_is_wrong(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    missing = tmp_path / "missing"
    assert refusal(port=0, display=1) == "expected one of display, port and path"
    assert refusal(password="x", password_file=empty) == "expected one of password, password_file and password_later"
    assert refusal(password_file=empty).endswith("its first line, the password, is empty")
    assert refusal(password_file=missing).endswith("can't read it: No such file or directory")
    assert "for TLS: No such file" in refusal(tls_certificate=missing)
    assert "for TLS:" in refusal(tls_certificate=empty)
    assert refusal(tls_key=missing) == "tls_key without a tls_certificate"
    assert "Address already in use" in refusal(path=empty)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert refusal(port=port).startswith(f"can't listen at 127.0.0.1:{port}: Address already in use")


def test_a_display_number_is_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"127.0.0.1:{port}:" in refusal(display=port - 5900)


def test_the_next_free_display() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1] - 5900
        served = Served(display=taken, to=taken + 50)
        assert taken < int(served.display.where()["service"]) - 5900 <= taken + 50
        served.display.close()


def test_a_password_that_is_said_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "PENALTY_SECONDS", 0)

    async def result(served: Served, password: bytes) -> str:
        viewer = await served.connect()
        await viewer.version()
        assert await viewer.security_types() == [2]
        viewer.write(b"\2")
        viewer.write(des.answer(password, await viewer.read(16)))
        return await viewer.result()

    async def test(served: Served) -> None:
        commands = VncCommands(served.machine)
        assert await result(served, b"") == "wrong password"
        commands.change_vnc_password("secret")
        assert await result(served, b"") == "wrong password"
        assert await result(served, b"secret") == ""
        commands.set_password("vnc", "another", display="screen")
        assert await result(served, b"another") == ""
        for words in ({"protocol": "spice"}, {"protocol": "vnc", "display": "nothing"}):
            with pytest.raises(SouthbridgeError, match="there is no such server"):
                commands.set_password(password="x", **words)  # type: ignore[arg-type]
        with pytest.raises(SouthbridgeError, match="it is empty"):
            commands.change_vnc_password("")

    run(test, password_later=True)


def test_what_query_vnc_says() -> None:
    async def test(served: Served) -> None:
        commands = VncCommands(served.machine)
        viewer = await served.connect()
        await viewer.enter()
        where = {"host": "127.0.0.1", "service": str(served.display.address[1]), "family": "ipv4"}
        name, number = viewer.writer.get_extra_info("sockname")
        client = {"host": name, "service": str(number), "family": "ipv4", "websocket": False}
        assert commands.query_vnc() == {"enabled": True, "auth": "none", "clients": [client], **where}
        (server,) = commands.query_vnc_servers()
        assert server["id"] == "screen"
        assert server["server"] == [{"websocket": False, "auth": "none", **where}]
        with pytest.raises(SouthbridgeError, match="the server was started without one"):
            commands.change_vnc_password("secret")

    run(test)


def test_what_is_said_of_tls(tmp_path: Path) -> None:
    """query-vnc-servers has an enum for each step; query-vnc has it all in a word."""
    certificate, key = make_certificate(tmp_path)

    async def test(served: Served) -> None:
        commands = VncCommands(served.machine)
        assert commands.query_vnc()["auth"] == "vencrypt+x509+vnc"
        (server,) = commands.query_vnc_servers()
        kind_of(VncServerInfo).check(server, "server")
        for one in (server, server["server"][0]):
            assert (one["auth"], one["vencrypt"]) == ("vencrypt", "x509-vnc")

    run(test, tls_certificate=certificate, tls_key=key, password="secret")


def test_clients_that_come_and_go_are_announced() -> None:
    async def test(served: Served) -> None:
        heard: list[tuple[str, dict[str, Any]]] = []

        class Listener:
            @hookimpl
            def machine_event(self, name: str, data: dict[str, Any]) -> None:
                heard.append((name, data))

        served.machine.hooks.register(Listener(), "listener")
        served.machine.post = lambda request: request()  # type: ignore[method-assign]
        viewer = await served.connect()
        await viewer.enter()
        await sees(viewer)
        viewer.writer.close()
        while len(heard) < 3:
            await asyncio.sleep(0)
        assert [name for name, _ in heard] == ["VNC_CONNECTED", "VNC_INITIALIZED", "VNC_DISCONNECTED"]
        _, data = heard[-1]
        assert data["server"] == {**served.display.where(), "websocket": False, "auth": "none"}
        assert data["client"]["family"] == "ipv4"

    run(test)


def test_a_console_that_is_not_there() -> None:
    served = Served(console="cirrus")
    with pytest.raises(SouthbridgeError, match=r"displays.screen: there is no console 'cirrus' \(there are: vga\)"):
        asyncio.run(served.display.start())
    served.display.close()


def test_it_says_when_others_can_listen_in(caplog: pytest.LogCaptureFixture) -> None:
    served = Served(host="0.0.0.0")
    served.display.close()
    assert "others can reach it" in caplog.text
