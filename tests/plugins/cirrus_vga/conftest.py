"""A card on a bench, and its guest."""

from __future__ import annotations

import pytest
from southbridge.testing import Bench

from tests.plugins.cirrus_vga.card import CirrusGuest


@pytest.fixture
def card(bench: Bench) -> CirrusGuest:
    return CirrusGuest(bench)
