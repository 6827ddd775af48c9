"""Restoring: a file is verified, a machine built from its description, and given what the saved one remembered."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from ..block import BlockBackend, BlockError
from ..builder import BACKENDS, build
from ..description.loader import with_settings
from ..description.model import Description, described
from ..description.nodes import OptionLocation, Table, from_plain
from ..discovery import nearest
from ..errors import SouthbridgeError
from ..exchange import check_state
from ..machine import Machine
from ..memory.ram import RamBlock
from ..plain_data import from_json
from .contents import Header, check_plugin, memory_blocks
from .records import CHUNK, DISK, MEMORY, NotASnapshot, Reader, Record


@dataclass(frozen=True)
class Info:
    """What a verified snapshot says of itself. `size` is the file's, in bytes."""

    path: str
    size: int
    header: Header


def read_info(path: str | os.PathLike[str]) -> Info:
    """Verifies all of the snapshot at `path`. Raises NotASnapshot."""
    with Reader(path) as reader:
        reader.verify()
        return Info(reader.path, reader.size, _header(reader, next(reader.records())))


def restore(
    path: str | os.PathLike[str],
    *,
    accelerator: str | None = None,
    settings: Sequence[str] = (),
    strict: bool = False,
) -> Machine:
    """A machine that goes on where the one in the snapshot at `path` stood, once it is run.

    `accelerator` runs it, with the properties that the description gives it, or by default what the description says;
    `settings` change its back ends. Raises SouthbridgeError for a file that is no whole snapshot, or one that can't be
    restored here; nothing is left then.
    """
    with Reader(path) as reader:
        reader.verify()
        records = reader.records()
        header = _header(reader, next(records))
        for plugin in header.plugins:
            with _of(reader):
                check_plugin(plugin)
        description = _description(reader, header, accelerator, settings)
        machine = build(description, strict=strict)
        try:
            with _of(reader):
                _Restorer(reader, header, machine).load(records)
        except BaseException:
            machine.close()
            raise
        return machine


def load_into(machine: Machine, path: str | os.PathLike[str]) -> None:
    """`machine`, which doesn't run, goes on where the one in the snapshot at `path` stood. On its main loop.

    Raises SouthbridgeError for a file that is no whole snapshot, or one of a machine with other parts.
    """
    with Reader(path) as reader:
        reader.verify()
        records = reader.records()
        header = _header(reader, next(records))
        wanted = {id: part.get("type") for id, part in header.description.get("devices", {}).items()}
        there = machine.description.sections["devices"] if machine.description is not None else {}
        different = wanted.items() ^ {id: part.type_name for id, part in there.items()}.items()
        if different:
            ids = ", ".join(sorted({id for id, _ in different}))
            raise SouthbridgeError(f"it is a machine with other devices: {ids}")
        with machine.lock:
            _Restorer(reader, header, machine).load(records)


def _header(reader: Reader, record: Record) -> Header:
    try:
        return Header.model_validate_json(record.data)
    except (ValidationError, RecursionError):
        raise reader.error("damaged: its header isn't a snapshot's") from None


def _description(reader: Reader, header: Header, accelerator: str | None, settings: Sequence[str]) -> Description:
    """The description of the machine to build. Raises SouthbridgeError."""
    for setting in settings:
        key = setting.partition("=")[0]
        if key.partition(".")[0] not in BACKENDS:
            hint = nearest(key.partition(".")[0], BACKENDS)
            raise SouthbridgeError(
                f"--set {key}: only back ends can be changed ({', '.join(BACKENDS)}); the rest is the guest's{hint}"
            )
    place = OptionLocation(reader.path, 1, 1)
    try:
        tree = from_plain(header.description, place)
    except (ValueError, RecursionError):
        raise reader.error("damaged: its description isn't a machine's") from None
    assert isinstance(tree, Table)
    if accelerator is not None:
        choice = from_plain(_choice(header, accelerator), OptionLocation("--accelerator", 1, 1))
        kept = {key: node for key, node in tree.entries.items() if key != "on_internal_error"}
        tree = Table({**kept, "accelerator": choice}, {**tree.keys, "accelerator": place}, place)
    return described(Path(reader.path), with_settings(tree, settings))


def _choice(header: Header, name: str) -> Any:
    """The accelerator `name`, with the properties that the description gives it if it is one of its own."""
    own = header.description.get("accelerator")
    for choice in own if isinstance(own, list) else [own]:
        if isinstance(choice, dict) and choice.get("type") == name:
            return choice
    return name


