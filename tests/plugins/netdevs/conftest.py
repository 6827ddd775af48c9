"""A main loop, and cards on cables, for back ends that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.plugins.netdevs.loop import NetworkLoop


@pytest.fixture
def loop() -> Iterator[NetworkLoop]:
    made = NetworkLoop()
    yield made
    made.close()
