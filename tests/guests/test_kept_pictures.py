"""A picture outlives an exchange of accelerators, and being saved and restored, before one who looks all the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from southbridge.builder import accelerator_named, build
from southbridge.description import load
from southbridge.display import View
from southbridge.display.surface import Pixels
from southbridge.life import ShutdownReason
from southbridge.machine import Machine

PATIENCE_S = 120.0
GREY = 0xA8A8A8
STILL = 25
"""Looks at a picture that doesn't change, 20 ms from one to the next."""


@contextmanager
def running(machine: Machine) -> Iterator[View]:
    """Inside, the machine runs, and somebody looks."""
    thread = threading.Thread(target=machine.run)
    with machine.lock:
        view = machine.consoles[0].view()
    thread.start()
    try:
        yield view
    finally:
        machine.request_shutdown(ShutdownReason.HOST_QUIT)
        thread.join()
        machine.close()


def look(machine: Machine, view: View) -> Pixels:
    """What shows."""
    with machine.lock:
        view.refresh()
        return view.console.surface.pixels.copy()


def settled(machine: Machine, view: View) -> Pixels:
    """What shows once the firmware has said its last line, the eighth, and nothing more for a while."""
    deadline = time.monotonic() + PATIENCE_S
    same, before = 0, look(machine, view)
    while time.monotonic() < deadline:
        pixels = look(machine, view)
        same = same + 1 if np.array_equal(pixels, before) else 0
        if same >= STILL and pixels.shape == (400, 720) and (pixels[7 * 16 : 8 * 16] == GREY).any():
            return pixels
        before = pixels
        time.sleep(0.02)
    raise AssertionError("the firmware never came to its end")


@pytest.mark.parametrize("card", ["std_vga", "cirrus_vga"])
def test_a_picture_that_is_kept(tmp_path: Path, card: str) -> None:
    path = tmp_path / "machine.yaml"
    lines = (
        "extends: pc",
        "accelerator: unicorn",
        "chardevs: {serial0: {type: 'null'}}",
        "devices: {video: {type: %s}}",
    )
    path.write_text("\n".join(lines) % card)
    first, second = build(load(str(path))), build(load(str(path)))
    with running(first) as view:
        before = settled(first, view)
        first.swap_accelerator(accelerator_named(first, "unicorn"))
        assert np.array_equal(look(first, view), before)
        first.pause()
        state = first.save_state()
        blocks = [(first.ram, second.ram)]
        for device in first.devices:
            pairs = zip(first.devices[device].ram_blocks(), second.devices[device].ram_blocks(), strict=True)
            blocks += list(pairs)
        for block, other in blocks:
            other.view[:] = block.view
    second.load_state(state)
    with running(second) as view:
        assert np.array_equal(settled(second, view), before)
