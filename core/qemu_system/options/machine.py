"""What kind of machine it is: -machine, -accel, -cpu, -m, -smp, -name, -uuid."""

from __future__ import annotations

from collections.abc import Iterable

from ...cpu_models import model_names
from ...discovery import names, nearest
from ...units import KiB, MiB
from ..draft import Accelerator, Draft
from ..machines import MACHINES, find_machine
from ..words import OptionError, Words, size
from .option import Option, flag

PAGE = 4 * KiB

PARTS = {"hpet": "hpet", "i8042": "keyboard", "pit": "pit", "pic": "pic"}
"""Devices that a property of the machine switches off, with their ids in the description."""
TUNING = ("dump-guest-core", "mem-merge", "kvm-shadow-mem", "kvm_shadow_mem", "vmport", "smm", "smbus", "graphics")
ABSENT = ("nvdimm", "igd-passthru", "hmat", "sata", "pflash0", "memory-encryption", "confidential-guest-support")


def _machine(draft: Draft, argument: str) -> None:
    words = Words(argument, "type")
    name = words.take("type", draft.machine)
    option = f"-machine {argument}"
    if name in ("help", "?"):
        draft.ask("machine")
        return
    kind = find_machine(name)
    if kind is None:
        raise OptionError(f"there is no machine {name!r} (there are: {', '.join(MACHINES)})")
    draft.machine, draft.machine_option = kind, option
    values = {"kernel_irqchip": text} if (text := words.take("kernel-irqchip", words.take("kernel_irqchip"))) else {}
    if accelerators := words.take("accel"):
        for accelerator in accelerators.split(":"):
            _add_accelerator(draft, accelerator, values if accelerator == "kvm" else {}, option)
    elif values:
        _add_accelerator(draft, "kvm", values, option)
    for key, id in PARTS.items():
        if not words.flag(key, default=True):
            draft.change(id, option, None)
    if not words.flag("acpi", default=True):
        _no_acpi(draft)
    if words.flag("usb"):
        draft.usb = True
    _memory_backend(draft, words.take("memory-backend"))
    for key in ABSENT:
        if words.take(key, "off") not in ("off", ""):
            raise OptionError(f"{key}: there is none here")
    _boot_keys(draft, words, option)
    words.take("suppress-vmdesc")  # of a saved state's form, which is ours
    no_effect(draft, "-machine", words.ignore(*TUNING))
    words.end()


def _boot_keys(draft: Draft, words: Words, option: str) -> None:
    for key, name in (("kernel", "kernel"), ("initrd", "initrd"), ("append", "cmdline")):
        if text := words.take(key):
            draft.top[name] = text, option
    if text := words.take("firmware"):
        draft.change("bios", option, {"image": text})


def _memory_backend(draft: Draft, id: str) -> None:
    if not id:
        return
    backend = draft.objects.get(id)
    if backend is None or not backend.type.startswith("memory-backend"):
        raise OptionError(f"memory-backend={id}: there is no such -object")
    draft.memory, draft.memory_option = backend.values["size"], backend.option
    draft.memory_objects.append(id)


def _no_acpi(draft: Draft) -> None:
    for id in ("power", "modules"):
        draft.change(id, "-no-acpi", None)


def no_effect(draft: Draft, option: str, keys: Iterable[str]) -> None:
    """Notes that `keys` of `option` change nothing."""
    for key in keys:
        draft.note(f"{option} {key}=...: has no effect here")


def _accel(draft: Draft, argument: str) -> None:
    words = Words(argument, "accel")
    name = words.need("accel")
    if name in ("help", "?"):
        draft.ask("accel")
        return
    values = {}
    if name == "kvm" and (irqchip := words.take("kernel-irqchip")):
        values["kernel_irqchip"] = irqchip
    for other in name.split(":"):
        _add_accelerator(draft, other, values, f"-accel {argument}")
    tuning = ("thread", "tb-size", "split-wx", "one-insn-per-tb", "dirty-ring-size", "kvm-shadow-mem", "notify-vmexit")
    no_effect(draft, "-accel", words.ignore(*tuning))
    words.end()


def _add_accelerator(draft: Draft, name: str, values: dict[str, str], option: str) -> None:
    known = names("accelerators")
    ours = {"tcg": "unicorn"}.get(name, name)
    if ours != "auto" and ours not in known:
        raise OptionError(f"there is no accelerator {name!r}{_hint(name, known)}")
    if ours not in [accelerator.name for accelerator in draft.accelerators]:
        draft.accelerators.append(Accelerator(ours, dict(values), option))


def _hint(name: str, known: list[str]) -> str:
    return nearest(name, known) or f" (there are: {_listed(known)})"


def _listed(known: list[str]) -> str:
    return ", ".join("tcg" if name == "unicorn" else name for name in known)


def _enable_kvm(draft: Draft) -> None:
    _add_accelerator(draft, "kvm", {}, "-enable-kvm")


def _cpu(draft: Draft, argument: str) -> None:
    name, *changes = argument.split(",")
    if name in ("help", "?"):
        draft.ask("cpu")
        return
    known = [*model_names(), "host"]
    model = name.removesuffix("-x86_64-cpu").removesuffix("-v1")
    if model == "max":
        model = "host" if any(accelerator.name == "kvm" for accelerator in draft.accelerators) else known[0]
        draft.note(f"-cpu max: is {model} here")
    if model not in known:
        raise OptionError(f"there is no CPU model {name!r}{_hint(name, known)}")
    # A model that can't be had whole is an error anyway.
    features = [change for change in changes if change.partition("=")[0] not in ("check", "enforce", "migratable")]
    draft.cpu, draft.cpu_option = ",".join([model, *features]), f"-cpu {argument}"


def _memory(draft: Draft, argument: str) -> None:
    words = Words(argument, "size")
    amount = size(words.need("size"), "m")
    if amount <= 0 or amount % PAGE:
        raise OptionError("expected a multiple of 4 KiB")
    draft.memory, draft.memory_option = amount, f"-m {argument}"
    no_effect(draft, "-m", words.ignore("slots", "maxmem"))
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
    if parts["sockets"] > 1 or parts["threads"] > 1:
        draft.note(f"-smp {argument}: all CPUs are cores of one socket here")
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


OPTIONS = (
    Option("machine", _machine, "[type=]name[,key=value...]", f"Which machine: {', '.join(MACHINES)}; help."),
    Option("M", _machine, "[type=]name[,key=value...]", "The same."),
    Option("accel", _accel, "name[,key=value...]", "What runs its CPUs: kvm, tcg, xen, qtest; help."),
    flag("enable-kvm", _enable_kvm, "-accel kvm."),
    flag("no-acpi", _no_acpi, "It has no power management, and no tables that tell of it."),
    flag("no-hpet", lambda draft: draft.change("hpet", "-no-hpet", None), "It has no HPET."),
    Option("cpu", _cpu, "model", "What its CPUs are; help."),
    Option("m", _memory, "[size=]megabytes", f"How much memory it has; {128 * MiB >> 20} MiB by default."),
    Option("smp", _smp, "[cpus=]n[,maxcpus=n]", "How many CPUs it has, and may have later."),
    Option("name", _name, "name", "What it is called."),
    Option("uuid", _uuid, "uuid", "What tells it from every other machine."),
)
