"""What pytest has of Southbridge by the entry point `pytest11`: a fixture, and the conformance suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..errors import PluginError
from .bench import Bench, FlatBenchMemory, WindowedBenchMemory
from .replay import Log, parse
from .suite import DeviceChecks, SuiteCollector, device_names

if TYPE_CHECKING:
    from .qtest import QtestClient

SUITE = "southbridge"
"""What the ids of the suite's tests begin with."""


@pytest.fixture(params=[FlatBenchMemory, WindowedBenchMemory], ids=["flat", "windowed"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A bench; each test runs on one with flat guest memory and on one that maps it only in small windows."""
    made = Bench(request.param)
    yield made
    made.close()


@pytest.fixture
def qtest() -> Iterator[Callable[..., QtestClient]]:
    """Starts machines without a CPU: `qtest("pc", "devices.nic0={type: e1000}")` gives the client of one."""
    from .qtest import driven

    with ExitStack() as machines:
        yield lambda machine="pc", *settings: machines.enter_context(driven(machine, *settings))


# --- pytest --southbridge-device NAME ----------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """See pytest."""
    group = parser.getgroup("southbridge", "Southbridge's devices")
    group.addoption(
        "--southbridge-device",
        action="append",
        default=[],
        metavar="NAME",
        dest="southbridge_devices",
        help="run the conformance suite on this installed device (all: on each); may be given several times",
    )
    group.addoption(
        "--southbridge-seed",
        type=int,
        default=0,
        metavar="N",
        dest="southbridge_seed",
        help="what the suite's random accesses are made from (default: 0)",
    )
    group.addoption(
        "--southbridge-replay",
        action="append",
        default=[],
        metavar="FILE",
        dest="southbridge_replays",
        help="run the accesses again that a failed check printed",
    )


class _Request:
    """What the command line asks for."""

    def __init__(self, config: pytest.Config) -> None:
        self.logs = [_read(Path(name)) for name in dict.fromkeys(config.getoption("southbridge_replays"))]
        self.ids = [argument for argument in config.args if _is_id(argument)]
        named = [*config.getoption("southbridge_devices"), *(part.split("::")[1] for part in self.ids)]
        try:
            self.devices = device_names(named)
            device_names(log.device for log in self.logs)
        except PluginError as error:
            raise pytest.UsageError(str(error)) from None
        self.whole = not self.ids
        """All of the devices' checks, rather than some by their ids."""

    def __bool__(self) -> bool:
        return bool(self.devices or self.logs)

    def wants(self, item: pytest.Item) -> bool:
        """Whether `item` is asked for, where ids are given."""
        ids = [SUITE + "::" + part.split("::", 1)[1] for part in self.ids]
        return self.whole or any(item.nodeid == id or item.nodeid.startswith((f"{id}::", f"{id}[")) for id in ids)


def pytest_configure(config: pytest.Config) -> None:
    """Takes the suite's ids from the command line; without another argument, no files are collected."""
    request = _Request(config)
    config.stash[_REQUEST] = request
    if request:
        given = config.args_source is pytest.Config.ArgsSource.ARGS
        config.args = [argument for argument in config.args if given and not _is_id(argument)]


_REQUEST = pytest.StashKey[_Request]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Adds the checks that the command line asks for."""
    request = config.stash[_REQUEST]
    if request:
        suite = SuiteCollector.make(session, SUITE, request.devices, request.logs)
        items += [item for item in session.genitems(suite) if request.wants(item)]


def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> SuiteCollector | None:
    """Collects the checks that a file of tests asks for."""
    if not isinstance(obj, DeviceChecks):
        return None
    try:
        return SuiteCollector.make(collector, name, device_names(obj.names))
    except PluginError as error:
        raise collector.CollectError(str(error)) from None


def _is_id(argument: str) -> bool:
    first, *rest = argument.split("::")
    return bool(rest) and Path(first).name == SUITE and not Path(first).exists()


def _read(path: Path) -> Log:
    try:
        return parse(path.read_text())
    except OSError as error:
        raise pytest.UsageError(f"can't read {path}: {error.strerror}") from None
    except ValueError as error:
        raise pytest.UsageError(f"{path}: {error}") from None
