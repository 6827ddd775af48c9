"""What the program is called: by each of its names it is the same."""

from __future__ import annotations

import sys
from pathlib import Path

DEFAULT = "southbridge-system-x86_64"


def program() -> str:
    """The name by which it was called."""
    name = Path(sys.argv[0]).name
    return name if name.startswith("southbridge-system-") else DEFAULT