class _Restorer:
    """Gives `machine`, which was just built, what the snapshot has."""

    def __init__(self, reader: Reader, header: Header, machine: Machine) -> None:
        self._reader = reader
        self._header = header
        self._machine = machine

    def load(self, records: Iterator[Record]) -> None:
        """Takes the records behind the header. Raises SouthbridgeError."""
        self._check_cpus()
        blocks = self._blocks()
        disks = self._disks()
        state = self._state(next(records))
        filled = [0] * len(blocks)
        for record in records:
            if record.kind == MEMORY:
                if record.number >= len(blocks) or record.offset + len(record.data) > blocks[record.number].size:
                    raise self._reader.error("damaged: memory outside the machine's")
                block = blocks[record.number]
                _clear(block, filled[record.number], record.offset)
                filled[record.number] = record.offset + len(record.data)
                block.view[record.offset : filled[record.number]] = record.data
            elif record.kind == DISK:
                self._write_disk(disks, record)
        for block, end in zip(blocks, filled, strict=True):
            _clear(block, end, block.size)
            block.mark_dirty(0, block.size)
        self._machine.load_state(state)

    def _check_cpus(self) -> None:
        machine, wanted = self._machine, self._header.cpu
        missing = sorted(set(wanted.features) - machine.cpu.features)
        if missing:
            accelerator = machine.accelerator.name if machine.accelerator else ""
            raise SouthbridgeError(f"its CPU has features that {accelerator} lacks here: {', '.join(missing)}")
        if wanted.count != machine.cpus.max:
            raise SouthbridgeError(f"it has {wanted.count} CPUs, but describes {machine.cpus.max}")

    def _blocks(self) -> list[RamBlock]:
        """The machine's blocks of memory, in the header's order."""
        blocks = memory_blocks(self._machine)
        wanted = {facts.name: facts.size for facts in self._header.memory}
        there = {name: block.size for name, block in blocks.items()}
        if wanted != there or len(wanted) != len(self._header.memory):
            different = ", ".join(sorted(name for name, _ in wanted.items() ^ there.items()))
            raise SouthbridgeError(f"the machine has other memory now than when it was saved: {different}")
        return [blocks[facts.name] for facts in self._header.memory]

    def _disks(self) -> list[tuple[str, BlockBackend]]:
        """The machine's block back ends, in the header's order; their images are as they were."""
        disks: dict[str, BlockBackend] = self._machine.backends["blockdevs"]
        found = []
        for facts in self._header.disks:
            disk = disks.get(facts.id)
            if disk is None:
                raise SouthbridgeError(f"the machine has no blockdevs.{facts.id} any more")
            try:
                same = disk.identity() == facts.identity and disk.size == facts.size
            except BlockError as error:
                raise SouthbridgeError(f"{facts.id}: {error}") from None
            if not same:
                raise SouthbridgeError(f"{facts.id}: {disk.name} was changed since, or isn't the image that it was")
            if facts.overlay and disk.changes() is None:
                raise SouthbridgeError(f"{facts.id}: the snapshot has what the guest wrote, which needs overlay: true")
            found.append((facts.id, disk))
        return found

    def _state(self, record: Record) -> dict[str, Any]:
        """The machine's state, which its devices and CPUs will take."""
        try:
            state = from_json(record.data)
        except ValueError:
            raise self._reader.error("damaged: the state in it is no JSON") from None
        check_state(self._machine, state)
        assert isinstance(state, dict)
        return state

    def _write_disk(self, disks: list[tuple[str, BlockBackend]], record: Record) -> None:
        if record.number >= len(disks) or not self._header.disks[record.number].overlay:
            raise self._reader.error("damaged: a disk outside the machine's")
        id, disk = disks[record.number]
        if record.offset + len(record.data) > disk.size:
            raise self._reader.error("damaged: it has more of a disk than there is")
        try:
            disk.write(record.offset, record.data)
        except BlockError as error:
            raise SouthbridgeError(f"{id}: what the guest wrote can't be put back: {error}") from None


def _clear(block: RamBlock, start: int, end: int) -> None:
    """Makes the bytes from `start` to `end` zero, touching only those pages that aren't."""
    for offset in range(start, end, CHUNK):
        piece = block.view[offset : min(offset + CHUNK, end)]
        if np.frombuffer(piece, np.uint8).any():
            piece[:] = bytes(len(piece))


@contextmanager
def _of(reader: Reader) -> Iterator[None]:
    """Says of which file it is what goes wrong inside."""
    try:
        yield
    except NotASnapshot:
        raise
    except SouthbridgeError as error:
        raise SouthbridgeError(f"{reader.path}: can't be restored: {error}") from error
