"""One driver for QEMU's edu and for ours: the same answers, interrupts and bytes in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guests import expect
from tests.guests.build import GUESTS, edu_guest
from tests.guests.conversation import Result, plain
from tests.guests.qemu import run_qemu
from tests.guests.southbridge import describe, run_southbridge

LONG_ENOUGH_S = 120.0
"""Only a guest that hangs meets this."""


@pytest.fixture(scope="module")
def image(images: Path) -> Path:
    return edu_guest(images)


def judge(result: Result) -> None:
    assert expect.cpu_failures(expect.parse_cpu_report(result.output), GUESTS / "edu") == {}
    assert plain(result.output).endswith(expect.CPU_DONE)
    assert result.status == expect.CPU_EXIT_STATUS


def test_on_qemu(image: Path) -> None:
    judge(run_qemu(image, devices=["edu"], timeout_s=LONG_ENOUGH_S))


def test_on_southbridge(image: Path, tmp_path: Path) -> None:
    judge(run_southbridge(describe(tmp_path, image=image, more="card: {type: edu}"), timeout_s=LONG_ENOUGH_S))


def test_without_the_card_it_says_so(image: Path, tmp_path: Path) -> None:
    result = run_southbridge(describe(tmp_path, image=image), timeout_s=LONG_ENOUGH_S)
    assert expect.parse_cpu_report(result.output) == {"edu-found": "got 00000000 want 00000001"}
