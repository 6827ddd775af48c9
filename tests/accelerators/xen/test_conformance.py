"""The device conformance suite, with a guest of the simulated hypervisor's (see `stage`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from southbridge import Device
from southbridge.discovery import load, names
from southbridge.testing.conformance import Check, checks_for
from southbridge.testing.replay import perform

from tests.accelerators.xen.stage import DomainBenchMemory, RequestStage


def every_check() -> Iterator[tuple[str, Check]]:
    for name in names("devices"):
        cls = load("devices", name)
        assert issubclass(cls, Device)
        for check in checks_for(cls):
            yield name, check


@pytest.mark.parametrize(
    ("device", "check"), [pytest.param(*each, id=f"{each[0]}-{each[1].__name__}") for each in every_check()]
)
def test_device(device: str, check: Check) -> None:
    stage = RequestStage(device, DomainBenchMemory, seed=0)
    perform(check, stage)


def test_accesses_are_requests() -> None:
    stage = RequestStage("edu", DomainBenchMemory)
    reads = [("read", probe.name, 0, 4) for probe in stage.probes()]
    answers, _ = stage.carry_out(reads), stage.play(reads)
    assert stage.front.server.served == 2 * len(reads) > 2
    assert all(answer is not None for answer in answers)
    stage.close()
