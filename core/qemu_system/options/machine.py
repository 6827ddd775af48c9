"""What kind of machine it is: -machine, -accel, -cpu, -m, -smp, -name, -uuid, -boot."""

from __future__ import annotations

from collections.abc import Iterable

from ...units import KiB, MiB
from ..draft import Draft
from ..machines import MACHINES
from ..words import OptionError, Words, size
from .option import Option, accepted, quiet

BOOT_LETTERS = "acdn"
"""Floppy, first hard disk, first CD-ROM, network."""
PAGE = 4 * KiB


def _machine(draft: Draft, argument: str) -> None:
    words = Words(argument, "type")
    name = words.take("type", draft.machine)
    if name not in MACHINES:
        raise OptionError(f"there is no machine {name!r} (there are: {', '.join(MACHINES)})")
    draft.machine, draft.machine_option = name, f"-machine {argument}"
    accelerator = words.take("accel")
    if accelerator:
        _accel(draft, accelerator)
    words.take("suppress-vmdesc")  # of a saved state's form, which is ours
    _no_effect(draft, "-machine", words.ignore("dump-guest-core", "mem-merge", "vmport", "hpet", "graphics"))
    words.end()


def _no_effect(draft: Draft, option: str, keys: Iterable[str]) -> None:
    for key in keys:
        draft.note(f"{option} {key}=...: has no effect here")


def _accel(draft: Draft, argument: str) -> None:
    words = Words(argument, "accel")
    name = words.need("accel")
    draft.accelerator, draft.accelerator_option = {"tcg": "unicorn"}.get(name, name), f"-accel {argument}"
    _no_effect(draft, "-accel", words.ignore("thread", "tb-size", "split-wx"))
    words.end()


def _memory(draft: Draft, argument: str) -> None:
    words = Words(argument, "size")
    amount = size(words.need("size"), "m")
    if amount <= 0 or amount % PAGE:
        raise OptionError("expected a multiple of 4 KiB")
    draft.memory, draft.memory_option = amount, f"-m {argument}"
    _no_effect(draft, "-m", words.ignore("slots", "maxmem"))
    words.end()


def _smp(draft: Draft, argument: str) -> None:
    words = Words(argument, "cpus")
    parts = {key: words.number(key, 0) for key in ("sockets", "cores", "threads")}
    words.ignore("dies", "clusters")
    cpus, most = words.number("cpus", 0), words.number("maxcpus", 0)
    words.end()
    product = 1
    for count in parts.values():
        product *= max(count, 1)
    cpus = cpus or most or product
    if not 0 < cpus <= (most or cpus):
        raise OptionError(f"{cpus} CPUs of at most {most}")
    draft.cpus, draft.most_cpus, draft.smp_option = cpus, most or cpus, f"-smp {argument}"


def _name(draft: Draft, argument: str) -> None:
    words = Words(argument, "guest")
    draft.name = words.take("guest")
    words.ignore("process", "debug-threads")
    words.end()


def _uuid(draft: Draft, argument: str) -> None:
    draft.uuid = argument


def _boot(draft: Draft, argument: str) -> None:
    words = Words(argument, "order")
    order = words.take("order", draft.boot_order)
    for letter in order:
        if letter not in BOOT_LETTERS or order.count(letter) > 1:
            raise OptionError(f"order={order}: expected each of {', '.join(BOOT_LETTERS)} once at most")
    draft.boot_order = order
    _no_effect(draft, "-boot", words.ignore("menu", "strict", "splash", "splash-time", "reboot-timeout"))
    words.end()


OPTIONS = (
    Option("machine", _machine, "[type=]name[,key=value...]", "Which machine: pc, xenfv."),
    Option("M", _machine, "[type=]name[,key=value...]", "The same."),
    Option("accel", _accel, "name", "What runs its CPUs."),
    Option("m", _memory, "[size=]megabytes", f"How much memory it has; {128 * MiB >> 20} MiB by default."),
    Option("smp", _smp, "[cpus=]n[,maxcpus=n]", "How many CPUs it has, and may have later."),
    Option("name", _name, "name", "What it is called."),
    Option("uuid", _uuid, "uuid", "What tells it from every other machine."),
    Option("boot", _boot, "[order=]letters", "What it boots from: c a disk, d a CD-ROM."),
    accepted("k", "keyboards' layouts belong to displays, which there are none of", "layout"),
    quiet("no-fd-bootchk", "A boot sector is never checked for its signature by us."),
)
