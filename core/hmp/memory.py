"""Words that read and write memory and ports."""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING

from ..errors import GuestMemoryError, SouthbridgeError
from ..memory.regions import Alias, Container, Ram, Region
from ..memory.space import AddressSpace
from ..paging import physical, read_virtual
from ..units import MiB
from .disassembly import Read, code_bits, instructions
from .dump import memory as dumped
from .dump import shown
from .expression import expression, optional_expression
from .line import Format, Line
from .registers import cpu_state
from .word import Word

if TYPE_CHECKING:
    from ..x86 import X86State
    from .monitor import HumanMonitor

MOST_BYTES = MiB
DEEPEST = 32


def _examine(monitor: HumanMonitor, line: Line) -> str:
    format = _format(monitor, line)
    address = expression(line)
    line.end()
    state = cpu_state(monitor.machine, monitor.cpu)
    if format.kind == "i":
        read = partial(read_virtual, monitor.machine, state)
        return _instructions(monitor, state, read, address, format.items)
    length = format.items * format.size
    with monitor.machine.lock:
        try:
            data = read_virtual(monitor.machine, state, address, length)
        except GuestMemoryError as error:
            raise SouthbridgeError(f"Cannot access memory at {error.address & monitor.mask:#x}") from None
    return dumped(data, address & monitor.mask, format, monitor.digits)


def _examine_physical(monitor: HumanMonitor, line: Line) -> str:
    format = _format(monitor, line)
    address = expression(line)
    line.end()
    if format.kind == "i":
        state = cpu_state(monitor.machine, monitor.cpu)
        return _instructions(monitor, state, monitor.machine.hooks.memory_read, address, format.items)
    return dumped(_anything(monitor, address, format), address, format, 16)


def _instructions(monitor: HumanMonitor, state: X86State, read: Read, address: int, count: int) -> str:
    with monitor.machine.lock:
        return instructions(read, address, count, code_bits(state), monitor.mask)


def _format(monitor: HumanMonitor, line: Line) -> Format:
    monitor.format = line.format(monitor.format)
    return monitor.format


def _physical(monitor: HumanMonitor, address: int, length: int) -> bytes:
    if length > MOST_BYTES:
        raise SouthbridgeError("more than 1 MiB; pmemsave writes to a file")
    with monitor.machine.lock:
        try:
            return monitor.machine.hooks.memory_read(address, length)
        except GuestMemoryError as error:
            raise SouthbridgeError(f"Cannot access memory at {error.address:#x}") from None


def _anything(monitor: HumanMonitor, address: int, format: Format) -> bytes:
    """What is there: memory, or registers, each read as the guest would."""
    length = format.items * format.size
    machine = monitor.machine
    with machine.lock:
        section = machine.memory.find(address)
        if section is None or section.is_ram:
            return _physical(monitor, address, length)
        values = (machine.memory.read(at, format.size) for at in range(address, address + length, format.size))
        return b"".join(value.to_bytes(format.size, "little") for value in values)


def _print(monitor: HumanMonitor, line: Line) -> str:
    monitor.format = format = line.format(monitor.format)
    value = expression(line)
    line.end()
    return shown(value, format.kind)


def _sum(monitor: HumanMonitor, line: Line) -> str:
    start, length = expression(line), expression(line)
    line.end()
    total = 0
    for byte in _physical(monitor, start, length) if length > 0 else b"":
        total = ((total >> 1 | total << 15) + byte) & 0xFFFF  # BSD's checksum
    return f"{total:05}"


def _input(monitor: HumanMonitor, line: Line) -> str:
    size = _port_size(monitor, line)
    port = expression(line) & 0xFFFF
    line.end()
    with monitor.machine.lock:
        value = monitor.machine.ports.read(port, size)
    return f"port{ {1: 'b', 2: 'w', 4: 'l'}[size] }[0x{port:04x}] = 0x{value:0{2 * size}x}"


def _output(monitor: HumanMonitor, line: Line) -> None:
    size = _port_size(monitor, line)
    port, value = expression(line) & 0xFFFF, expression(line)
    line.end()
    with monitor.machine.lock:
        monitor.machine.ports.write(port, size, value & (1 << 8 * size) - 1)


def _port_size(monitor: HumanMonitor, line: Line) -> int:
    monitor.format = line.format(monitor.format)
    return 1 if monitor.format.kind == "i" else min(monitor.format.size, 4)


async def _memsave(monitor: HumanMonitor, line: Line) -> None:
    await _save(monitor, line, "memsave")


async def _pmemsave(monitor: HumanMonitor, line: Line) -> None:
    await _save(monitor, line, "pmemsave")


