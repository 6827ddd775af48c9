"""Runs a shell script in dom0 and prints all that it said: python -m tests.lab 'xl list'."""

from __future__ import annotations

import sys
import time

from tests.lab.dom0 import run_in_dom0

began = time.monotonic()
result = run_in_dom0(sys.argv[1])
print(result.console if result.status is None else result.output)
print(f"status {result.status}, {time.monotonic() - began:.1f} s; files: {', '.join(result.files)}")
