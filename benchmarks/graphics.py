"""What graphics cost: converting a frame, blits, and the record of pages that changed, by the memory's size."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from southbridge.accelerators.kvm import KvmAccelerator
from southbridge.builder import build
from southbridge.description import load
from southbridge.life import ShutdownReason
from southbridge.machine import Machine
from southbridge.memory.stores import StoreLog
from southbridge.plugins.cirrus_vga.blit import Blit
from southbridge.testing import Bench
from southbridge.vga.draw import draw
from southbridge.vga.modes import PIXEL_BYTES, Kind, Mode

WIDTH, HEIGHT = 1024, 768
RUNS = 15


def best(function: Callable[[], object]) -> float:
    """Milliseconds, of the quickest run."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def costs() -> Table:
    """All of it."""
    table = Table("", "Southbridge", title="graphics")
    frames(table)
    blits(table)
    logs(table)
    return table


def frames(table: Table) -> None:
    """A whole picture of 1024 by 768."""
    memory = np.random.default_rng(1).integers(0, 256, 4 << 20, np.uint8)
    palette = np.arange(256, dtype=np.uint32) * 0x10101
    out = np.zeros((HEIGHT, WIDTH), np.uint32)
    for kind, size in {**PIXEL_BYTES, Kind.PLANES: 0}.items():
        mode = Mode(kind, WIDTH, HEIGHT, pitch=WIDTH * size if size else WIDTH // 2)
        addresses = mode.lines()
        took = best(lambda mode=mode, addresses=addresses: draw(mode, memory, addresses, palette, out))  # type: ignore[misc]
        table.add_row(f"a frame of 1024 by 768, {kind.value}", f"{took:.2f} ms")


def blits(table: Table) -> None:
    """Cirrus' blitter, on a whole screen of 1024 by 768 in 32 bits, which is 3 of the 4 MiB; or half of one."""
    memory = np.random.default_rng(2).integers(0, 256, 4 << 20, np.uint8)
    pitch = 4 * WIDTH

    def registers(height: int, source: int, destination: int, mode: int, operation: int, extension: int = 0) -> bytes:
        gr = bytearray(0x40)
        for index, value, size in (
            *((0x20, pitch - 1, 2), (0x22, height - 1, 2), (0x24, pitch, 2), (0x26, pitch, 2)),
            *((0x28, destination, 3), (0x2C, source, 3), (0x30, mode | 0x30, 1), (0x32, operation, 1)),
            (0x33, extension, 1),
        ):
            gr[index : index + size] = value.to_bytes(size, "little")
        return bytes(gr)

    for name, gr in (
        ("fill", registers(HEIGHT, 0, 0, 0xC0, 0x0D, 4)),
        ("scroll by 16 rows", registers(HEIGHT - 16, 16 * pitch, 0, 0, 0x0D)),
        ("exclusive or, from 1 MiB on", registers(HEIGHT - 256, 1 << 20, 0, 0, 0x59)),
        ("pattern", registers(HEIGHT, 0, 0, 0x40, 0x0D)),
        ("expanded pattern", registers(HEIGHT, 0, 0, 0xC0, 0x0D)),
    ):
        blit = Blit.of(gr)
        assert not blit.problem(len(memory))
        table.add_row(f"a blit of a screen: {name}", f"{best(lambda blit=blit: blit.run(memory)):.2f} ms")  # type: ignore[misc]


@contextmanager
def started(accelerator: str, size: int) -> Iterator[tuple[Machine, Any]]:
    """Inside, a machine is paused whose firmware has given `size` MiB of video memory a place; and the card."""
    with tempfile.TemporaryDirectory() as folder:
        description = Path(folder, "machine.yaml")
        description.write_text(
            f"extends: pc\naccelerator: {accelerator}\nchardevs: {{serial0: {{type: 'null'}}}}\n"
            f"devices: {{video: {{type: std_vga, vgamem_mb: {size}}}}}\n"
        )
        machine = build(load(str(description)))
    card: Any = machine.devices["video"]
    thread = threading.Thread(target=machine.run)
    thread.start()
    try:
        while not card.PCI_COMMAND.MEMORY:
            time.sleep(0.01)
        machine.pause()
        with machine.lock:
            yield machine, card
    finally:
        machine.request_shutdown(ShutdownReason.HOST_QUIT)
        thread.join()
        machine.close()


def logs(table: Table) -> None:
    """The record of stores by the memory's size, with an accelerator and its guest; a look at a still screen."""
    for accelerator in ("unicorn", "kvm") if KvmAccelerator.availability().usable else ("unicorn",):
        for size in (4, 16, 64):
            with started(accelerator, size) as (machine, card):
                log = StoreLog(machine, card.vram)
                took = best(log.take) * 1e3
            table.add_row(f"record of {size} MiB, taken, {accelerator}", f"{took:.1f} us")
    bench = Bench()
    card = bench.plug("std_vga", romfile="", vgamem_mb=16)
    view = card.screen.console.view()
    view.refresh()
    table.add_row("a look at a still screen, no CPU", f"{best(view.refresh) * 1e3:.1f} us")
