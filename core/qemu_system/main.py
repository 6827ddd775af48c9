"""The entry point of `southbridge-system-*`: options in, a machine that runs, QEMU's exit statuses out."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from ..errors import SouthbridgeError
from ..imported_late import load_tls_late
from .program import program

FAILED = 1
"""QEMU's exit status for whatever is wrong, the command line included."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the options say; gives the exit status."""
    gc.disable()  # until the machine runs: what is made until then stays
    load_tls_late()
    given = sys.argv[1:] if arguments is None else arguments
    try:
        return _for_a_domain(given) if "-xen-domid" in given else _main(given)
    except SouthbridgeError as error:
        print(f"{program()}: {' '.join(str(error).split())}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        return FAILED
    finally:
        gc.enable()


def _for_a_domain(arguments: Sequence[str]) -> int:
    from .resident import fill_mappings, fill_no_more

    fill_mappings()
    try:
        return _main(arguments)
    finally:
        fill_no_more()  # as `run` has done, if it came to that


def _main(arguments: Sequence[str]) -> int:
    from .options import read

    draft = read(arguments)
    asked = draft.process.asked
    if asked is None:
        from .run import run

        return run(draft)
    if asked.topic == "description":
        from .dump import dump

        print(dump(draft), end="")
    else:
        from .help import answer

        print(answer(asked))
    return 0
