"""Words about the machine as a whole, and about the words themselves."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .expression import expression
from .line import Line
from .word import Word

if TYPE_CHECKING:
    from .monitor import HumanMonitor

_LOGGERS = {"guest_errors": "southbridge.guest_errors"}
"""What `log` switches, by QEMU's names."""


async def _help(monitor: HumanMonitor, line: Line) -> str:
    from .vocabulary import lookup

    words, topics = monitor.vocabulary.words, monitor.vocabulary.topics
    name, topic = line.optional_word(), line.optional_word()
    line.end()
    if name is None:
        return "\n".join(word.usage() for word in words)
    if name == "info":
        if topic is None:
            return "\n".join(word.usage("info ") for word in topics)
        found = lookup(topics, topic)
        return found.usage("info ") if found else f"unknown command: 'info {topic}'"
    found = lookup(words, name)
    return found.usage() if found and topic is None else f"unknown command: '{name}'"


async def _info(monitor: HumanMonitor, line: Line) -> str:
    return await monitor.topic(line)


def _log(monitor: HumanMonitor, line: Line) -> str | None:
    """The items that are given are logged from now on, and no others."""
    text = line.rest()
    chosen = set(text.split(",")) - {"none", ""}
    if unknown := chosen - _LOGGERS.keys():
        return f"there is no log item {sorted(unknown)[0]!r}; there are: none, {', '.join(_LOGGERS)}"
    for item, name in _LOGGERS.items():
        logging.getLogger(name).setLevel(logging.INFO if item in chosen else logging.WARNING)
    return None


async def _cpu(monitor: HumanMonitor, line: Line) -> str | None:
    number = expression(line)
    line.end()
    if number not in monitor.machine.cpus.plugged:
        return "invalid CPU index"
    monitor.cpu = number
    return None


# --- info ------------------------------------------------------------------------------------------------------------


async def _status(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    status = await monitor.qmp("query-status")
    why = f" ({status['status']})" if status["status"] not in ("running", "paused") else ""
    return f"VM status: {'running' if status['running'] else 'paused'}{why}"


async def _name(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    return str((await monitor.qmp("query-name")).get("name", ""))


async def _version(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    version = (await monitor.qmp("query-version"))["qemu"]
    return f"{version['major']}.{version['minor']}.{version['micro']}"


async def _uuid(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    return str((await monitor.qmp("query-uuid"))["UUID"])


async def _chardev(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    return "\n".join(f"{item['label']}: filename={item['filename']}" for item in await monitor.qmp("query-chardev"))


async def _cpus(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    return "\n".join(
        f"{'*' if cpu['cpu-index'] == monitor.cpu else ' '} CPU #{cpu['cpu-index']}: thread_id={cpu['thread-id']}"
        for cpu in await monitor.qmp("query-cpus-fast")
    )


async def _kvm(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    return f"kvm support: {'enabled' if (await monitor.qmp('query-kvm'))['enabled'] else 'disabled'}"


async def _accelerator(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    name = str((await monitor.qmp("query-accelerator"))["name"])
    with monitor.machine.lock:
        said = monitor.machine.hooks.call.monitor_info(machine=monitor.machine, topic="accelerator")
    return "\n".join([name, *(text for text in said if text)])


def _mice(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    with monitor.machine.lock:
        pointers = monitor.machine.input.pointers
        used = next((sink for sink in reversed(pointers) if sink.takes_input), None)
        return (
            "\n".join(
                f"{'*' if sink is used else ' '} Mouse #{number}: {type(sink).__name__}"
                f"{' (absolute)' if sink.absolute else ''}"
                for number, sink in enumerate(pointers)
            )
            or "No mouse devices connected"
        )


async def _vnc(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    lines: list[str] = []
    for server in await monitor.qmp("query-vnc-servers"):
        lines.append(f"{server['id']}:")
        lines += [f"  Server: {_address(at)}\n    Auth: {at['auth']}" for at in server["server"]]
        lines += [f"  Client: {_address(at)}" for at in server["clients"]]
        lines.append(f"  Auth: {server['auth']}")
    return "\n".join(lines) or "None"


def _address(at: Any) -> str:
    return f"{at['host']}:{at['service']} ({at['family']})"


async def _guest_errors(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    return "\n".join(await monitor.qmp("guest-errors"))


async def _plugins(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    return "\n".join(
        f"{plugin['kind']}: {plugin['name']} ({plugin['source']}{'' if plugin['enabled'] else ', switched off'})"
        for plugin in await monitor.qmp("plugins")
    )


def _history(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    return "\n".join(f"{number}: '{text}'" for number, text in enumerate(monitor.history))


WORDS = (
    Word(("help", "?"), "[cmd]", "show the help", _help, "words"),
    Word(("info",), "[subcommand]", "show various information about the system state", _info, "topics"),
    Word(("log",), "item1[,...]", "log what the items name, and nothing else; none: nothing", _log),
    Word(("cpu",), "index", "set the default CPU", _cpu),
)
TOPICS = (
    Word(("status",), "", "show the current VM status (running|paused)", _status),
    Word(("name",), "", "show the current VM name", _name),
    Word(("version",), "", "show the version of QEMU whose ways these are", _version),
    Word(("uuid",), "", "show the current VM UUID", _uuid),
    Word(("chardev",), "", "show the character devices", _chardev),
    Word(("cpus",), "", "show infos for each CPU", _cpus),
    Word(("kvm",), "", "show KVM information", _kvm),
    Word(("accelerator",), "", "show what the CPUs run on, and its statistics", _accelerator),
    Word(("mice",), "", "show which guest mouse is receiving events", _mice),
    Word(("vnc",), "", "show the vnc server status", _vnc),
    Word(("guest-errors",), "", "show the last things that the guest did wrong", _guest_errors),
    Word(("plugins",), "", "show what is installed", _plugins),
    Word(("history",), "", "show the command line history", _history),
)
