"""-sandbox, in processes of their own."""

from __future__ import annotations

import subprocess
import sys


def test_it_refuses_new_processes_but_not_threads() -> None:
    code = """
import os, threading
from southbridge.qemu_system.sandbox import enter_sandbox
enter_sandbox()
for act in (os.fork, lambda: os.execv("/bin/true", ["true"]), lambda: os.setuid(os.getuid())):
    try:
        act()
        print("done")
    except PermissionError as error:
        print(error.errno)
thread = threading.Thread(target=lambda: print("a thread"))
thread.start()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "a thread"
    assert "done" not in done.stdout
