"""Drives on a PIIX3's cables: the bench has the adapter, a test plugs in the drives."""

from __future__ import annotations

import random
from typing import Any

import pytest
from southbridge.testing import Bench
from southbridge.testing.ide import IdeDriver, MemoryDisk


@pytest.fixture
def adapter(bench: Bench) -> Any:
    return bench.plug("piix3-ide", addr="01.1")


@pytest.fixture
def contents() -> MemoryDisk:
    """2 MiB, every sector different."""
    return MemoryDisk(random.Random(7).randbytes(2 << 20))


@pytest.fixture
def disk(bench: Bench, adapter: Any, contents: MemoryDisk) -> Any:
    return bench.plug("ide-hd", drive=contents)


@pytest.fixture
def cdrom(bench: Bench, adapter: Any, contents: MemoryDisk) -> Any:
    contents.writable = False
    return bench.plug("ide-cd", drive=contents)


@pytest.fixture
def host(bench: Bench, adapter: Any) -> IdeDriver:
    return IdeDriver(bench, adapter)
