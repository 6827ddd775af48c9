"""A main loop for character back ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from southbridge.testing.chardev import CharLoop


@pytest.fixture
def main_loop() -> Iterator[CharLoop]:
    loop = CharLoop()
    yield loop
    loop.close()
