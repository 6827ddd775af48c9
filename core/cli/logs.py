"""Log lines on standard error."""

from __future__ import annotations

import logging
import sys

from ..discovery import nearest
from ..errors import SouthbridgeError

CATEGORIES = ("guest_errors", "info", "debug")


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        label = "warning: " if record.levelno == logging.WARNING else ""
        return f"southbridge: {label}{super().format(record)}"


class _StandardError(logging.Handler):
    """Whatever `sys.stderr` is when a line comes."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


def start_logging(wanted: str = "") -> None:
    """Shows warnings, and the `wanted` categories: any of CATEGORIES, with commas. Raises SouthbridgeError."""
    categories = [category.strip() for category in wanted.split(",") if category.strip()]
    for category in categories:
        if category not in CATEGORIES:
            hint = nearest(category, CATEGORIES) or f" (there are: {', '.join(CATEGORIES)})"
            raise SouthbridgeError(f"--log: there is nothing called {category!r} to log{hint}")
    root = logging.getLogger()
    if not any(isinstance(handler, _StandardError) for handler in root.handlers):
        handler = _StandardError()
        handler.setFormatter(_Lines())
        root.addHandler(handler)
    level = logging.DEBUG if "debug" in categories else logging.INFO if "info" in categories else logging.WARNING
    logging.getLogger("southbridge").setLevel(level)
    # Which accelerator was chosen, and why, is always worth a line.
    logging.getLogger("southbridge.builder").setLevel(min(level, logging.INFO))
    logging.getLogger("southbridge.guest_errors").setLevel(
        logging.INFO if "guest_errors" in categories else logging.WARNING
    )
