"""The entry point, and what becomes of errors: one line each, never a traceback for what a user can put right."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from ..errors import SouthbridgeError
from .app import app

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; gives the exit status."""
    try:
        result = app(arguments, prog_name="southbridge", standalone_mode=False)
        sys.stdout.flush()
    except SouthbridgeError as error:
        return _complain(str(error), WRONG_INPUT)
    except typer.TyperException as error:
        return _complain(f"{error.format_message()} (southbridge --help says what there is)", error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left. What is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return result if isinstance(result, int) else 0


def _complain(message: str, status: int) -> int:
    print(f"southbridge: {' '.join(message.split())}", file=sys.stderr)
    return status
