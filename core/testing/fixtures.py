"""pytest fixtures, loaded by pytest itself through the entry point `pytest11`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .bench import Bench, FlatBenchMemory, WindowedBenchMemory


@pytest.fixture(params=[FlatBenchMemory, WindowedBenchMemory], ids=["flat", "windowed"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A bench; each test runs on one with flat guest memory and on one that maps it only in small windows."""
    made = Bench(request.param)
    yield made
    made.close()