async def _save(monitor: HumanMonitor, line: Line, command: str) -> None:
    address, size = expression(line), expression(line)
    path = line.word()
    line.end()
    await monitor.qmp(command, val=address, size=size, filename=path)


def _translate(monitor: HumanMonitor, line: Line) -> str:
    address = expression(line)
    line.end()
    state = cpu_state(monitor.machine, monitor.cpu)
    with monitor.machine.lock:
        place = physical(state, address, monitor.machine.hooks.memory_read)
    return "Unmapped" if place is None else f"gpa: {place:#x}"


def _checksum(monitor: HumanMonitor, line: Line) -> str:
    start, length = expression(line), expression(line)
    line.end()
    return f"{zlib.crc32(_physical(monitor, start, length)):08x}"


def _memory_tree(monitor: HumanMonitor, line: Line) -> str:
    flat = line.flag("f")
    line.end()
    machine = monitor.machine
    spaces = (("memory", machine.memory), ("I/O", machine.ports))
    with machine.lock:
        if flat:
            return "\n".join(f"FlatView of {name}\n{_flat(space)}\n" for name, space in spaces)
        return "\n".join(f"address-space: {name}\n{_tree(space.root, 0, 0, 1)}\n" for name, space in spaces)


def _tree(region: Region, start: int, priority: int, depth: int) -> str:
    end = start + region.size - 1
    off = "" if region.enabled else " [disabled]"
    line = f"{'  ' * depth}{start:016x}-{end:016x} (prio {priority}, {_kind(region)}): "
    if isinstance(region, Alias):
        shown = f"{region.offset:016x}-{region.offset + region.size - 1:016x}"
        return f"{line}alias {region.name} @{region.target.name} {shown}{off}"
    lines = [f"{line}{region.name}{off}"]
    if isinstance(region, Container) and depth < DEEPEST:
        children = sorted(region.children, key=lambda child: (child.offset, -child.priority))
        lines += [_tree(child.region, start + child.offset, child.priority, depth + 1) for child in children]
    return "\n".join(lines)


def _kind(region: Region) -> str:
    if isinstance(region, Alias):
        return _kind(region.target)
    if isinstance(region, Ram):
        return "rom" if region.readonly else "ram"
    return "i/o"


def _flat(space: AddressSpace) -> str:
    return "\n".join(
        f"  {section.start:016x}-{section.end - 1:016x} (prio 0, "
        f"{('rom' if section.readonly else 'ram') if section.is_ram else 'i/o'}): {section.region.name}"
        + (f" @{section.offset:016x}" if section.offset else "")
        for section in space.sections
    )


async def _memory_size(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    facts = await monitor.qmp("query-memory-size-summary")
    return f"base memory: {facts['base-memory']}\nplugged memory: {facts['plugged-memory']}"


def _registers(monitor: HumanMonitor, line: Line) -> str:
    from .registers import shown_registers

    every = line.flag("a")
    chosen = optional_expression(line)
    line.end()
    machine = monitor.machine
    cpus = sorted(machine.cpus.plugged) if every else [monitor.cpu if chosen is None else chosen]
    wide = monitor.digits == 16
    return "\n".join(shown_registers(cpu_state(machine, cpu), cpu, wide=wide) for cpu in cpus)


WORDS = (
    Word(("x",), "/fmt addr", "virtual memory dump starting at 'addr'", _examine),
    Word(("xp",), "/fmt addr", "physical memory dump starting at 'addr'", _examine_physical),
    Word(("print", "p"), "/fmt expr", "print expression value (use $reg for CPU register access)", _print),
    Word(("sum",), "addr size", "compute the checksum of a memory region", _sum),
    Word(("crc32",), "addr size", "the CRC-32 of a memory region, as zlib has it", _checksum),
    Word(("i",), "/fmt addr", "I/O port read", _input),
    Word(("o",), "/fmt addr value", "I/O port write", _output),
    Word(("memsave",), "addr size file", "save to disk virtual memory dump starting at 'addr'", _memsave),
    Word(("pmemsave",), "addr size file", "save to disk physical memory dump starting at 'addr'", _pmemsave),
    Word(("gva2gpa",), "addr", "the physical address that a virtual one leads to", _translate),
)
TOPICS = (
    Word(("mtree",), "[-f]", "show memory tree (-f: what is seen of it)", _memory_tree),
    Word(("memory_size_summary",), "", "show how much memory there is, in bytes", _memory_size),
    Word(("registers",), "[-a|vcpu]", "show the CPU's registers (-a: all CPUs')", _registers),
)
