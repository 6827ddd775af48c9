"""A real browser, Debian's Chromium without a window, driven by its debugging protocol (Chrome DevTools Protocol)."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from PIL import Image
from southbridge.display.surface import Pixels

PATIENCE_S = 60
WIDTH, HEIGHT = 1200, 800


class Tab:
    """One page of the browser's."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []
        """What the page's scripts threw, and errors of the console's."""

    async def do(self, method: str, **parameters: Any) -> Any:
        """A command of the protocol, and its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = json.loads((await self._socket.receive(PATIENCE_S)).data)
            level = message.get("params", {}).get("entry", {}).get("level")
            if message.get("method") == "Runtime.exceptionThrown" or level == "error":
                self.complaints.append(json.dumps(message["params"]))
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                return message["result"]

    async def open(self, url: str) -> None:
        for domain in ("Page", "Runtime", "Log"):
            await self.do(f"{domain}.enable")
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        await self.do("Emulation.setDeviceMetricsOverride", **size)
        await self.do("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        """What JavaScript makes of `expression`."""
        result = await self.do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Evaluates it again and again, at each of the page's turns, until it is true."""
        async with asyncio.timeout(PATIENCE_S):
            while not (value := await self.evaluate(expression)):
                await self.evaluate("new Promise((done) => setTimeout(done, 20))")
        return value

    async def shot(self, selector: str) -> Pixels:
        """How that element looks."""
        box = await self.evaluate(f"(({{x, y, width, height}}) => [x, y, width, height])({_place(selector)})")
        clip = dict(zip(("x", "y", "width", "height"), box, strict=True))
        data = await self.do("Page.captureScreenshot", format="png", clip={**clip, "scale": 1})
        with Image.open(io.BytesIO(base64.b64decode(data["data"]))) as image:
            red, green, blue = np.moveaxis(np.asarray(image.convert("RGB"), dtype=np.uint32), 2, 0)
        picture: Pixels = red << 16 | green << 8 | blue
        return picture

    async def click(self, selector: str, x: float = 0.5, y: float = 0.5) -> None:
        """With the mouse, at a part of the element's width and height."""
        left, top, width, height = await self.evaluate(
            f"(({{x, y, width, height}}) => [x, y, width, height])({_place(selector)})"
        )
        place = {"x": left + x * width, "y": top + y * height, "button": "left", "clickCount": 1}
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            await self.do("Input.dispatchMouseEvent", type=kind, **place)

    async def type(self, text: str) -> None:
        for character in text:
            code = f"Key{character.upper()}" if character.isalpha() else ""
            for kind in ("keyDown", "keyUp"):
                await self.do("Input.dispatchKeyEvent", type=kind, key=character, code=code, text=character)


def _place(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Tab]:
    """A browser with an empty page, while the block lasts."""
    program = shutil.which("chromium")
    assert program, "Debian's package chromium is needed"
    process = await asyncio.create_subprocess_exec(
        *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
        *("--no-first-run", "--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            while b"DevTools listening on " not in (line := await process.stderr.readline()):
                assert line, "the browser doesn't start"
        reading = asyncio.ensure_future(process.stderr.read())
        port = line.split(b":")[2].split(b"/")[0].decode()
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as response:
                pages = [target for target in await response.json() if target["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Tab(socket)
    finally:
        process.terminate()
        await process.wait()
        await reading
