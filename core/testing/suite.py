"""The conformance suite as pytest shows it: `southbridge::e1000::reset_is_final[flat]`.

`pytest --southbridge-device NAME` collects it (`fixtures`); in a file of tests it is a name for `DeviceChecks`:

    test_conformance = DeviceChecks("my-device")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .. import discovery
from ..device import Device
from ..errors import PluginError
from .conformance import checks_for
from .replay import MEMORIES, Log, explain, find_check, perform, stage_for

ALL = "all"
"""Stands for every device that is installed."""


class DeviceChecks:
    """Every check on each of `names`, in a file of tests; "all" is every installed device."""

    def __init__(self, *names: str) -> None:
        self.names = names


def device_names(names: Iterable[str]) -> list[str]:
    """The devices that are meant, each once. Raises PluginError, with the nearest name, for one that isn't there."""
    found: dict[str, None] = {}
    for name in names:
        if name != ALL:
            discovery.load("devices", name)
        found |= dict.fromkeys(discovery.names("devices") if name == ALL else [name])
    return list(found)


class SuiteCollector(pytest.Collector):
    """The checks of some devices, and of some logs."""

    names: list[str]
    logs: list[Log]

    @classmethod
    def make(cls, parent: pytest.Collector, name: str, names: list[str], logs: Iterable[Log] = ()) -> SuiteCollector:
        """A collector called `name`, of the devices that `device_names` gave and of logs."""
        node: SuiteCollector = cls.from_parent(parent, name=name, nodeid=_id(parent, name))
        node.names, node.logs = names, list(logs)
        return node

    def collect(self) -> Iterator[pytest.Collector]:
        """A collector for each device."""
        for name in self.names:
            node: DeviceCollector = DeviceCollector.from_parent(self, name=name)
            node.logs = None
            yield node
        for name in dict.fromkeys(log.device for log in self.logs):
            node = DeviceCollector.from_parent(self, name=name)
            node.logs = [log for log in self.logs if log.device == name]
            yield node


class DeviceCollector(pytest.Collector):
    """The checks of one device, or logs of some."""

    logs: list[Log] | None

    def collect(self) -> Iterator[pytest.Item]:
        """An item for each check and kind of memory."""
        if self.logs is not None:
            yield from (self._item("replay", log) for log in self.logs)
            return
        try:
            cls = discovery.load("devices", self.name)
        except PluginError:
            yield LoadItem.from_parent(self, name="loads")
            return
        assert issubclass(cls, Device)
        for check in checks_for(cls):
            for memory in MEMORIES:
                name = check.__name__
                yield self._item(name, Log(self.name, name, memory, self.config.getoption("southbridge_seed")))

    def _item(self, name: str, log: Log) -> CheckItem:
        item: CheckItem = CheckItem.from_parent(self, name=f"{name}[{log.memory}]")
        item.log, item.is_replay = log, name == "replay"
        return item


class NonconformingDeviceError(Exception):
    """A check failed; the text is the report."""


class _Item(pytest.Item):
    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What is wrong, without the inner life of the suite."""
        if isinstance(excinfo.value, NonconformingDeviceError | PluginError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where pytest says that it is: in its file, if there is one."""
        own = self.path.is_file()
        return self.path, None, self.nodeid.partition("::")[2] if own else self.nodeid


class CheckItem(_Item):
    """One check of one device, on one kind of guest memory."""

    log: Log
    is_replay: bool

    def runtest(self) -> None:
        """Runs it."""
        stage = stage_for(self.log, scripted=self.is_replay)
        try:
            perform(find_check(self.log.check), stage)
        except Exception as error:  # of a device: anything
            raise NonconformingDeviceError(explain(self.log, stage, error, self.log.device)) from error


class LoadItem(_Item):
    """Stands for the checks of a device that can't be imported."""

    def runtest(self) -> None:
        """Says why."""
        assert self.parent is not None
        discovery.load("devices", self.parent.name)


def _id(parent: pytest.Collector, name: str) -> str:
    return f"{parent.nodeid}::{name}" if parent.nodeid else name
