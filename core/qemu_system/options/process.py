"""How it runs: -S, -incoming, -no-shutdown, -no-reboot, -daemonize, -runas, -chroot, -sandbox, -nodefaults..."""

from __future__ import annotations

import os

from ...discovery import nearest
from ..draft import Draft, Global
from ..words import OptionError, Words, number
from .option import Option, accepted, flag, quiet

LOGGED = ("guest_errors", "unimp")
NOT_LOGGED = (
    *("out_asm", "in_asm", "op", "op_opt", "op_ind", "int", "exec", "cpu", "fpu", "mmu", "pcall", "cpu_reset", "page"),
    *("nochain", "plugin", "strace", "tid", "trace", "vpu"),
)
"""What QEMU's -d knows and there is nothing of here."""
PANICS = {"none": "none", "pause": "pause", "shutdown": "shutdown", "exit-failure": "shutdown"}
"""-action panic=..., and what pvpanic calls that."""


def _preconfig(draft: Draft) -> None:
    draft.process.preconfig = True


def _daemonize(draft: Draft) -> None:
    draft.process.in_background = True


def _pid_file(draft: Draft, argument: str) -> None:
    draft.process.pid_file = argument


def _log_file(draft: Draft, argument: str) -> None:
    draft.process.log_file = argument


def _log(draft: Draft, argument: str) -> None:
    if argument in ("help", "?"):
        draft.ask("log")
        return
    for item in argument.split(","):
        if item.startswith("trace:") or item in NOT_LOGGED:
            draft.note(f"-d {item}: there is nothing of that to log")
        elif item in LOGGED:
            draft.process.log_items.add(item)
        elif item not in ("none", "all"):
            raise OptionError(f"there is no log item {item!r}{nearest(item, (*LOGGED, *NOT_LOGGED))}")


def _trace(draft: Draft, argument: str) -> None:
    if argument in ("help", "?"):
        draft.ask("trace")
    else:
        draft.note(f"-trace {argument}: there are no trace events")


def _action(draft: Draft, argument: str) -> None:
    words = Words(argument)
    option = f"-action {argument}"
    if words.take("reboot", "reset") == "shutdown":
        draft.process.reboots = False
    if words.one_of("shutdown", ("poweroff", "pause"), "poweroff") == "pause":
        draft.process.ends_with_guest = False
    if words.peek("panic"):
        action = PANICS[words.one_of("panic", PANICS)]
        draft.globals += [Global(driver, "on_panic", action, option) for driver in ("pvpanic", "pvpanic-pci")]
    if words.peek("watchdog"):
        action = words.take("watchdog")
        draft.globals += [Global(driver, "action", action, option) for driver in ("i6300esb", "ib700")]
    words.end()


def _paused(draft: Draft) -> None:
    draft.process.paused = True


def _incoming(draft: Draft, argument: str) -> None:
    kind, _, where = argument.partition(":")
    if argument == "defer" or (kind in ("unix", "tcp", "exec") and where):
        draft.process.comes_from = argument
        return
    if kind != "fd" or not where:
        raise OptionError("expected fd:NUMBER, unix:PATH, tcp:HOST:PORT, exec:COMMAND or defer")
    descriptor = number("fd", where)
    try:
        os.fstat(descriptor)
    except OSError:
        raise OptionError(f"descriptor {descriptor} isn't open") from None
    draft.process.incoming, draft.process.comes_from = descriptor, argument


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
    draft.ask("description")


def _version(draft: Draft) -> None:
    draft.ask("version")


def _help(draft: Draft) -> None:
    draft.ask("help")


OPTIONS = (
    flag("dump-description", _dump, "Prints the machine's description, for `southbridge run`, instead of running it."),
    flag("version", _version, "Says it."),
    flag("help", _help, "Lists the options."),
    flag("h", _help, "The same."),
    flag("S", _paused, "It waits for the monitor's `cont`."),
    Option("incoming", _incoming, "fd:number, unix:path...", "It goes on where the machine that comes there stood."),
    flag("no-shutdown", _no_shutdown, "When the guest switches it off, the process stays."),
    flag("no-reboot", _no_reboot, "When the guest resets it, the process ends."),
    flag("nodefaults", _no_defaults, "It has only what other options say."),
    Option("runas", _runas, "user or uid:gid", "Whose rights the process has, once everything is open."),
    Option("chroot", _chroot, "folder", "What is the root of its file system then."),
    Option("sandbox", _sandbox, "on[,key=value...]", "The process refuses itself system calls that it has no use for."),
    quiet("no-user-config", "There are no files with further options."),
    quiet("readconfig", "Further options from a file, in QEMU's form.", "file"),
    flag("preconfig", _preconfig, "It waits for the monitor's `x-exit-preconfig`."),
    Option("action", _action, "reboot=...,shutdown=...,panic=...,watchdog=...", "What happens on these events."),
    flag("daemonize", _daemonize, "The process goes into the background, once the machine is there."),
    Option("pidfile", _pid_file, "file", "Where the process' number is written."),
    Option("D", _log_file, "file", "Where log lines go, instead of standard error."),
    Option("d", _log, "item[,item...]", "What is logged: guest_errors; help."),
    Option("trace", _trace, "event...", "Accepted; there are no trace events."),
    accepted("msg", "messages have one form", "[timestamp=on]"),
    accepted("overcommit", "memory is the host's to give", "[mem-lock=on][,cpu-pm=on]"),
    accepted("mem-prealloc", "memory is found when it is touched"),
    accepted("icount", "instructions aren't counted", "shift=..."),
    accepted("audio", "there is no sound", "driver"),
    accepted("audiodev", "there is no sound", "driver,id=id"),
)
