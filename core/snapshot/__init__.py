"""Snapshots."""

from __future__ import annotations

from typing import Any


async def save_running(machine: Any, path: str, tell: Any) -> None:
    """Stub."""
