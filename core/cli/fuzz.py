"""`southbridge fuzz`: random programs on a device, in a whole PC."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .. import discovery
from ..errors import SouthbridgeError


def fuzz_device(device: str | None, *, seed: int | None, seconds: float, file: Path | None) -> int:
    """Fuzzes `device`, or all that are installed; or runs again what is in `file`. Gives the exit status.

    Raises SouthbridgeError for a device or file that isn't there.
    """
    try:
        from ..testing import fuzz as fuzzing
    except ModuleNotFoundError as error:
        raise SouthbridgeError(f"fuzzing needs what tests need ({error.name} is missing): southbridge[test]") from None
    if file is not None:
        with _quiet():
            return _replay(file)
    if device is not None:
        discovery.load("devices", device)
    names = [device] if device is not None else list(discovery.names("devices"))
    chosen = time.time_ns() % 1_000_000 if seed is None else seed
    print(f"{len(names)} device{'s' * (len(names) != 1)}, {seconds:g} s, --seed {chosen}", file=sys.stderr)

    def tell(finding: fuzzing.Finding) -> None:
        path = fuzzing.write_test(finding, chosen, Path.cwd())
        print(f"{finding.device}: {finding.message}\n{finding.where}")
        print(f"{len(finding.program)} of {finding.before} lines lead there: southbridge fuzz --replay {path.name}")

    with _quiet():
        programs, findings = fuzzing.fuzz(names, seed=chosen, seconds=seconds, found=tell)
    print(f"{programs} programs, {len(findings)} found")
    return 1 if findings else 0


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Inside, nothing is logged: guests' mistakes are what this is about."""
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _replay(file: Path) -> int:
    from ..testing import fuzz as fuzzing

    try:
        device = fuzzing.replay_file(file)
    except SouthbridgeError:
        raise
    except Exception as error:  # of a device: anything
        print(f"{fuzzing.message_of(error)}\n{fuzzing.place_of(error)}")
        return 1
    print(f"{device}: nothing is wrong")
    return 0
