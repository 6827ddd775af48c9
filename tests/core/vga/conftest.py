"""A card and its guest."""

from __future__ import annotations

import pytest
from southbridge.testing import Bench

from tests.core.vga.cards import Guest, PlainCard


@pytest.fixture
def guest(bench: Bench) -> Guest:
    return Guest(bench, bench.plug(PlainCard, "card"))
