"""Words that stop the machine, have it go on, and end it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .line import Line
from .word import Does, Word

if TYPE_CHECKING:
    from .monitor import HumanMonitor


def _plain(command: str) -> Does:
    """What says a QMP command without arguments."""

    async def does(monitor: HumanMonitor, line: Line) -> None:
        line.end()
        await monitor.qmp(command)

    return does


async def _swap_accelerator(monitor: HumanMonitor, line: Line) -> None:
    name = line.word()
    line.end()
    await monitor.qmp("swap-accelerator", name=name)


async def _snapshot_save(monitor: HumanMonitor, line: Line) -> None:
    path = line.word("filename expected")
    line.end()
    await monitor.qmp("snapshot-save", path=path)


async def _watchdog_action(monitor: HumanMonitor, line: Line) -> None:
    action = line.word()
    line.end()
    await monitor.qmp("watchdog-set-action", action=action)


WORDS = (
    Word(("stop", "s"), "", "stop emulation", _plain("stop")),
    Word(("cont", "c"), "", "resume emulation", _plain("cont")),
    Word(("system_reset",), "", "reset the system", _plain("system_reset")),
    Word(("system_powerdown",), "", "press the power button", _plain("system_powerdown")),
    Word(("system_wakeup",), "", "wake the guest from sleep", _plain("system_wakeup")),
    Word(("quit", "q"), "", "end the machine", _plain("quit")),
    Word(("nmi",), "", "inject an NMI into every CPU", _plain("inject-nmi")),
    Word(("swap-accelerator",), "name", "run the CPUs on another accelerator", _swap_accelerator, "accelerators"),
    Word(("snapshot-save",), "file", "write the machine's state to a file", _snapshot_save),
    Word(("watchdog_action",), "action", "what a watchdog does that expires", _watchdog_action),
)
