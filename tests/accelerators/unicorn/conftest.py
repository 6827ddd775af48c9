"""The machine under test."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from southbridge.machine import SWITCH_INTERVAL

from tests.accelerators.unicorn.guest import FakeMachine


@pytest.fixture
def machine() -> Iterator[FakeMachine]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    machine = FakeMachine()
    yield machine
    machine.close()
    sys.setswitchinterval(interval)
