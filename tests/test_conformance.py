"""The conformance suite, on every device that is installed, with flat and with windowed guest memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from southbridge import discovery
from southbridge.memory.guest import FlatGuestMemory
from southbridge.memory.space import AddressSpace
from southbridge.testing import FlatBenchMemory, WindowedBenchMemory
from southbridge.testing.conformance import CHECKS, Check
from southbridge.testing.stage import Stage


@pytest.mark.parametrize("make_memory", [FlatBenchMemory, WindowedBenchMemory], ids=["flat", "windowed"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", discovery.names("devices"))
def test_a_device(kind: str, check: Check, make_memory: Callable[[AddressSpace], FlatGuestMemory]) -> None:
    stage = Stage(kind, make_memory)
    check(stage)
    stage.bench.close()
