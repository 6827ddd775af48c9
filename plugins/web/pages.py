"""What the server answers: the page, noVNC, the screen's WebSocket, and the machine's facts; to whom has the token.

A browser comes with the token in the address once, and has it in a cookie from then on, which no other site's page can
use. A WebSocket must come from a page of this server's.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web
from southbridge.device import Device
from southbridge.machine import Machine

from . import facts
from .heat import Heat
from .stream import LONGEST_MESSAGE, WebSocketStream

if TYPE_CHECKING:
    from .display import Web

STATIC = Path(__file__).resolve().parent / "static"
"""Where the files are, not links to them."""

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

HEAT_SECONDS = 10.0
"""After which nobody wants to know of memory and accesses any more, if nobody asks."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Pages:
    """The answers of one display."""

    def __init__(self, display: Web) -> None:
        self._display = display
        self._machine: Machine = display.machine
        self._heat: Heat | None = None
        self._cooling: asyncio.TimerHandle | None = None

    def application(self) -> web.Application:
        """All of it, for aiohttp."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._page)
        app.router.add_static("/static/", STATIC)
        app.router.add_static("/novnc/", self._display.novnc, follow_symlinks=True)
        app.router.add_get("/screen", self._screen)
        for path, answer in (
            ("status", lambda request: facts.status(self._machine)),
            ("devices", lambda request: facts.devices(self._machine)),
            ("memory", lambda request: facts.memory_map(self._machine.memory)),
            ("ports", lambda request: facts.memory_map(self._machine.ports)),
            ("interrupts", lambda request: facts.interrupts(self._machine)),
            ("devices/{id}/registers", lambda request: facts.registers(self._device(request))),
            ("heat", lambda request: self._take_heat()),
        ):
            app.router.add_get(f"/machine/{path}", self._told(answer))
        return app

    # --- who may -------------------------------------------------------------------------------------------------

    @property
    def _cookie(self) -> str:
        """Cookies don't know ports: each server has a name of its own."""
        return f"southbridge-{self._display.address[1]}"

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/" and self._is_token(request.query.get("token")):
            response: web.StreamResponse = web.Response(status=303, headers={"Location": "/"})
            response.set_cookie(self._cookie, self._display.secret, httponly=True, samesite="Strict", path="/")
        elif not self._is_token(request.cookies.get(self._cookie)):
            response = web.Response(
                status=403, text="The address that the machine's log has, with its token, is needed."
            )
        else:
            response = await handler(request)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _is_token(self, given: str | None) -> bool:
        return given is not None and hmac.compare_digest(given.encode(), self._display.secret.encode())

    # --- answers -------------------------------------------------------------------------------------------------

    async def _page(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html")

    async def _screen(self, request: web.Request) -> web.StreamResponse:
        origin = request.headers.get("Origin", "").partition("://")[2]
        server = self._display.server
        if origin != request.host or server is None:
            raise web.HTTPForbidden
        socket = web.WebSocketResponse(protocols=["binary"], max_msg_size=LONGEST_MESSAGE, compress=False)
        await socket.prepare(request)
        task = server.serve(WebSocketStream(socket, request))
        if task is not None:
            await asyncio.wait([task])
        if not socket.closed:
            await socket.close()
        return socket

    def _told(self, answer: Callable[[web.Request], Any]) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            with self._machine.lock:
                told = answer(request)
            return web.json_response(told)

        return handler

    def _device(self, request: web.Request) -> Device:
        device = self._machine.devices.get(request.match_info["id"])
        if device is None:
            raise web.HTTPNotFound
        return device

    # --- heat ----------------------------------------------------------------------------------------------------

    def _take_heat(self) -> facts.Facts:
        if self._heat is None:
            self._heat = Heat(self._machine)
        if self._cooling is not None:
            self._cooling.cancel()
        self._cooling = asyncio.get_running_loop().call_later(HEAT_SECONDS, self.cool)
        return self._heat.take()

    def cool(self) -> None:
        """Memory and accesses are no longer watched."""
        if self._cooling is not None:
            self._cooling.cancel()
            self._cooling = None
        if self._heat is not None:
            with self._machine.lock:
                self._heat.close()
            self._heat = None
