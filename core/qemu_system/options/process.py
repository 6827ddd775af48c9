"""How it runs: -S, -incoming, -no-shutdown, -no-reboot, -runas, -chroot, -sandbox, -nodefaults..."""

from __future__ import annotations

import os

from ..draft import Draft
from ..words import OptionError, Words, number
from .option import Option, flag, quiet


def _paused(draft: Draft) -> None:
    draft.process.paused = True


def _incoming(draft: Draft, argument: str) -> None:
    kind, _, where = argument.partition(":")
    if kind != "fd" or not where:
        raise OptionError("expected fd:NUMBER, an open file with a saved state")
    descriptor = number("fd", where)
    try:
        os.fstat(descriptor)
    except OSError:
        raise OptionError(f"descriptor {descriptor} isn't open") from None
    draft.process.incoming = descriptor


def _no_shutdown(draft: Draft) -> None:
    draft.process.ends_with_guest = False


def _no_reboot(draft: Draft) -> None:
    draft.process.reboots = False


def _no_defaults(draft: Draft) -> None:
    draft.defaults = False


def _runas(draft: Draft, argument: str) -> None:
    draft.process.user = argument


def _chroot(draft: Draft, argument: str) -> None:
    if not os.path.isdir(argument):
        raise OptionError("expected a folder")
    draft.process.folder = argument


_SANDBOX = {
    "obsolete": ("allow", "deny"),
    "elevateprivileges": ("allow", "deny", "children"),
    "spawn": ("allow", "deny"),
    "resourcecontrol": ("allow", "deny"),
}
"""What QEMU can be told to allow. It is of no use here: nothing of it is ever needed."""


def _sandbox(draft: Draft, argument: str) -> None:
    words = Words(argument, "enable")
    draft.process.sandbox = words.flag("enable")
    for key, values in _SANDBOX.items():
        words.one_of(key, values, "deny")
    words.end()


def _dump(draft: Draft) -> None:
    draft.process.shows = "description"


def _version(draft: Draft) -> None:
    draft.process.shows = "version"


def _help(draft: Draft) -> None:
    draft.process.shows = "help"


OPTIONS = (
    flag("dump-description", _dump, "Prints the machine's description, for `southbridge run`, instead of running it."),
    flag("version", _version, "Says it."),
    flag("help", _help, "Lists the options."),
    flag("h", _help, "The same."),
    flag("S", _paused, "It waits for the monitor's `cont`."),
    Option("incoming", _incoming, "fd:number", "It goes on where the saved state, read from a descriptor, stood."),
    flag("no-shutdown", _no_shutdown, "When the guest switches it off, the process stays."),
    flag("no-reboot", _no_reboot, "When the guest resets it, the process ends."),
    flag("nodefaults", _no_defaults, "It has only what other options say."),
    Option("runas", _runas, "user or uid:gid", "Whose rights the process has, once everything is open."),
    Option("chroot", _chroot, "folder", "What is the root of its file system then."),
    Option("sandbox", _sandbox, "on[,key=value...]", "The process refuses itself system calls that it has no use for."),
    quiet("no-user-config", "There are no files with further options."),
)
