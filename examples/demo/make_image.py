#!/usr/bin/env python3
"""Makes the demo's disk image from boot.asm with NASM.

Usage: make_image.py IMAGE
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("boot.asm")
MISSING_NASM = "the assembler NASM is not installed; on Debian or Ubuntu: sudo apt-get install nasm"


class ImageError(Exception):
    """The image cannot be made; the text says why and what to do."""


def make_image(image: Path) -> Path:
    """Writes the disk image (one cylinder, 516096 bytes) and returns its path.

    Raises `ImageError` if NASM is missing or refuses the source; an existing image is then left as it was.
    """
    nasm = shutil.which("nasm")
    if nasm is None:
        raise ImageError(MISSING_NASM)
    image.parent.mkdir(parents=True, exist_ok=True)
    unfinished = image.with_name(f"{image.name}.part")
    run = subprocess.run([nasm, "-f", "bin", "-o", unfinished, SOURCE], capture_output=True, text=True)
    if run.returncode != 0:
        raise ImageError(f"nasm failed:\n{run.stderr.rstrip()}")
    unfinished.replace(image)
    return image


def main(arguments: list[str]) -> int:
    """Exit status: 0, 1 if the image could not be made, 2 for a wrong command line."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        make_image(Path(arguments[0]))
    except ImageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
