"""A machine's hooks: pluggy's plugin manager, with the hot hooks linked to their implementations.

A call through pluggy costs microseconds, a function call a fraction of one. So whenever a plugin comes or goes, each
hook of `hookspecs.LINKED` that has exactly one implementation and no wrapper becomes that implementation itself; with
a wrapper (a tracer, a fault injector) or several implementations it is the full call through pluggy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

from . import hookspecs
from .errors import PluginError
from .memory.guest import Mapping
from .memory.regions import Ram, Section

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class MachineHooks:
    """The hooks of one machine. The linked ones are attributes, called with positional arguments."""

    memory_read: Callable[[int, int], bytes]
    memory_write: Callable[[int, bytes | bytearray | memoryview], Any]
    memory_write_several: Callable[[Iterator[tuple[int, bytes | bytearray | memoryview]]], Any]
    memory_map: Callable[[int, int, bool], Mapping]
    memory_unmap: Callable[[Mapping, int], Any]
    irq_set: Callable[[int, bool], Any]
    pci_irq_set: Callable[[int, int, int, bool], Any]
    msi_send: Callable[[int, int], Any]
    dirty_log_sync: Callable[[Ram], npt.NDArray[np.bool_] | None]

    def __init__(self) -> None:
        self._manager = _Manager(hookspecs.PROJECT)
        for group in hookspecs.GROUPS:
            self._manager.add_hookspecs(group)
        self.call = self._manager.hook
        """Every hook as pluggy calls it, with keyword arguments."""
        self._link()

    def register(self, plugin: object, name: str) -> None:
        """`plugin`'s hook implementations take part from now on.

        Raises PluginError, naming the plugin, for one that the contract doesn't have or whose arguments don't fit.
        """
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            raise PluginError(f"plugin {name!r} has a hook that doesn't fit: {_one_line(str(error))}") from None
        except ValueError as error:
            raise PluginError(f"plugin {name!r}: {_one_line(str(error))}") from None
        self._link()

    def call_one(self, plugin: object, hook: str, **arguments: Any) -> None:
        """Calls `hook` of `plugin` alone, which is registered; nothing, if it doesn't implement it."""
        others = {other for other in self._manager.get_plugins() if other is not plugin}
        self._manager.subset_hook_caller(hook, others)(**arguments)

    def unregister(self, name: str) -> None:
        """The plugin of that name no longer takes part."""
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)
            self._link()

    def _link(self) -> None:
        for name in hookspecs.LINKED:
            setattr(self, name, self._linked(name))

    def _linked(self, name: str) -> Callable[..., Any]:
        caller = getattr(self.call, name)
        arguments = caller.spec.argnames
        implementations = caller.get_hookimpls()
        if len(implementations) == 1:
            (only,) = implementations
            if not (only.hookwrapper or only.wrapper) and tuple(only.argnames) == tuple(arguments):
                function: Callable[..., Any] = only.function
                return function

        def call(*values: Any) -> Any:
            return caller(**dict(zip(arguments, values, strict=True)))

        return call


class TopologyListener:
    """Passes changes of the memory map on to the hooks."""

    def __init__(self, hooks: MachineHooks) -> None:
        self._hooks = hooks

    def region_added(self, section: Section) -> None:
        """Memory appeared."""
        self._hooks.call.memory_region_added(section=section)

    def region_removed(self, section: Section) -> None:
        """It went."""
        self._hooks.call.memory_region_removed(section=section)


class _Manager(pluggy.PluginManager):
    """pluggy's, which by itself looks closely at each attribute of each object, whether or not it can be a hook."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        """See pluggy. A hook is a method of the class that is marked, or any method that the object holds itself."""
        if not isinstance(plugin, ModuleType):
            cls = plugin if isinstance(plugin, type) else type(plugin)
            own = None if cls is plugin else getattr(plugin, "__dict__", {}).get(name)
            if name not in _marked(cls) and not isinstance(own, MethodType | FunctionType):
                return None
        return super().parse_hookimpl_opts(plugin, name)


@functools.cache
def _marked(cls: type) -> frozenset[str]:
    """The names of attributes that `cls` or a base marks as hooks."""
    marker = f"{hookspecs.PROJECT}_impl"
    members = (item for base in cls.__mro__ for item in vars(base).items())
    return frozenset(
        name
        for name, member in members
        if hasattr(member, marker) or hasattr(getattr(member, "__func__", None), marker)
    )


def has_hooks(cls: type) -> bool:
    """Whether objects of `cls` implement hooks."""
    return bool(_marked(cls))


def _one_line(text: str) -> str:
    return " ".join(text.split())
