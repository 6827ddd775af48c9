"""Saving: the machine stands still, its requests to images are finished, and all that it remembers goes to a file."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import Callable, Iterator

import numpy as np

from .. import __version__
from ..block import BlockBackend, BlockError
from ..errors import SouthbridgeError
from ..exchange import name_of
from ..life import RunState
from ..machine import Machine
from ..memory.dirty import DirtyPages
from ..memory.ram import RamBlock
from ..plain_data import to_json
from .atomic import AtomicFile
from .contents import (
    CpuFacts,
    DiskFacts,
    Header,
    MemoryFacts,
    described_as,
    description_tree,
    memory_blocks,
    plugins_of,
)
from .records import CHUNK, DISK, HEADER, MEMORY, STATE, Writer

Tell = Callable[[int, int], None]
"""Told of progress, from any thread: bytes done, of bytes in all."""

STEP = 64 * CHUNK
"""Bytes between two tellings."""


async def save_running(machine: Machine, path: str, tell: Tell = lambda done, total: None) -> None:
    """Saves `machine`, whose main loop this is; it stands still meanwhile, and then goes on if it ran.

    Raises SouthbridgeError, with what was at `path` before untouched.
    """
    with await asyncio.to_thread(AtomicFile, path) as file:
        await send(machine, file.write, tell)
        await asyncio.to_thread(file.commit)


def save(machine: Machine, path: str) -> None:
    """Saves `machine`, which is paused, from a thread that isn't the main loop's. Raises SouthbridgeError."""
    if machine.state is not RunState.PAUSED:
        raise SouthbridgeError(f"{machine.name} isn't paused")
    with AtomicFile(path) as file:
        drain(machine)
        _write(machine, to_json(machine.save_state()), file.write, lambda done, total: None)
        file.commit()


async def send(machine: Machine, write: Callable[[bytes], None], tell: Tell) -> None:
    """Gives the snapshot of `machine`, which stands still meanwhile, to `write`, on another thread.

    Raises SouthbridgeError, and what `write` raises.
    """
    with machine.held():
        await asyncio.to_thread(drain, machine)
        machine.settle()
        state = to_json(machine.save_state())
        # Not to be left halfway, with the machine's end: its images are closed then.
        await asyncio.shield(asyncio.to_thread(_write, machine, state, write, tell))


def drain(machine: Machine) -> None:
    """Waits for what the images have under way, and what follows from it, without the lock.

    Raises SouthbridgeError, naming the image, if that takes too long.
    """
    for disk in machine.backends["blockdevs"].values():
        for queue in disk.queues:
            queue.drain()


def _write(machine: Machine, state: bytes, write: Callable[[bytes], object], tell: Tell) -> None:
    blocks = memory_blocks(machine)
    disks: dict[str, BlockBackend] = machine.backends["blockdevs"]
    with _explained():
        header = _header(machine, blocks, disks)
        writer = Writer(write)
        writer.add(HEADER, header.model_dump_json().encode())
        writer.add(STATE, state)
        total = sum(block.size for block in blocks.values())
        done = 0
        with _watched(machine, blocks):
            for index, block in enumerate(blocks.values()):
                for offset in range(0, block.size, CHUNK):
                    if (done + offset) % STEP == 0:
                        tell(done + offset, total)
                    chunk = block.view[offset : offset + CHUNK]
                    if np.frombuffer(chunk, np.uint64).any():
                        writer.add(MEMORY, chunk, index, offset)
                done += block.size
        for index, disk in enumerate(disks.values()):
            for offset, length in disk.changes() or ():
                for start in range(offset, offset + length, CHUNK):
                    data = disk.read(start, min(CHUNK, offset + length - start))
                    writer.add(DISK, data, index, start)
        writer.end()


def _header(machine: Machine, blocks: dict[str, RamBlock], disks: dict[str, BlockBackend]) -> Header:
    description = described_as(machine)
    assert machine.accelerator is not None
    for disk in disks.values():
        if disk.writable and disk.changes() is None:
            disk.flush()
    return Header(
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        southbridge=__version__,
        name=machine.name,
        description=description_tree(description),
        accelerator=name_of(machine.accelerator),
        cpu=CpuFacts(model=machine.cpu.name, features=sorted(machine.cpu.features), count=machine.cpus.max),
        plugins=plugins_of(description),
        memory=[MemoryFacts(name=name, size=block.size) for name, block in blocks.items()],
        disks=[
            DiskFacts(
                id=id,
                image=disk.name,
                size=disk.size,
                identity=disk.identity(),
                overlay=disk.changes() is not None,
            )
            for id, disk in disks.items()
        ],
    )


@contextlib.contextmanager
def _watched(machine: Machine, blocks: dict[str, RamBlock]) -> Iterator[None]:
    """Raises SouthbridgeError at the end if anybody wrote to memory meanwhile: the snapshot would be of no instant."""
    logs = {name: DirtyPages(block) for name, block in blocks.items()}
    with machine.lock:
        for name, log in logs.items():
            blocks[name].dirty.append(log)
    try:
        yield
    finally:
        with machine.lock:
            for name, log in logs.items():
                blocks[name].dirty.remove(log)
    for name, log in logs.items():
        if log.take().any():
            raise SouthbridgeError(f"a device wrote to {name!r} while the machine stood still; nothing was saved")


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except BlockError as error:
        raise SouthbridgeError(f"an image can't be saved: {error}") from None
