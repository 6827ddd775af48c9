"""Network namespaces: Ethernet interfaces and addresses that nobody but a test sees."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

CLONE_NEWNET = 0x4000_0000


@contextmanager
def network_namespace() -> Iterator[None]:
    """Inside, this thread, and what it starts, is in a network namespace of its own. Skips the test if it can't be."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET):
            pytest.skip(f"needs a network namespace: {os.strerror(ctypes.get_errno())}")
        yield
    finally:
        libc.setns(before, CLONE_NEWNET)
        os.close(before)


def ip(*words: str) -> None:
    """The command `ip`."""
    try:
        subprocess.run(["ip", *words], check=True)
    except FileNotFoundError:
        pytest.skip("needs ip, of Debian's iproute2")
