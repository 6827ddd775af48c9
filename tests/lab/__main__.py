"""Runs a shell script in dom0 and prints all that it said: python -m tests.lab 'xl list'.

There are also disks for guests, linux.img and cpus.img, and our program, whose path is put for PROGRAM in the script:

    python -m tests.lab './linux.sh PROGRAM'
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.lab.dom0 import run_in_dom0
from tests.lab.linux import cpus_disk, linux_disk
from tests.lab.program import PROGRAM, program_disks

began = time.monotonic()
with tempfile.TemporaryDirectory() as folder:
    disks = {"linux.img": linux_disk, "cpus.img": cpus_disk}
    files: dict[str, Path | bytes] = {name: make(Path(folder)).read_bytes() for name, make in disks.items()}
    script = sys.argv[1].replace("PROGRAM", PROGRAM)
    result = run_in_dom0(script, files, disks=program_disks(), patience_s=1800)
print(result.console if result.status is None else result.output)
print(f"status {result.status}, {time.monotonic() - began:.1f} s; files: {', '.join(result.files)}")
