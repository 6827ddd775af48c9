"""Many clients, how often the screen is looked at, and what a client that wants it for itself gets."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from southbridge.machine import Machine
from southbridge.rfb import screen
from southbridge.rfb.security import Security
from southbridge.rfb.server import Server, Share
from southbridge.units import MiB

from .stage import Stage, noise, staged
from .viewer import ENCODINGS, RAW, Format


def test_many_clients_of_many_kinds() -> None:
    async def test(stage: Stage) -> None:
        kinds = [*ENCODINGS.values(), *ENCODINGS.values()]
        formats = [Format(), Format(16, 16, True, (31, 63, 31), (11, 5, 0))]
        viewers = [
            await stage.viewer(encoding, pixel_format=formats[number % 2]) for number, encoding in enumerate(kinds)
        ]
        for seed in range(5):
            stage.draw(noise(40, 30, seed), x=10 * seed, y=8 * seed)
            for viewer in viewers:
                viewer.request()
            for viewer in viewers:
                await viewer.update()
                while not stage.seen(viewer):  # an update may be of what was there the last time somebody looked
                    viewer.request()
                    await viewer.update()

    staged(test)


def test_nobody_looks_unless_somebody_waits() -> None:
    async def test(stage: Stage) -> None:
        assert stage.watched == []
        viewer = await stage.viewer(RAW)
        viewer.request(incremental=False)
        await viewer.update()
        assert stage.watched == [True]
        looks = stage.updates
        stage.draw(noise(5, 5))
        assert stage.server._screen._timer is None
        assert stage.updates == looks
        viewer.request()
        await viewer.update()
        assert stage.seen(viewer)
        viewer.writer.close()
        await asyncio.wait(stage.tasks)
        assert stage.watched == [True, False]

    staged(test)


def test_a_still_screen_is_looked_at_less_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "SHORTEST", 0.001)
    monkeypatch.setattr(screen, "STEP", 0.001)
    monkeypatch.setattr(screen, "LONGEST", 0.004)

    async def test(stage: Stage) -> None:
        viewer = await stage.viewer(RAW)
        viewer.request(incremental=False)
        await viewer.update()
        viewer.request()
        looks = stage.updates
        while stage.updates < looks + 10:
            await asyncio.sleep(0)
        shown = stage.server._screen
        assert shown._interval == screen.LONGEST
        viewer.point(1, 1)
        while not stage.input.moves:
            await asyncio.sleep(0)
        assert shown._interval < screen.LONGEST
        received = viewer.received
        stage.draw(noise(1, 1))
        await viewer.update()
        assert viewer.received == received + 4 + 12 + 16 * 16 * 4  # and nothing before that

    staged(test)


def test_one_client_more_than_may_come() -> None:
    async def test(stage: Stage) -> None:
        viewers = [await stage.viewer(), await stage.viewer()]
        third = await stage.connect()
        assert await third.reader.read() == b""
        assert len(stage.server.sessions) == len(viewers)

    staged(test, most_clients=2)


async def entered_alone(stage: Stage) -> bool:
    """Whether one who wants the screen for himself gets in."""
    viewer = await stage.connect()
    try:
        await viewer.enter(shared=False)
    except asyncio.IncompleteReadError:
        return False
    return True


@pytest.mark.parametrize(
    ("share", "alone", "left"),
    [(Share.ALLOW_EXCLUSIVE, True, 1), (Share.FORCE_SHARED, False, 1), (Share.IGNORE, True, 2)],
)
def test_a_client_that_wants_the_screen_for_itself(share: Share, alone: bool, left: int) -> None:
    async def test(stage: Stage) -> None:
        first = await stage.viewer()
        assert await entered_alone(stage) == alone
        if share is Share.ALLOW_EXCLUSIVE:
            await first.reader.read()
            await asyncio.wait(stage.tasks[:1])
        assert len(stage.server.sessions) == left

    staged(test, share=share)


def test_without_a_graphics_device_the_screen_is_black() -> None:
    async def test(stage: Stage) -> None:
        stage.server = Server(Machine(memory=1 * MiB), None, Security())
        viewer = await stage.viewer(RAW)
        viewer.request(incremental=False)
        await viewer.update()
        assert (viewer.width, viewer.height) == (640, 480)
        assert not np.array(viewer.picture).any()
        viewer.request()
        viewer.request(incremental=False)
        await viewer.update()

    staged(test)


def test_a_device_that_fails_is_looked_at_again(caplog: pytest.LogCaptureFixture) -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer(RAW)
        viewer.request(incremental=False)
        await viewer.update()
        update = stage.console.update
        failures: list[int] = []

        def fail() -> None:
            if failures:
                stage.console.update = update
            failures.append(1)
            raise ZeroDivisionError

        stage.console.update = fail
        stage.draw(noise(5, 5))
        viewer.request()
        await viewer.update()
        assert stage.seen(viewer)
        assert "can't be looked at" in caplog.text

    staged(test)
