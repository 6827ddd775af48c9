"""The machine under test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.accelerators.unicorn.guest import FakeMachine


@pytest.fixture
def machine() -> Iterator[FakeMachine]:
    machine = FakeMachine()
    yield machine
    machine.close()
