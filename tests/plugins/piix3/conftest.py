"""A south bridge and its IDE function, each on a bench, with a disk whose every sector differs."""

from __future__ import annotations

import random
from typing import Any

import pytest
from southbridge.testing import Bench
from southbridge.testing.ide import IdeDriver, MemoryDisk


@pytest.fixture
def bridge(bench: Bench) -> Any:
    return bench.plug("piix3", addr="01.0")


@pytest.fixture
def adapter(bench: Bench) -> Any:
    return bench.plug("piix3-ide", addr="01.1")


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk(random.Random(5).randbytes(2 << 20))


@pytest.fixture
def drive(bench: Bench, adapter: Any, disk: MemoryDisk) -> Any:
    return bench.plug("ide-hd", drive=disk)


@pytest.fixture
def host(bench: Bench, adapter: Any, drive: Any) -> IdeDriver:
    return IdeDriver(bench, adapter)
