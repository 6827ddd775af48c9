"""Signals wake the main loop, whatever it is about to do."""

from __future__ import annotations

import asyncio
import os
import signal

from southbridge.running import SignalsWake


def test_a_signal_is_a_byte_for_the_loop_and_what_was_there_before_comes_back() -> None:
    async def run() -> None:
        await service.stop()  # that never started
        await service.start()
        descriptor = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(descriptor)
        assert descriptor not in (-1, before)
        seen = asyncio.Event()
        # Only the byte is written, as the C part of a signal does it: it must not stay and wake the loop for ever.
        os.write(descriptor, b"\0")
        asyncio.get_running_loop().call_later(0, seen.set)
        await seen.wait()
        await service.stop()
        assert signal.set_wakeup_fd(-1) == before

    service = SignalsWake()
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    asyncio.run(run())
