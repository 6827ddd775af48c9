"""Log lines of a program that has QEMU's options: -d, -D."""

from __future__ import annotations

import logging
from collections.abc import Collection

from ..errors import SouthbridgeError
from .program import program


def start_logging(items: Collection[str], path: str) -> None:
    """Warnings, and `items` ("guest_errors"), go to standard error, or to the file `path`. Raises SouthbridgeError."""
    try:
        handler = logging.FileHandler(path, mode="w") if path else logging.StreamHandler()
    except OSError as error:
        raise SouthbridgeError(f"-D {path}: can't be written: {error.strerror}") from None
    logging.basicConfig(format=f"{program()}: %(message)s", level=logging.WARNING, handlers=[handler])
    if "guest_errors" in items:
        logging.getLogger("southbridge.guest_errors").setLevel(logging.INFO)
