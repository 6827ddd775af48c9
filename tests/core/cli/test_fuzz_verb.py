"""`southbridge fuzz`."""

from __future__ import annotations

from collections.abc import Callable

from tests.core.cli.conftest import Result


def test_a_device(southbridge: Callable[..., Result]) -> None:
    result = southbridge("fuzz", "port92", "--seed", "1", "--seconds", "0.01")
    assert result.status == 0
    assert result.out.endswith("programs, 0 found\n")


def test_no_device(southbridge: Callable[..., Result]) -> None:
    result = southbridge("fuzz", "e1001")
    assert result.status == 2
    assert "e1000" in result.err
