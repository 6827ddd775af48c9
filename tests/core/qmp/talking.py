"""Talking with the program by QEMU's own client (qemu.qmp)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from qemu.qmp import ExecuteError, QMPClient

Talk = Callable[[Any], Coroutine[Any, Any, None]]
PATIENCE_S = 60.0


async def talk_with(path: Path, talk: Talk) -> None:
    client = QMPClient("test")
    await client.connect(str(path))
    try:
        await talk(client)
    finally:
        await client.disconnect()


async def refused(said: Awaitable[Any]) -> str:
    with pytest.raises(ExecuteError) as caught:
        await said
    return f"{caught.value.error_class}: {caught.value}"
