"""A PC with a device in it, for random programs: how it is described, where the device answers, what a program does.

A program is lines of the qtest protocol, and two words more: `reset`, and `save_load`, by which the machine takes over
its own saved state.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .. import discovery
from ..banks import BankRegion
from ..description import load
from ..device import Device
from ..life import ResetReason
from ..machine import Machine
from ..memory.regions import Io
from ..pci import BarKind, PciDevice
from ..snapshot.saving import drain
from ..units import KiB, MiB
from .qtest import QtestClient, QtestError, assembled, running
from .stage import providers
from .states import difference, plain

ID = "fuzzed"
CONVERSATION = "qtest"
"""The thread that answers a client."""
RESET, SAVE_LOAD = "reset", "save_load"
TOGETHER = 16
"""Lines that are said at once; then the host finishes what it does for the devices."""
IDE_CLASS = 0x01_0180
BAR_SPACE = {BarKind.IO: 0xC100, BarKind.MEMORY_32: 0xE000_0000, BarKind.MEMORY_64: 0xE000_0000}


class Range(NamedTuple):
    """Addresses that a device answers: ports, or memory; and those of them that something is declared at."""

    is_port: bool
    start: int
    size: int
    declared: tuple[int, ...]


class Target(NamedTuple):
    """What a program is for: the device's ranges and everybody's, its PCI place; and what firmware does at first."""

    own: tuple[Range, ...]
    all: tuple[Range, ...]
    place: tuple[int, int] | None
    prologue: tuple[str, ...]
    placing: tuple[str, ...]
    """What of it is for the device alone."""


def settings_for(kind: str, folder: Path) -> list[str]:
    """The PC's settings for a device of type `kind`, which may be there already; images are made in `folder`.

    Raises PluginError if there is no such device.
    """
    cls = discovery.load("devices", kind)
    assert issubclass(cls, Device)
    settings = [f"memory={16 * MiB}", f"devices.bios.image={_file(folder, 'idle.bin', 64 * KiB)}"]
    present = {part.type_name for part in load("pc").sections["devices"].values()}
    if kind not in present:
        settings += [*_providers(cls, present), *_part(kind, cls, folder)]
    return settings


def _providers(cls: type[Device], present: set[str]) -> Iterator[str]:
    """Devices that make the buses which `cls` needs, and the PC doesn't have; before each, those that it needs."""
    types = _types()
    for spec in cls.properties().values():
        provider = providers().get(str(spec.default)) if spec.section == "buses" else None
        if provider is not None and types[provider] not in present:
            present.add(types[provider])
            yield from _providers(provider, present)
            yield f"devices.provider-{types[provider]}={{type: {types[provider]}}}"


@functools.cache
def _types() -> dict[type[Any], str]:
    """The name of each installed device's class."""
    return {discovery.load("devices", name): name for name in discovery.names("devices")}


def _part(kind: str, cls: type[Device], folder: Path) -> Iterator[str]:
    values = {"type": kind}
    for name, spec in cls.properties().items():
        examples = spec.constraints.get("examples")
        if spec.section in ("chardevs", "netdevs"):
            yield f"{spec.section}.{ID}-{name}={{type: 'null'}}"
            values[name] = f"{ID}-{name}"
        elif spec.section == "blockdevs":
            yield f"blockdevs.{ID}-{name}={{type: raw, path: '{_file(folder, name, MiB)}'}}"
            values[name] = f"{ID}-{name}"
        elif spec.required and not examples:
            values[name] = f"'{_file(folder, name, 64 * KiB)}'"
        elif examples:
            values[name] = f"'{examples[0]}'" if isinstance(examples[0], str) else str(examples[0])
    yield f"devices.{ID}={{{', '.join(f'{name}: {value}' for name, value in values.items())}}}"


def _file(folder: Path, name: str, size: int) -> Path:
    """Anew for each program, which may write to it."""
    path = folder / name
    path.write_bytes(bytes(size))
    return path


# --- where it answers ---------------------------------------------------------------------------------------------


def target_for(kind: str, folder: Path) -> Target:
    """Where the device of type `kind` answers once firmware has placed it."""
    machine, peer = assembled("pc", *settings_for(kind, folder))
    with running(machine, peer) as client:
        device = find(machine, kind)
        prologue = tuple(line for lines in _placings(machine).values() for line in lines)
        client.commands(prologue)
        own = tuple(_ranges(machine, [device])) or tuple(_ranges(machine, _buses(machine, device)))
        placing = tuple(_placings(machine).get(device.id, ()))
        place = (device.slot, device.function) if isinstance(device, PciDevice) else None
        return Target(own, tuple(_ranges(machine, list(machine.devices.values()))), place, prologue, placing)


def find(machine: Machine, kind: str) -> Device:
    """The machine's device of type `kind`."""
    cls = discovery.load("devices", kind)
    return machine.devices.get(ID) or next(device for device in machine.devices.values() if type(device) is cls)


