"""The entry point of `southbridge-system-*`: options in, a machine that runs, QEMU's exit statuses out."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Sequence

from ..errors import SouthbridgeError

PROGRAM = "southbridge-system-i386"
FAILED, WRONG_INPUT = 1, 2

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the options say; gives the exit status."""
    gc.disable()  # until the machine runs: what is made until then stays
    logging.basicConfig(format=f"{PROGRAM}: %(message)s", level=logging.WARNING)
    try:
        return _main(sys.argv[1:] if arguments is None else arguments)
    except SouthbridgeError as error:
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        return WRONG_INPUT
    except BrokenPipeError:
        return FAILED
    finally:
        gc.enable()


def _main(arguments: Sequence[str]) -> int:
    from .options import read

    draft = read(arguments)
    match draft.process.shows:
        case "help":
            from .help import show_help

            show_help()
        case "version":
            from .help import show_version

            show_version()
        case "description":
            from .dump import dump

            print(dump(draft), end="")
        case "":
            from .run import run

            return run(draft)
    return 0
