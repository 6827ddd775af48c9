"""The card on a bench."""

from __future__ import annotations

import pytest
from southbridge.testing import Bench

from tests.plugins.e1000.driver import Driver


@pytest.fixture
def driver(bench: Bench) -> Driver:
    return Driver(bench)
