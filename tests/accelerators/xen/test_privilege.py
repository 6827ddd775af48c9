"""Privileges that are given up, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from southbridge import SouthbridgeError
from southbridge.accelerators.xen import privilege

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def run(code: str) -> str:
    script = f"from southbridge.accelerators.xen import privilege\nimport os\nfrom pathlib import Path\n{code}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_users() -> None:
    assert privilege.user("65534:100") == (65534, 100)
    assert privilege.user("root") == (0, 0)
    with pytest.raises(SouthbridgeError, match="no user 'nobody-of-that-name'"):
        privilege.user("nobody-of-that-name")


@needs_root
def test_it_becomes_somebody_else_for_good() -> None:
    found = run("""
privilege.confine(None, "65534:65534", False)
try:
    os.setuid(0)
except PermissionError:
    print(os.getresuid(), os.getresgid(), os.getgroups())
""")
    assert found == "(65534, 65534, 65534) (65534, 65534, 65534) [65534]"


@needs_root
def test_another_root_folder(tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    assert run(f"privilege.confine(Path({str(tmp_path)!r}), None, False); print(os.listdir('/'))") == "['here']"


def test_the_sandbox_refuses_new_processes() -> None:
    found = run("""
privilege.confine(None, None, True)
for act in (os.fork, lambda: os.execv("/bin/true", ["true"]), lambda: os.setuid(os.getuid())):
    try:
        act()
        print("done")
    except PermissionError as error:
        print(error.errno)
import threading
thread = threading.Thread(target=lambda: print("a thread"))
thread.start()
thread.join()
""")
    assert found.splitlines()[-1] == "a thread"
    assert "done" not in found


def test_a_folder_that_isnt_there() -> None:
    with pytest.raises(SouthbridgeError, match="privileges can't be given up"):
        privilege.confine(Path("/no/such/folder"), None, False)
