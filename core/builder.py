"""From a description to a machine: back ends opened, an accelerator chosen, devices realized in an order that works.

machine = build(load("pc", ["memory=512M"]))
outcome = machine.run()
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from .accelerator import Accelerator, Availability
from .construct import make_device, resolve_links, validated
from .cpu_models import CpuModel, find_model
from .description.model import AUTO, HOST_CPU, Choice, Description, Part
from .device import Device
from .discovery import describe, load, names, nearest
from .errors import DescriptionError, PluginError, RealizeError, SouthbridgeError
from .machine import Machine
from .networks import Networks
from .pci import PciDevice
from .sharing import can_be_shared, stands_alone

BACKENDS = ("blockdevs", "chardevs", "netdevs", "displays", "monitors")
"""The sections whose parts have `open` and `close`."""

SERVANTS = ("blockdevs", "chardevs", "netdevs")
"""Those of them that are there for a device to use."""

SERVICES = ("displays", "monitors")
"""Those that serve while the machine runs."""

log = logging.getLogger(__name__)


def build(description: Description, *, strict: bool = False) -> Machine:
    """A machine that is ready to run. `strict`: what a device's code raises ends it.

    Raises SouthbridgeError, with the place in the description, for what can't be had; all that was opened is closed.
    """
    accelerator, fallbacks = choose_accelerator(description)
    machine = Machine(
        name=description.name,
        memory=description.memory,
        cpus=description.cpus,
        max_cpus=description.max_cpus,
        cpu=_cpu_model(description.cpu, accelerator),
        strict=strict,
    )
    machine.identity = description.identity
    machine.numa = description.numa
    machine.cpus.are_sockets = accelerator.cpus_are_sockets
    machine.accelerator_choices = {choice.type_name: choice.values for choice in description.accelerators}
    if description.swaps_on_error:
        machine.fallbacks = fallbacks
    machine.description = description
    for section in BACKENDS:
        machine.backends.setdefault(section, {})
    try:
        _bring_up(machine, _parts(description, BACKENDS), _open)
        _check_use(machine, description)
        Networks(machine)
        _bring_up(machine, sorted(_parts(description, ("devices",)), key=_takes_any_slot), _realize)
        if description.boot is not None:
            from .boot.prepare import prepare  # only now: decompressors take time to import

            prepare(machine, description.boot)
        machine.created()
        machine.set_accelerator(accelerator)
    except BaseException:
        machine.close()
        raise
    return machine


def _parts(description: Description, sections: Iterable[str]) -> list[Part]:
    return [part for section in sections for part in description.sections[section].values()]


def _takes_any_slot(part: Part) -> bool:
    """PCI devices without an address come last, so that they don't take a slot that another one's address says."""
    addr = part.cls.properties().get("addr")
    return issubclass(part.cls, PciDevice) and addr is not None and part.values.get("addr", addr.default) is None


# --- accelerators ------------------------------------------------------------------------------------------------


def choose_accelerator(description: Description) -> tuple[Accelerator, list[Callable[[], Accelerator]]]:
    """The first of the description's accelerators that can be used here, and what makes each of the further ones.

    Raises SouthbridgeError, with each one's reason, if none can.
    """
    choices = description.accelerators
    refused: list[str] = []
    for index, choice in enumerate(choices):
        candidates = _automatic() if choice.type_name == AUTO else [choice]
        usable, reasons_against = _usable(candidates, description.cpu)
        refused += reasons_against
        if usable:
            chosen, found = _best(usable)
            others = f" (not usable: {'; '.join(refused)})" if refused else ""
            log.info("accelerator %s: %s%s", chosen.name, found.reason, others)
            return chosen, [partial(_made, later, description.cpu) for later in choices[index + 1 :]]
    reasons = "; ".join(refused) or "none is installed"
    raise DescriptionError(f"no accelerator can be used here: {reasons}", choices[0].location, "accelerator")


def _usable(candidates: Iterable[Choice], cpu: str) -> tuple[list[tuple[Accelerator, Availability]], list[str]]:
    """Those that can be used here and can show the CPU model `cpu`, and why the others can't."""
    usable: list[tuple[Accelerator, Availability]] = []
    refused: list[str] = []
    for candidate in candidates:
        try:
            usable.append(_checked(candidate, cpu))
        except SouthbridgeError as error:
            refused.append(f"{candidate.type_name}: {error}")
    return usable, refused


def _best(usable: list[tuple[Accelerator, Availability]]) -> tuple[Accelerator, Availability]:
    return max(usable, key=lambda item: (item[1].preferred, item[0].preference))


def accelerator_named(machine: Machine, name: str) -> Accelerator:
    """The accelerator `name` for `machine`, not attached yet, with the properties that the description gives it.

    `auto` is the best of those that can be used. Raises SouthbridgeError if there is none, or it can't be used here.
    """
    if name == AUTO:
        usable, refused = _usable(_automatic(), machine.cpu.name)
        if not usable:
            raise SouthbridgeError(f"no accelerator can be used here: {'; '.join(refused) or 'none is installed'}")
        return _best(usable)[0]
    cls = load("accelerators", name)
    values = machine.accelerator_choices.get(name, {})
    try:
        return _checked(Choice(name, cls, values, None), machine.cpu.name)[0]
    except SouthbridgeError as error:
        raise SouthbridgeError(f"accelerator {name}: {error}") from None


def _made(choice: Choice, cpu: str) -> Accelerator:
    return _checked(choice, cpu)[0]


