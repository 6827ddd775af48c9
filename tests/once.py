"""What takes long to make and several processes' tests look at is made once."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from typing import TypeVar

import pytest

from tests.linux.packages import locked

Made = TypeVar("Made")


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[], Made]) -> Made:
    """What `make` gives, to whichever process of this run asks first; others wait, and get a copy."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"once-{name}"
    folder.mkdir(exist_ok=True)
    with locked(folder):
        kept = folder / "made"
        if not kept.exists():
            made = make()
            kept.write_bytes(pickle.dumps(made))
            return made
    loaded: Made = pickle.loads(kept.read_bytes())
    return loaded
