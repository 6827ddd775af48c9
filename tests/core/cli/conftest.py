"""The command line, called in the test's own process or in one of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from southbridge.cli import main

LOGGERS = ("", "southbridge", "southbridge.builder", "southbridge.guest_errors")

PROGRAM = [sys.executable, "-c", "import sys; from southbridge.cli import main; sys.exit(main())"]


@dataclass
class Result:
    """What a call gave."""

    status: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control sockets are in a folder of the test's own."""
    path = tmp_path_factory.mktemp("runtime")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    return path / "southbridge"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The command line sets up logging for its process; here, that is the tests'."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture
def southbridge(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Calls `southbridge` with these arguments, in this process."""

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        status = main(arguments)
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return call


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[Any]]]:
    """Starts `southbridge` with these arguments in a process of its own; `path` are folders with plugins."""
    started: list[subprocess.Popen[Any]] = []

    def start(*arguments: str, path: tuple[Path, ...] = (), **options: Any) -> subprocess.Popen[Any]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen([*PROGRAM, *arguments], env=environment, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
