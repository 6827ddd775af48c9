"""Memory whose pages are there once it is mapped, for as long as the program starts.

In Xen's dom0 the first touch of a page takes some 90 us, and a start touches three thousand. Where the process may lock
as much memory as it likes, the kernel provides the pages of a mapping all at once.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

MCL_FUTURE = 2
CAP_IPC_LOCK = 14
STATUS = Path("/proc/self/status")


def fill_mappings() -> None:
    """From now on, mappings come with their pages. For a process whose guest's memory isn't its own."""
    if _may_lock_memory():
        ctypes.CDLL(None).mlockall(MCL_FUTURE)


def fill_no_more() -> None:
    """From now on, pages come when they are touched, and may go again."""
    ctypes.CDLL(None).munlockall()


def _may_lock_memory() -> bool:
    """Whether no limit is set to that (capabilities(7)): with one, memory would end at it."""
    try:
        found = re.search(r"^CapEff:\s*([0-9a-f]+)$", STATUS.read_text(), re.MULTILINE)
    except OSError:
        return False
    return found is not None and bool(int(found[1], 16) >> CAP_IPC_LOCK & 1)
