"""What holds for every test: in CI, nothing that can be installed may be missing."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("southbridge", deadline=None)
settings.load_profile("southbridge")

MAY_BE_MISSING = ("/dev/kvm", "needs root")
"""A skip's reason that names one of these is accepted in CI; anything else can be installed there."""


def _reason(report: pytest.TestReport) -> str:
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)


class _SkipsFail:
    """Notes skipped tests, and fails the session for those that needn't have been."""

    def __init__(self) -> None:
        self.unexcused: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not any(name in _reason(report) for name in MAY_BE_MISSING):
            self.unexcused.append(f"{report.nodeid}: {_reason(report)}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unexcused:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self.unexcused:
            terminalreporter.write_line(f"skipped, though it could have been installed: {line}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_SkipsFail())
