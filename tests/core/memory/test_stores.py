"""Logs of stores: several consumers, accelerators that record and that don't."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from southbridge.hookspecs import hookimpl
from southbridge.machine import Machine
from southbridge.memory.ram import RamBlock
from southbridge.memory.regions import Ram
from southbridge.memory.stores import StoreLog
from southbridge.units import KiB, MiB

PAGES = 16


class Recorder:
    """An accelerator's half of dirty logging."""

    def __init__(self, *, records: bool = True) -> None:
        self.records = records
        self.started: list[Ram] = []
        self.written: set[int] = set()

    @hookimpl
    def dirty_log_start(self, region: Ram) -> bool | None:
        """See hookspecs."""
        self.started.append(region)
        return self.records or None

    @hookimpl
    def dirty_log_stop(self, region: Ram) -> bool | None:
        """See hookspecs."""
        self.started.remove(region)
        return self.records or None

    @hookimpl
    def dirty_log_sync(self, region: Ram) -> npt.NDArray[np.bool_] | None:
        """See hookspecs."""
        pages = np.zeros(PAGES, np.bool_)
        pages[list(self.written)] = True
        self.written.clear()
        return pages if self.records else None


@pytest.fixture
def machine() -> Machine:
    return Machine(memory=1 * MiB)


@pytest.fixture
def region() -> Ram:
    return Ram("video", RamBlock("video", PAGES * 4 * KiB))


def taken(log: StoreLog) -> list[int]:
    """The pages, by number."""
    return np.flatnonzero(log.take()).tolist()


def run_by(machine: Machine, recorder: Recorder) -> None:
    """`recorder` is the machine's accelerator from now on."""
    machine.hooks.unregister("recorder")
    machine.hooks.register(recorder, "recorder")
    accelerator: Any = SimpleNamespace()
    machine.accelerator = accelerator
    machine.hooks.call.accelerator_changed(machine=machine, accelerator=accelerator)


def test_each_consumer_has_all(machine: Machine, region: Ram) -> None:
    recorder = Recorder()
    run_by(machine, recorder)
    first, second = StoreLog(machine, region), StoreLog(machine, region)
    assert recorder.started == [region]
    recorder.written = {3, 5}
    region.block.mark_dirty(4095, 2)
    assert taken(first) == [0, 1, 3, 5]
    recorder.written = {7}
    assert taken(first) == [7]
    assert taken(second) == [0, 1, 3, 5, 7]
    assert taken(second) == []
    first.close()
    first.close()
    recorder.written = {9}
    assert taken(second) == [9]
    second.close()
    assert recorder.started == [] and region.block.dirty == []


def test_a_new_log_begins_after_one_that_ended(machine: Machine, region: Ram) -> None:
    run_by(machine, Recorder())
    StoreLog(machine, region).close()
    log = StoreLog(machine, region)
    assert taken(log) == []


def test_an_accelerator_that_records_nothing(machine: Machine, region: Ram) -> None:
    run_by(machine, Recorder(records=False))
    log = StoreLog(machine, region)
    assert taken(log) == list(range(PAGES))
    assert taken(log) == list(range(PAGES))


def test_no_cpu_no_guest(machine: Machine, region: Ram) -> None:
    log = StoreLog(machine, region)
    assert taken(log) == []
    region.block.mark_dirty(0x5000, 1)
    assert taken(log) == [5]


def test_another_accelerator_begins_with_everything(machine: Machine, region: Ram) -> None:
    run_by(machine, Recorder())
    log = StoreLog(machine, region)
    taken(log)
    other = Recorder()
    run_by(machine, other)
    assert other.started == [region]
    assert taken(log) == list(range(PAGES))
    other.written = {1}
    assert taken(log) == [1]
