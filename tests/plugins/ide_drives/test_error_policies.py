"""rerror and werror: what a drive does when its image fails."""

from __future__ import annotations

from typing import Any

import pytest
from southbridge import Machine
from southbridge.plugins.blkdebug import Blkdebug
from southbridge.testing import Bench
from southbridge.testing.ide import ERR, IdeDriver, MemoryDisk

READ_SECTORS, WRITE_SECTORS, FLUSH_CACHE = 0x20, 0x30, 0xE7


class Stops:
    """What a machine was told to stop for."""

    def __init__(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reasons: list[str] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        monkeypatch.setattr(machine, "request_pause", self.reasons.append)
        monkeypatch.setattr(machine, "announce", lambda name, **data: self.events.append((name, data)))


@pytest.fixture
def stops(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Stops:
    return Stops(bench.machine, monkeypatch)


def plug(bench: Bench, rule: str, contents: MemoryDisk, **policies: str) -> Any:
    image = Blkdebug(image=contents, rules=[rule])
    image.open()
    return bench.plug("ide-hd", drive=image, **policies)


def test_a_read_stops_the_machine_and_is_made_again(
    bench: Bench, adapter: Any, contents: MemoryDisk, host: IdeDriver, stops: Stops
) -> None:
    disk = plug(bench, "inject-error iotype=read once=on", contents, rerror="stop")
    host.issue(READ_SECTORS, 3, 1)
    assert stops.reasons == ["io-error"]
    ((name, event),) = stops.events
    assert (name, event["operation"], event["action"], event["nospace"]) == ("BLOCK_IO_ERROR", "read", "stop", False)
    disk.machine_resumed()
    assert host.read_all() == contents.data[3 * 512 : 4 * 512]
    disk.machine_resumed()
    assert stops.reasons == ["io-error"]


@pytest.mark.parametrize(
    ("policy", "number", "stopped"), [("stop", 5, True), ("enospc", 28, True), ("enospc", 5, False)]
)
def test_a_write_that_fails(
    bench: Bench,
    adapter: Any,
    contents: MemoryDisk,
    host: IdeDriver,
    stops: Stops,
    policy: str,
    number: int,
    stopped: bool,
) -> None:
    disk = plug(bench, f"inject-error iotype=write once=on errno={number}", contents, werror=policy)
    host.issue(WRITE_SECTORS, 1, 1)
    host.write_block(b"new!" * 128)
    assert stops.reasons == (["io-error"] if stopped else [])
    assert stops.events[0][1]["nospace"] is (number == 28)
    disk.machine_resumed()
    bench.executor.run_all()
    assert bool(host.wait() & ERR) is not stopped
    assert (contents.data[512:1024] == b"new!" * 128) is stopped


def test_errors_that_are_ignored(
    bench: Bench, adapter: Any, contents: MemoryDisk, host: IdeDriver, stops: Stops
) -> None:
    """What can't be read is zeros; what can't be written is lost."""
    plug(bench, "inject-error", contents, rerror="ignore", werror="ignore")
    host.issue(READ_SECTORS, 0, 1)
    assert host.read_all() == bytes(512)
    before = bytes(contents.data)
    host.issue(WRITE_SECTORS, 0, 1)
    host.write_all(b"x" * 512)
    assert not host.run(FLUSH_CACHE).status & ERR
    assert contents.data == before
    assert [event["action"] for _, event in stops.events] == ["ignore"] * 3


def test_a_reset_forgets_the_request(
    bench: Bench, adapter: Any, contents: MemoryDisk, host: IdeDriver, stops: Stops
) -> None:
    disk = plug(bench, "inject-error once=on", contents, rerror="stop")
    host.issue(READ_SECTORS, 0, 1)
    host.reset()
    disk.machine_resumed()
    assert disk.phase == "idle"
