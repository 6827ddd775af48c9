"""The page in Chromium: the screen by noVNC, compared pixel by pixel; keys and clicks; and each tab."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from southbridge.display import GraphicConsole
from southbridge.input import LARGEST_POSITION, LEFT
from southbridge.plugins.web import Web
from southbridge.testing import Bench

from tests.core.rfb.stage import Keys, noise

from .browser import Tab, browser

CANVAS = "#screen canvas"


def use(
    bench: Bench, folder: Path, test: Callable[[Tab, GraphicConsole, Keys], Awaitable[None]], **properties: Any
) -> None:
    """Runs `test` with a browser that has opened the page of the bench's machine."""
    machine = bench.machine
    console = GraphicConsole("vga", lambda: None)
    machine.consoles.append(console)
    keys = Keys()
    machine.input.keyboards.append(keys)
    machine.input.pointers.append(keys)

    async def run() -> None:
        display = Web(port=0, **properties)
        display.id, display.machine = "page", machine
        display.open()
        try:
            await display.start()
            async with asyncio.timeout(120), browser(folder) as tab:
                await tab.open(display.link)
                await tab.until("document.body?.dataset.screen === 'connected'")
                await test(tab, console, keys)
                assert tab.complaints == []
        finally:
            await display.stop()
            display.close()

    asyncio.run(run())


def test_the_screen(bench: Bench, tmp_path: Path) -> None:
    async def test(tab: Tab, console: GraphicConsole, keys: Keys) -> None:
        for width, height in ((320, 240), (400, 300)):
            picture = noise(width, height, width)
            console.resize(width, height)
            console.surface.pixels[:] = picture
            console.changed(console.surface.rectangle)
            # Unscaled, so that the screenshot has the guest's pixels.
            await tab.evaluate(f"document.querySelector('#screen').style = 'flex: none; width: {width}px'")
            await tab.until(f"document.querySelector('{CANVAS}').width === {width}")
            await tab.evaluate(f"document.querySelector('#screen').style.height = '{height}px'")
            while not np.array_equal(await tab.shot(CANVAS), picture):
                pass

    use(bench, tmp_path, test)


def test_keys_and_clicks(bench: Bench, tmp_path: Path) -> None:
    async def test(tab: Tab, console: GraphicConsole, keys: Keys) -> None:
        # As wide as there is room: from then on it stays where it is.
        width = "document.querySelector('{}').getBoundingClientRect().width"
        await tab.until(f"Math.abs({width.format(CANVAS)} - {width.format('#screen')}) < 2")
        await tab.click(CANVAS, 0.25, 0.75)
        await tab.type("ok")
        while ("k", False) not in keys.keys:
            await tab.evaluate("0")
        assert keys.keys == [(key, down) for key in "ok" for down in (True, False)]
        click = next(move for move in keys.moves if move.pressed == LEFT)
        assert click.x is not None and click.y is not None
        assert abs(click.x - LARGEST_POSITION * 0.25) < 200
        assert abs(click.y - LARGEST_POSITION * 0.75) < 200

    use(bench, tmp_path, test)


def test_the_machine(bench: Bench, tmp_path: Path) -> None:
    bench.plug("isa-debug-exit")
    uart: Any = bench.plug("uart16550")
    uart.SCR.value = 0x5A
    bench.machine.guest_error(uart, "an example")

    async def test(tab: Tab, console: GraphicConsole, keys: Keys) -> None:
        async def shows(name: str) -> str:
            await tab.evaluate(
                f"[...document.querySelectorAll('#tabs button')].find((b) => b.textContent === '{name}').click()"
            )
            await tab.until(f"document.querySelector('#panel').dataset.tab === '{name}'")
            return str(await tab.evaluate("document.querySelector('#panel').innerText"))

        assert uart.id in await shows("Devices")
        await tab.evaluate(
            f"[...document.querySelectorAll('#panel a')].find((a) => a.textContent === '{uart.id}').click()"
        )
        await tab.until("document.querySelector('#panel').dataset.tab === 'Registers'")
        registers = await tab.evaluate("document.querySelector('#panel').innerText")
        assert "SCR\t5a" in registers
        assert "0x3f8\t0x3ff" in await shows("Ports")
        assert "ram" in await shows("Memory")
        assert "IRQ 4\tlow" in await shows("Interrupts")
        uart_pin_high(bench)
        await tab.until("document.querySelector('#panel').innerText.includes('IRQ 7\\thigh')")
        assert f"{uart.id}: an example" in await shows("Guest errors")
        await shows("Heat")
        for _ in range(3):
            bench.read_port(0x3FD)
        await tab.until(f"document.querySelector('#panel').innerText.includes('{uart.id}\\t3')")
        assert await tab.evaluate("document.querySelector('h1').textContent") == bench.machine.name

    use(bench, tmp_path, test)


def uart_pin_high(bench: Bench) -> None:
    class Owner:
        id = "somebody"

    bench.machine.isa.claim(7, Owner()).set(True)
