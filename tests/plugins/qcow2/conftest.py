"""qcow2 images made by QEMU's own tools, and the same images opened by us."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from southbridge.plugins.qcow2 import Qcow2Image

Run = Callable[..., str]


@pytest.fixture(scope="session")
def qemu() -> Run:
    """Runs qemu-img, or qemu-io if that is the first argument; returns what it prints."""
    if shutil.which("qemu-img") is None or shutil.which("qemu-io") is None:
        pytest.skip("needs qemu-img: apt-get install qemu-utils")

    def run(*arguments: str | os.PathLike[str], cwd: Path | None = None) -> str:
        command = arguments if arguments[0] == "qemu-io" else ("qemu-img", *arguments)
        result = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
        assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
        return result.stdout

    return run


@pytest.fixture
def open_image() -> Iterator[Callable[..., Qcow2Image]]:
    """Opens an image, read-only unless told otherwise, and closes it after the test."""
    with ExitStack() as stack:

        def opened(path: Path, **values: Any) -> Qcow2Image:
            image = Qcow2Image(path=path, **(values or {"read_only": True}))
            stack.callback(image.close)
            image.open()
            return image

        yield opened
