"""The machine under test."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from southbridge.machine import SWITCH_INTERVAL

from tests.accelerators.kvm.guest import KvmMachine


@pytest.fixture
def machine() -> Iterator[KvmMachine]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    machine = KvmMachine()
    yield machine
    machine.close()
    sys.setswitchinterval(interval)
