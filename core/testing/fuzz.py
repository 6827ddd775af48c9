"""Random programs on installed devices, in a whole PC: `southbridge fuzz`. What is found becomes a test.

Everything follows from the seed: the same seed, device and number give the same program.
"""

from __future__ import annotations

import ast
import itertools
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from .. import discovery
from ..errors import SouthbridgeError
from .dictionary import numbers
from .fuzz_machine import Target, perform, target_for
from .fuzz_programs import LENGTH, Programs
from .qtest import QtestError
from .replay import Failure, failure_of, minimal
from .stage import NonconformingError

EFFORT_S = 60.0
"""Seconds that are spent on making a program shorter."""

TEST = '''"""Found by `southbridge fuzz {device} --seed {seed}`."""

from southbridge.testing.fuzz import replay_program

DEVICE = "{device}"
PROGRAM = """
{program}
"""


def test_{name}_survives() -> None:
    """{message}"""
    replay_program(DEVICE, PROGRAM)
'''


class Finding(NamedTuple):
    """A program that does harm."""

    device: str
    number: int
    message: str
    where: str
    program: list[str]
    before: int
    """How many lines it had at first."""


def replay_program(device: str, program: str | Sequence[str]) -> None:
    """Runs `program` on a PC with a device of that type, and raises what is wrong."""
    lines = program.split("\n") if isinstance(program, str) else program
    with tempfile.TemporaryDirectory(prefix="southbridge-fuzz-") as folder:
        perform(device, [line for line in lines if line.strip()], Path(folder))


def replay_file(path: Path) -> str:
    """Runs the program of a test that `write_test` wrote; gives the device's type. Raises what is wrong.

    Raises SouthbridgeError for a file that isn't such a test.
    """
    try:
        tree = ast.parse(path.read_text())
    except OSError as error:
        raise SouthbridgeError(f"can't read {path}: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        raise SouthbridgeError(f"{path}: no test of a program: {error}") from None
    values = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    device, program = values.get("DEVICE"), values.get("PROGRAM")
    if not isinstance(device, str) or not isinstance(program, str):
        raise SouthbridgeError(f"{path}: expected DEVICE and PROGRAM, as in a test that `southbridge fuzz` wrote")
    replay_program(device, program)
    return device


def fuzz(
    devices: Iterable[str],
    *,
    seed: int,
    seconds: float,
    length: int = LENGTH,
    found: Callable[[Finding], None] = lambda finding: None,
) -> tuple[int, list[Finding]]:
    """Runs programs of `length` steps on each of `devices` in turn for `seconds`; gives their number, what was found.

    A device that something was found of is left alone from then on.
    """
    end = time.monotonic() + seconds
    findings: list[Finding] = []
    targets: dict[str, Target] = {}
    left = list(devices)
    programs = 0
    with tempfile.TemporaryDirectory(prefix="southbridge-fuzz-") as name:
        folder = Path(name)
        for number in itertools.count():
            for device in list(left):
                if time.monotonic() > end:
                    return programs, findings
                if device not in targets:
                    targets[device] = target_for(device, _folder(folder, device))
                random = Random(f"{device} {seed} {number}")
                program = Programs(targets[device], numbers(discovery.load("devices", device)), random).program(length)
                programs += 1
                error = _error_of(device, program, _folder(folder, device))
                if error is not None:
                    finding = _shorter(device, number, program, error, _folder(folder, device))
                    findings.append(finding)
                    found(finding)
                    left.remove(device)
            if not left:
                break
    return programs, findings


def _folder(folder: Path, device: str) -> Path:
    path = folder / device
    path.mkdir(exist_ok=True)
    return path


def _error_of(device: str, program: Sequence[str], folder: Path) -> Exception | None:
    try:
        perform(device, program, folder)
    except Exception as error:  # of a device: anything
        return error
    return None


def _shorter(device: str, number: int, program: list[str], error: Exception, folder: Path) -> Finding:
    """A program with fewer lines that fails in the same way."""
    failure, end = kind_of(error), time.monotonic() + EFFORT_S

    def fails(lines: list[str]) -> bool:
        again = _error_of(device, lines, folder)
        return again is not None and kind_of(again) == failure

    short = minimal(list(program), fails, lambda: time.monotonic() < end)
    return Finding(device, number, message_of(error), place_of(error), short, len(program))


def message_of(error: Exception) -> str:
    """What is wrong."""
    return "".join(traceback.format_exception_only(error)).strip()


def place_of(error: Exception) -> str:
    """Where in the code."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return "\n".join(f"    {frame.filename}:{frame.lineno}, in {frame.name}: {frame.line}" for frame in frames)


def kind_of(error: Exception) -> Failure:
    """What makes two failures the same."""
    if isinstance(error, QtestError):
        return failure_of(NonconformingError(str(error)))
    return failure_of(error)


def write_test(finding: Finding, seed: int, folder: Path) -> Path:
    """Writes `finding` as a test into `folder`; gives its file."""
    name = "".join(letter if letter.isalnum() else "_" for letter in finding.device)
    path = folder / f"test_fuzz_{name}_{seed}_{finding.number}.py"
    message = finding.message.replace("\\", "/").replace('"', "'").splitlines()[0][:100]
    text = TEST.format(device=finding.device, seed=seed, name=name, message=message, program="\n".join(finding.program))
    path.write_text(text)
    return path
