"""What -help and -version say."""

from __future__ import annotations

from .. import __version__
from .options import OPTIONS


def show_version() -> None:
    """Prints it."""
    print(f"Southbridge {__version__}")


def show_help() -> None:
    """Prints each option with what it takes and does."""
    print("usage: southbridge-system-i386 [options]\n")
    for option in OPTIONS.values():
        print(f"-{option.name} {option.takes}".rstrip())
        print(f"    {option.doc}")
