"""A drive whose code raises is as one that isn't there; its adapter and the other drive go on."""

from __future__ import annotations

from typing import Any

import pytest
from southbridge.testing import Bench
from southbridge.testing.ide import IdeDriver, MemoryDisk


@pytest.mark.parametrize("method", ["read_register", "write_register", "command", "alternate_status"])
def test_a_drive_that_raises_breaks_alone(
    bench: Bench, adapter: Any, host: IdeDriver, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.plug("ide-hd", "first", drive=MemoryDisk(bytes(1 << 20)))
    second = bench.plug("ide-hd", "second", drive=MemoryDisk(bytes(1 << 20)), bus="ide.1")
    bench.machine.strict = False
    kind = type(first)
    original = getattr(kind, method)

    def fail(self: Any, *arguments: int) -> Any:
        if self is first:
            raise ZeroDivisionError("in the drive")
        return original(self, *arguments)

    monkeypatch.setattr(kind, method, fail)
    host.issue(0xEC)
    host.status()
    bench.read_port(0x3F6)
    bench.read_port(0x1F2)
    assert (first.broken, second.broken, adapter.broken) == (True, False, False)
    other = IdeDriver(bench, adapter, 1)
    other.issue(0xEC)
    assert other.status() & 0x08
    assert bench.read_port(0x1F7) == 0x7F
