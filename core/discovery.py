"""Finding plugins: entry points, by kind and name.

Each kind of plugin has an entry-point group, `southbridge.devices` and so on; an entry point's name is what users
write. Listing reads metadata only: nothing is imported but what `load` is asked for. Built-in plugins are found as any
are; stevedore loads those of others.

Two variables of the environment switch plugins off. Each is a list, separated by commas or spaces, of distributions
(`southbridge-e1000`), plugins (`e1000`), or a plugin of one distribution (`southbridge-e1000:e1000`).

- `SOUTHBRIDGE_LOAD_PLUGINS`: if it is set, only what it lists is there, and what comes with Southbridge itself; empty:
  only the latter.
- `SOUTHBRIDGE_DISABLE_PLUGINS`: what it lists is not there, wherever it comes from.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
import re
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

from .errors import PluginError
from .hooks import MachineHooks, has_hooks
from .installed import Distribution, distributions
from .properties import Configurable, check_declarations

LOAD = "SOUTHBRIDGE_LOAD_PLUGINS"
DISABLE = "SOUTHBRIDGE_DISABLE_PLUGINS"

OWN = "southbridge"
"""Our own distribution."""

_PREFIX = "southbridge."

KINDS: dict[str, tuple[str, str]] = {
    "accelerators": ("accelerator", "southbridge.accelerator:Accelerator"),
    "devices": ("device", "southbridge.device:Device"),
    "netdevs": ("netdev", "southbridge.net:NetworkBackend"),
    "blockdevs": ("blockdev", "southbridge.block:BlockBackend"),
    "chardevs": ("chardev", "southbridge.chardev:CharBackend"),
    "displays": ("display", "southbridge.display:Display"),
    "monitors": ("monitor", "southbridge.monitor:Monitor"),
    "commands": ("command", ""),
}
"""Of each kind: what one such plugin is called, and the class that its entry points' classes are made from."""

log = logging.getLogger(__name__)


class Plugin(NamedTuple):
    """An entry point, as its distribution's metadata has it. `switched_off_by` names a variable of the environment."""

    kind: str
    name: str
    value: str
    distribution: str
    version: str
    switched_off_by: str | None

    @property
    def source(self) -> str:
        """Where it comes from: "southbridge-e1000 2.1"."""
        return f"{self.distribution} {self.version}"

    def __str__(self) -> str:
        return f"{KINDS[self.kind][0]} {self.name!r} ({self.value}, of {self.source})"


def plugins(kind: str) -> list[Plugin]:
    """Every plugin of `kind` that is installed, by name; also those that are switched off, or there twice."""
    return sorted(_installed()[kind], key=lambda plugin: (plugin.name, plugin.distribution))


def names(kind: str) -> list[str]:
    """The names that can be loaded, sorted."""
    return sorted({plugin.name for plugin in _installed()[kind] if not plugin.switched_off_by})


def nearest(word: str, known: Iterable[str]) -> str:
    """ "; did you mean ...?", with the one of `known` that is most like `word`; "" if none is."""
    import difflib  # which only mistakes need

    known = list(known)
    found = difflib.get_close_matches(word, known, 1) or [name for name in known if name.lower() == word.lower()]
    return f"; did you mean {found[0]!r}?" if found else ""


def find(kind: str, name: str) -> Plugin:
    """The plugin `name` of `kind`. Raises PluginError if there is none, or several, or it is switched off."""
    called = KINDS[kind][0]
    offered = [plugin for plugin in plugins(kind) if plugin.name == name]
    found = [plugin for plugin in offered if not plugin.switched_off_by]
    if len(found) == 1:
        return found[0]
    if found:
        sources = " and ".join(plugin.source for plugin in found)
        theirs = [plugin.distribution for plugin in found if _canonical(plugin.distribution) != OWN]
        other = (theirs or [OWN])[0]
        raise PluginError(
            f"{called} {name!r} is offered by {sources}; choose by uninstalling one "
            f"(pip uninstall {other}) or switching it off ({DISABLE}={other}:{name})"
        )
    if offered:
        raise PluginError(f"{called} {name!r} of {offered[0].source} is switched off by {offered[0].switched_off_by}")
    known = names(kind)
    elsewhere = [other for other in KINDS if other != kind and name in names(other)]
    hint = nearest(name, known) or (f"; there is a {KINDS[elsewhere[0]][0]} of that name" if elsewhere else "")
    listed = f" (installed: {', '.join(known)})" if known and not hint else ""
    raise PluginError(
        f"there is no {called} {name!r}{hint or listed}" + ("" if known else f"; no {kind} are installed")
    )


def load(kind: str, name: str) -> type[Configurable]:
    """The class behind the plugin `name` of `kind` ("devices", "blockdevs", ...).

    Raises PluginError if there is none or several, if it can't be imported, or isn't what that kind of plugin is.
    """
    plugin = find(kind, name)
    loaded = import_plugin(plugin)
    module, base_name = KINDS[kind][1].split(":")
    base = getattr(importlib.import_module(module), base_name)
    if not isinstance(loaded, type) or not issubclass(loaded, base):
        shown = loaded.__name__ if isinstance(loaded, type) else f"a {type(loaded).__name__}"
        raise PluginError(f"{plugin}: expected a subclass of {module}.{base_name}; it is {shown}")
    _check_declarations(plugin, loaded)
    return loaded


