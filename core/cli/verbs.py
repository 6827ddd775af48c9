"""Verbs from plugins of the kind `commands`.

Such an entry point is a typer app or a function, which becomes the verb of its name; or an object that implements the
hook `register_commands`. They are imported when a verb is not one of ours, or when all are listed.
"""

from __future__ import annotations

import inspect
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from ..discovery import Plugin, describe, find, import_plugin, names
from ..errors import PluginError
from ..hooks import MachineHooks

Command = Any
"""What typer makes of an app or a function; its class is none of typer's public names."""


class Verbs(TyperGroup):
    """Our own verbs, and the plugins'."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all verbs."""
        return [*self.commands, *(name for name in self._others() if name not in self.commands)]

    def get_command(self, ctx: Any, cmd_name: str) -> Command:
        """The verb of that name; None if there is none. Raises PluginError, when it runs, if its plugin is broken."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        if cmd_name in names("commands"):
            return _verbs_of(cmd_name).get(cmd_name)
        return self._others().get(cmd_name)

    def _others(self) -> dict[str, Command]:
        found: dict[str, Command] = {}
        for name in names("commands"):
            found |= _verbs_of(name)
        return found


def _verbs_of(name: str) -> dict[str, Command]:
    """The verbs of the plugin `name`; in place of a broken one, a verb that says so."""
    try:
        return _load(find("commands", name))
    except PluginError as error:
        return {name: _broken(name, error)}


def _load(plugin: Plugin) -> dict[str, Command]:
    loaded = import_plugin(plugin)
    try:
        if isinstance(loaded, typer.Typer):
            return {plugin.name: get_command(loaded)}
        if inspect.isfunction(loaded):
            app = _app()
            app.command(plugin.name)(loaded)
            return _commands(app)
    except Exception as error:  # an annotation that typer can't make an option of
        raise PluginError(f"{plugin} can't be made a command: {describe(error)}") from None
    return _registered(plugin, loaded)


def _registered(plugin: Plugin, loaded: object) -> dict[str, Command]:
    """What `register_commands` of `loaded`, a module or any other object, adds."""
    app = _app()
    hooks = MachineHooks()
    try:
        hooks.register(loaded, plugin.name)
        if not hooks.call.register_commands.get_hookimpls():
            raise PluginError(f"expected a typer app, a function, or a register_commands hook in it; it is {loaded!r}")
        hooks.call.register_commands(commands=app)
        return _commands(app)
    except PluginError as error:
        raise PluginError(f"{plugin}: {error}") from None
    except Exception as error:
        raise PluginError(f"{plugin} can't register its commands: {describe(error)}") from None


def _app() -> typer.Typer:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.callback()(lambda: None)  # so that one command is a group, too
    return app


def _commands(app: typer.Typer) -> dict[str, Command]:
    group: Any = get_command(app)
    return dict(group.commands)


def _broken(name: str, error: PluginError) -> Command:
    def fail() -> None:
        raise error

    app = _app()
    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    app.command(name, help=f"Broken: {error}", context_settings=settings)(fail)
    return _commands(app)[name]