def _buses(machine: Machine, device: Device) -> list[Device]:
    """Who makes the buses that `device` is on."""
    names = [spec.default for spec in device.properties().values() if spec.section == "buses"]
    kinds = tuple(kind for name, kind in providers().items() if name in names)
    return [other for other in machine.devices.values() if type(other) in kinds]


def _placings(machine: Machine) -> dict[str, list[str]]:
    """What firmware does to each PCI device: it answers at an address of its own, and may master the bus."""
    used = dict.fromkeys(BAR_SPACE.values(), 0)
    found: dict[str, list[str]] = {}
    for device in machine.devices.values():
        if not isinstance(device, PciDevice):
            continue
        place, lines = (device.slot, device.function), found.setdefault(device.id, [])
        for bar in device.bars():
            space = BAR_SPACE[bar.kind]
            offset = -(-used[space] // bar.size) * bar.size
            used[space] = offset + bar.size
            lines += config_write(place, bar.config_offset, 4, space + offset)
        lines += config_write(place, 0x04, 2, 0x7)
        if device.PCI_CLASS_CODE.value == IDE_CLASS:
            lines += config_write(place, 0x40, 4, 0x8000_8000)  # its channels
    return found


def config_write(place: tuple[int, int], offset: int, size: int, value: int) -> Iterator[str]:
    """The lines of a configuration write."""
    letter = {1: "b", 2: "w", 4: "l"}[size]
    yield f"outl 0xcf8 {1 << 31 | place[0] << 11 | place[1] << 8 | offset & 0xFC:#x}"
    yield f"out{letter} {0xCFC + offset % 4:#x} {value:#x}"


def _ranges(machine: Machine, devices: Sequence[Device]) -> Iterator[Range]:
    for space in (machine.ports, machine.memory):
        for section in space.sections:
            region = section.region
            if not isinstance(region, Io) or region.owner not in devices:
                continue
            places = region.declared() if isinstance(region, BankRegion) else []
            offsets = {offset - section.offset for place in places for offset in place[:64]}
            declared = sorted(offset for offset in offsets if 0 <= offset < section.size)
            yield Range(space is machine.ports, section.start, section.size, tuple(declared))


# --- running a program --------------------------------------------------------------------------------------------


class StateError(QtestError):
    """A machine that takes over its own saved state isn't what it was."""


def perform(kind: str, lines: Sequence[str], folder: Path) -> None:
    """Runs a program on a fresh machine. Raises what a device raises, or QtestError.

    A machine that the program ends is no error.
    """
    machine, peer = assembled("pc", *settings_for(kind, folder))
    machine.ends_with_guest = False
    with running(machine, peer) as client:
        try:
            for piece in pieces(lines):
                _do(machine, client, piece)
                drain(machine)
        except QtestError:
            if client.silent:
                raise NoAnswerError(f"no answer: {_interrupt_thread()}") from None
            if not client.gone:
                raise
        except BrokenPipeError:
            pass  # it has ended


class NoAnswerError(QtestError):
    """A device computes and computes."""


class _Interruption(BaseException):
    """Put into a thread that doesn't come back. Not an Exception: no device's `except` takes it for its own."""


def _interrupt_thread() -> str:
    """Has the thread that should have answered end; gives the place in the code where it was."""
    thread = next(thread for thread in threading.enumerate() if thread.name == CONVERSATION)
    assert thread.ident is not None
    place = traceback.extract_stack(sys._current_frames()[thread.ident])[-1]
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_Interruption))
    before, threading.excepthook = threading.excepthook, lambda arguments: None
    try:
        thread.join(10)
    finally:
        threading.excepthook = before
    return f"{place.filename}:{place.lineno}, in {place.name}"


def pieces(lines: Sequence[str]) -> Iterator[list[str]]:
    """What is said at once; the words that aren't the protocol's are alone."""
    piece: list[str] = []
    for line in lines:
        alone = line in (RESET, SAVE_LOAD)
        if piece and (alone or len(piece) == TOGETHER):
            yield piece
            piece = []
        piece.append(line)
        if alone:
            yield piece
            piece = []
    if piece:
        yield piece


def _do(machine: Machine, client: QtestClient, piece: list[str]) -> None:
    if piece == [RESET]:
        machine.request_reset(ResetReason.HOST)
        machine.call(lambda: None)
    elif piece == [SAVE_LOAD]:
        _save_and_load(machine)
    else:
        client.commands(piece)


def _save_and_load(machine: Machine) -> None:
    before = machine.save_state()
    if not plain(before):
        raise StateError("a saved state is of dictionaries, lists, numbers, texts, bytes")
    machine.load_state(before)
    found = difference(before, machine.save_state())
    if found is not None:
        raise StateError(f"a restored state isn't what was saved: {found}")
