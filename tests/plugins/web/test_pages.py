"""Who is answered: tokens, cookies, origins; and what is wrong in a description."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from southbridge.display import GraphicConsole
from southbridge.errors import SouthbridgeError
from southbridge.machine import Machine
from southbridge.plugins.web import Web, pages
from southbridge.units import MiB

TOKEN = "a token for tests"


@asynccontextmanager
async def shown(**properties: Any) -> AsyncIterator[Web]:
    """A display that serves."""
    machine = Machine(memory=1 * MiB, name="shown")
    machine.consoles.append(GraphicConsole("vga", lambda: None))
    display = Web(port=0, **{"token": TOKEN, **properties})
    display.id, display.machine = "page", machine
    display.open()
    try:
        await display.start()
        yield display
    finally:
        await display.stop()
        display.close()


def base(display: Web) -> str:
    return "http://{}:{}".format(*display.address)


Test = Callable[[Web, aiohttp.ClientSession], Awaitable[None]]


def serve(test: Test, *, enter: bool = True) -> None:
    """Runs `test` with a client, which has the cookie if it is to `enter`."""

    async def run() -> None:
        jar = aiohttp.CookieJar(unsafe=True)  # of an address, not a name
        async with asyncio.timeout(60), shown() as display, aiohttp.ClientSession(cookie_jar=jar) as client:
            if enter:
                async with client.get(display.link) as response:
                    assert response.status == 200
                    assert str(response.url) == f"{base(display)}/"  # the token isn't in the address any more
            await test(display, client)

    asyncio.run(run())


PATHS = ("/", "/static/page.js", "/novnc/core/rfb.js", "/machine/status", "/machine/heat", "/screen", "/nothing")


@pytest.mark.parametrize("query", ["", "?token=", "?token=another", f"?token={TOKEN}x", "?token=%C3%A9"])
def test_without_the_token_nothing_is_answered(query: str) -> None:
    async def test(display: Web, client: aiohttp.ClientSession) -> None:
        for path in PATHS:
            async with client.get(f"{base(display)}{path}{query}") as response:
                assert response.status == 403, path
                assert not response.cookies

    serve(test, enter=False)


def test_a_cookie_of_another_server_is_of_no_use() -> None:
    async def test(display: Web, client: aiohttp.ClientSession) -> None:
        for cookies in ({"southbridge-1": TOKEN}, {f"southbridge-{display.address[1]}": "x"}):
            async with aiohttp.request("GET", f"{base(display)}/", cookies=cookies) as response:
                assert response.status == 403

    serve(test)


def test_with_it_all_is() -> None:
    async def test(display: Web, client: aiohttp.ClientSession) -> None:
        for path in PATHS[:-2]:
            async with client.get(f"{base(display)}{path}") as response:
                assert response.status == 200, path
                assert response.headers["X-Content-Type-Options"] == "nosniff"
        async with client.get(f"{base(display)}/machine/status") as response:
            assert (await response.json())["name"] == "shown"
        for path in ("/nothing", "/machine/devices/none/registers", "/static/../pages.py", "/static/%2e%2e/pages.py"):
            async with client.get(f"{base(display)}{path}") as response:
                assert response.status == 404, path

    serve(test)


def test_the_cookie_is_for_this_site_and_no_script() -> None:
    async def test(display: Web, client: aiohttp.ClientSession) -> None:
        async with client.get(display.link, allow_redirects=False) as response:
            (cookie,) = response.cookies.values()
            assert cookie["httponly"]
            assert cookie["samesite"] == "Strict"

    serve(test, enter=False)


@pytest.mark.parametrize("origin", [None, "http://example.org", "http://127.0.0.1:1", "null"])
def test_another_pages_websocket_is_refused(origin: str | None) -> None:
    """Cookies don't know ports: a page of another server on this host would have ours sent along."""

    async def test(display: Web, client: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client.ws_connect(f"{base(display)}/screen", origin=origin)
        assert caught.value.status == 403

    serve(test)


def test_the_screens_websocket() -> None:
    async def test(display: Web, client: aiohttp.ClientSession) -> None:
        async with client.ws_connect(f"{base(display)}/screen", origin=base(display)) as connection:
            assert (await connection.receive()).data == b"RFB 003.008\n"
            await connection.send_str("no binary message")
            assert (await connection.receive()).type is aiohttp.WSMsgType.CLOSE
        async with client.ws_connect(f"{base(display)}/screen", origin=base(display)) as connection:
            await connection.receive()
            for piece in (b"RFB 00", b"3.008\n\1", b"\1"):  # messages' borders mean nothing
                await connection.send_bytes(piece)
            assert (await connection.receive()).data == b"\1\1"
            assert (await connection.receive()).data == bytes(4)
            assert len((await connection.receive()).data) == 24 + len("shown")
            assert display.peers()

    serve(test)


def test_memory_is_watched_only_while_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "HEAT_SECONDS", 0)

    async def test(display: Web, client: aiohttp.ClientSession) -> None:
        async with client.get(f"{base(display)}/machine/heat") as response:
            assert (await response.json())["accesses"] == {}
        served = display._pages
        assert served is not None
        while served._heat is not None:
            await asyncio.sleep(0)
        assert display.machine.ram.dirty == []

    serve(test)


def test_it_ends_while_a_browser_is_connected() -> None:
    async def test(display: Web, client: aiohttp.ClientSession) -> None:
        connection = await client.ws_connect(f"{base(display)}/screen", origin=base(display))
        await connection.receive()
        await display.stop()
        assert (await connection.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE)

    serve(test)


def test_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(SouthbridgeError, match="there is no noVNC in"):
        Web(novnc=tmp_path).open()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SouthbridgeError, match=f"can't listen at 127.0.0.1:{port}: Address already in use"):
            Web(port=port).open()


def test_tokens_are_chosen_anew() -> None:
    async def tokens() -> set[str]:
        found = set()
        for _ in range(3):
            async with shown(token=None) as display:
                found.add(display.secret)
        return found

    assert len(asyncio.run(tokens())) == 3