def _checked(choice: Choice, cpu: str) -> tuple[Accelerator, Availability]:
    """A usable accelerator that can show the CPU model `cpu`. Raises SouthbridgeError, without its name."""
    cls = cast("type[Accelerator] | None", choice.cls)
    found = availability(cls) if cls else Availability(False, choice.problem)
    if cls is None or not found.usable:
        raise SouthbridgeError(found.reason)
    accelerator = cls(**validated(cls, dict(choice.values), choice.type_name))
    accelerator.name = choice.type_name
    model = _cpu_model(cpu, accelerator)
    if cpu != HOST_CPU:
        accelerator.check_cpu(model)
    return accelerator, found


def _cpu_model(cpu: str, accelerator: Accelerator) -> CpuModel:
    name, comma, changes = cpu.partition(",")
    if name != HOST_CPU:
        return find_model(cpu)
    model = accelerator.host_cpu()
    if model is None:
        raise SouthbridgeError("it has no CPU model `host`")
    if not comma:
        return model
    from .cpu_models.changes import changed  # which few machines need

    return changed(model, changes)


def _every_accelerator() -> list[Choice]:
    found: list[Choice] = []
    for name in names("accelerators"):
        try:
            found.append(Choice(name, load("accelerators", name), {}, None))
        except PluginError as error:
            found.append(Choice(name, None, {}, None, str(error)))
    return found


def _automatic() -> list[Choice]:
    """Those that `auto` may pick; and what can't be loaded, for its reason."""
    return [choice for choice in _every_accelerator() if choice.cls is None or getattr(choice.cls, "automatic", True)]


def availability(cls: type[Accelerator]) -> Availability:
    """Whether `cls` can be used here. Raises nothing, whatever its check does."""
    try:
        return cls.availability()
    except Exception as error:  # it promised not to
        log.debug("%s.availability", cls.__name__, exc_info=error)
        return Availability(False, f"its check failed: {describe(error)}")


# --- back ends and devices ---------------------------------------------------------------------------------------


def _bring_up(machine: Machine, parts: list[Part], start: Callable[[Machine, Part], None]) -> None:
    """Starts each part, those that link to others after them. Raises RealizeError if some wait in vain."""
    waiting = list(parts)
    while waiting:
        part = next((part for part in waiting if not _missing(machine, part)), None)
        if part is None:
            raise _in_vain(machine, waiting)
        with _blamed(part):
            start(machine, part)
        waiting.remove(part)


def _open(machine: Machine, part: Part) -> None:
    values = resolve_links(machine, part.cls, validated(part.cls, dict(part.values), part.id), part.id)
    backend: Any = part.cls(**values)
    machine.backends[part.section][part.id] = backend
    if part.section in SERVICES:
        backend.id, backend.machine = part.id, machine
        machine.services.append(backend)
    backend.open()


def _realize(machine: Machine, part: Part) -> None:
    machine.plug(make_device(machine, cast(type[Device], part.cls), part.id, **part.values))


def _missing(machine: Machine, part: Part) -> list[tuple[str, str, str]]:
    """The links of `part` that lead nowhere yet: property, section, id."""
    return [link for link in part.links() if link[2] not in _places(machine, link[1])]


def _places(machine: Machine, section: str) -> dict[str, Any]:
    places: dict[str, dict[str, Any]] = {"buses": machine.buses, "devices": machine.devices, **machine.backends}
    return places.get(section, {})


def _in_vain(machine: Machine, waiting: list[Part]) -> RealizeError:
    """Why nothing goes on: a bus that nobody provides, or devices that wait for each other."""
    for part in waiting:
        for name, section, id in _missing(machine, part):
            if section == "buses":
                known = sorted(machine.buses)
                hint = nearest(id, known) or f" (there are: {', '.join(known) or 'none'})"
                return RealizeError(f"{part.place(name)}: {part.key}.{name}: no device provides a bus {id!r}{hint}")
    circle = ", ".join(f"{part.id} for {_missing(machine, part)[0][2]}" for part in waiting)
    return RealizeError(f"{waiting[0].location}: {waiting[0].key}: devices wait for each other: {circle}")


@contextmanager
def _blamed(part: Part) -> Iterator[None]:
    """Gives whatever goes wrong inside the place of `part`."""
    place = f"{part.location}: {part.key}"
    try:
        yield
    except SouthbridgeError as error:
        kind = PluginError if isinstance(error, PluginError) else RealizeError
        raise kind(f"{place}: {str(error).removeprefix(f'{part.id}: ')}") from error
    except Exception as error:
        log.debug("%s", place, exc_info=error)
        made_by = f"{part.cls.__module__}.{part.cls.__qualname__}"
        raise PluginError(f"{place}: the plugin {part.type_name} ({made_by}) failed: {describe(error)}") from error


def _check_use(machine: Machine, description: Description) -> None:
    """Raises RealizeError for a back end that two parts use and that can't be shared; warns of one that nobody uses."""
    users: dict[tuple[str, str], Part] = {}
    for part in _parts(description, (*BACKENDS, "devices")):
        for name, section, id in part.links():
            other = users.setdefault((section, id), part)
            if other is not part and section in SERVANTS and not can_be_shared(machine.backends[section][id]):
                message = f"{section}.{id} is used by {other.id} already, and can't be shared"
                raise RealizeError(f"{part.place(name)}: {part.key}.{name}: {message}")
    for part in _parts(description, SERVANTS):
        if (part.section, part.id) not in users and not stands_alone(machine.backends[part.section][part.id]):
            log.warning("%s: %s: nothing uses it", part.location, part.key)