def import_plugin(plugin: Plugin) -> Any:
    """The object that `plugin` names. Raises PluginError, with the cause, if it can't be imported."""
    try:
        return _own(plugin) if _canonical(plugin.distribution) == OWN else _by_stevedore(plugin)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything, even SystemExit
        log.debug("%s", plugin, exc_info=error)
        raise PluginError(f"{plugin} can't be imported: {describe(error)}") from None


def _own(plugin: Plugin) -> Any:
    """One that comes with Southbridge, at once: stevedore takes longer to import than a machine's devices together."""
    module, _, name = plugin.value.partition(":")
    return getattr(importlib.import_module(module), name)


def _by_stevedore(plugin: Plugin) -> Any:
    from importlib.metadata import EntryPoint

    from stevedore.named import NamedExtensionManager

    class Manager(NamedExtensionManager):  # type: ignore[type-arg]
        """stevedore's manager, told which entry points there are.

        By itself it takes them from a cache of its own, which has lost what distribution each belongs to, and notices
        a changed entry_points.txt only if the times of change differ by more than two minutes.
        """

        def list_entry_points(self) -> list[EntryPoint]:
            return [EntryPoint(plugin.name, plugin.value, _PREFIX + plugin.kind)]

    failures: list[BaseException] = []
    manager = Manager(
        _PREFIX + plugin.kind,
        [plugin.name],
        on_load_failure_callback=lambda _manager, _entry, error: failures.append(error),
        on_missing_entrypoints_callback=None,
    )
    if failures:
        raise failures[0]
    return manager[plugin.name].plugin


def summary(cls: type) -> str:
    """What a plugin's class says of itself, in a line: the beginning of its docstring."""
    text = cls.__doc__ or sys.modules[cls.__module__].__doc__ or ""
    return text.strip().partition("\n")[0]


def describe(error: BaseException) -> str:
    """An exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _check_declarations(plugin: Plugin, loaded: type[Configurable]) -> None:
    """Raises PluginError if a property's type makes no sense, or a hook isn't as the contract has it."""
    try:
        check_declarations(loaded)
    except Exception as error:
        raise PluginError(f"{plugin} declares properties that don't work: {describe(error)}") from None
    if has_hooks(loaded):
        try:
            _contract().register(loaded, plugin.name)
            _contract().unregister(plugin.name)
        except PluginError as error:
            raise PluginError(f"{plugin}: {error}") from None


@functools.cache
def _contract() -> MachineHooks:
    """No machine's: what hooks are checked against."""
    return MachineHooks()


# --- metadata ----------------------------------------------------------------------------------------------------


def _installed() -> dict[str, list[Plugin]]:
    load, disable = os.environ.get(LOAD), os.environ.get(DISABLE, "")
    return _scan(tuple(sys.path), None if load is None else _entries(load), _entries(disable))


@functools.lru_cache(maxsize=1)
def _scan(path: tuple[str, ...], wanted: frozenset[str] | None, unwanted: frozenset[str]) -> dict[str, list[Plugin]]:
    """Every plugin on `path`. A distribution that is there twice counts where `path` has it first, as in imports."""
    found: dict[str, list[Plugin]] = {kind: [] for kind in KINDS}
    seen: set[str] = set()
    for distribution in distributions(path):
        try:
            _add(distribution, seen, found, wanted, unwanted)
        except Exception as error:  # what is broken may be anybody's; a machine that doesn't use it runs
            log.warning("the metadata of an installed package is broken: %s: %s", distribution, describe(error))
    return found


def _add(
    distribution: Distribution,
    seen: set[str],
    found: dict[str, list[Plugin]],
    wanted: frozenset[str] | None,
    unwanted: frozenset[str],
) -> None:
    entries = [entry for entry in distribution.entry_points() if entry.group.startswith(_PREFIX)]
    if not entries:
        return
    name, version = distribution.name_and_version()
    if _canonical(name) in seen:
        return
    seen.add(_canonical(name))
    for entry in entries:
        kind = entry.group.removeprefix(_PREFIX)
        if kind in KINDS:
            off = None
            if _listed(name, entry.name, unwanted):
                off = DISABLE
            elif wanted is not None and _canonical(name) != OWN and not _listed(name, entry.name, wanted):
                off = LOAD
            found[kind].append(Plugin(kind, entry.name, entry.value, name, version, off))


def _entries(text: str) -> frozenset[str]:
    return frozenset(_canonical(entry) for entry in re.split(r"[\s,]+", text) if entry)


def _listed(distribution: str, name: str, entries: frozenset[str]) -> bool:
    distribution, name = _canonical(distribution), _canonical(name)
    return bool(entries & {distribution, name, f"{distribution}:{name}"})


def _canonical(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
