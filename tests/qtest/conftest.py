"""Each test runs on our machine, and on QEMU's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.qtest.machines import MACHINES, Pc

Start = Callable[..., Pc]


@pytest.fixture(params=list(MACHINES))
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Starts one, with images of its disk, disc and floppy disk."""
    with ExitStack() as stack:
        yield lambda disk=None, disc=None, floppy=None: stack.enter_context(
            MACHINES[request.param](tmp_path, disk, disc, floppy)
        )


@pytest.fixture
def pc(start: Start) -> Pc:
    """One without drives."""
    return start()
