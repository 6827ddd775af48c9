"""What is stored in a memory region, by the guest and by devices, page by page, for any number of consumers.

The accelerator records the guest's stores (the hooks `dirty_log_*`), the core marks what devices write; each consumer,
a display or a snapshot that is taken while the guest runs, has both in a record of its own. With the machine's lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..hookspecs import hookimpl
from .dirty import DirtyPages
from .regions import Ram

if TYPE_CHECKING:
    from ..accelerator import Accelerator
    from ..machine import Machine


class StoreLog:
    """One consumer's record of which pages of `region` were stored to. `close` ends it."""

    def __init__(self, machine: Machine, region: Ram) -> None:
        stores = region.stores
        if not isinstance(stores, _Stores):
            stores = region.stores = _Stores(machine, region)
        self._stores = stores
        self.pages = DirtyPages(region.block, region.offset, region.size)
        region.block.dirty.append(self.pages)
        stores.logs.append(self)

    def take(self) -> npt.NDArray[np.bool_]:
        """The pages stored to since the last call, one element a page; the record begins anew.

        Where an accelerator records nothing, and after an exchange of accelerators, that is all of them.
        """
        self._stores.collect()
        return self.pages.take()

    @property
    def recorded(self) -> bool:
        """Whether the accelerator tells which pages the guest stores to."""
        return self._stores.recorded

    def mark_all(self) -> None:
        """As if every page had been stored to."""
        self.pages.mark(self.pages.offset, self.pages.size)

    def close(self) -> None:
        """Records nothing more. May be called twice."""
        if self in self._stores.logs:
            self._stores.logs.remove(self)
            self._stores.region.block.dirty.remove(self.pages)
            if not self._stores.logs:
                self._stores.end()


class _Stores:
    """The accelerator's record of one region, and who shares it."""

    def __init__(self, machine: Machine, region: Ram) -> None:
        self.region = region
        self.logs: list[StoreLog] = []
        self._machine = machine
        self._plugin = f"stores to {region.name} {id(self):#x}"
        machine.hooks.register(self, self._plugin)
        self.recorded = bool(machine.hooks.call.dirty_log_start(region=region))

    def collect(self) -> None:
        """Takes the accelerator's record into everybody's."""
        found = self._machine.hooks.dirty_log_sync(self.region) if self.recorded else None
        if found is not None:
            for log in self.logs:
                log.pages.merge(found)
        elif self._machine.accelerator is not None:
            self._mark_all()

    def end(self) -> None:
        """Nobody wants it any more."""
        self.region.stores = None
        self._machine.hooks.unregister(self._plugin)
        if self.recorded:
            self._machine.hooks.call.dirty_log_stop(region=self.region)

    @hookimpl
    def accelerator_changed(self, accelerator: Accelerator) -> None:
        """Another one runs the guest: what was stored meanwhile isn't known."""
        with self._machine.lock:
            self.recorded = bool(self._machine.hooks.call.dirty_log_start(region=self.region))
            self._mark_all()

    def _mark_all(self) -> None:
        for log in self.logs:
            log.mark_all()
