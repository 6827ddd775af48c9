"""Which pages of memory the guest stores to, and how often it accesses which device, while somebody wants to know."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from southbridge.machine import Machine
from southbridge.memory.ram import PAGE_SHIFT
from southbridge.memory.regions import Ram
from southbridge.memory.stores import StoreLog

CELLS = 1024
"""In which memory is shown, at most."""


class Heat:
    """From its making on; `close` ends it. With the machine's lock."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._counts: Counter[str] = Counter()
        regions: dict[int, Ram] = {
            id(section.region): section.region
            for section in machine.memory.sections
            if isinstance(section.region, Ram) and section.ram is machine.ram
        }
        self._logs = [StoreLog(machine, region) for region in regions.values()]
        for space in (machine.memory, machine.ports):
            space.count_accesses(self._counts)

    def take(self) -> dict[str, Any]:
        """Since the last call: how many pages of each cell of memory were stored to, and accesses by device."""
        pages = np.zeros(self._machine.ram.size >> PAGE_SHIFT, dtype=bool)
        for log in self._logs:
            first = log.pages.offset >> PAGE_SHIFT
            found = log.take()
            pages[first : first + len(found)] |= found
        each = -(-len(pages) // CELLS)
        cells = np.add.reduceat(pages.astype(np.int32), np.arange(0, len(pages), each))
        accesses = dict(self._counts.most_common())
        self._counts.clear()
        recorded = any(log.recorded for log in self._logs)
        return {"pages_a_cell": each, "cells": cells.tolist(), "recorded": recorded, "accesses": accesses}

    def close(self) -> None:
        """Nobody wants to know any more."""
        for log in self._logs:
            log.close()
        for space in (self._machine.memory, self._machine.ports):
            space.count_accesses(None)
