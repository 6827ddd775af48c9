"""The host bridge: configuration mechanism #1, its registers, and the memory map."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from southbridge import GiB, GuestMemoryError, KiB, MiB, PciDevice, PciIds, RealizeError, ResetReason
from southbridge.board import MemoryRange
from southbridge.memory.ram import RamBlock
from southbridge.memory.regions import Io, Ram, Section
from southbridge.plugins.i440fx import I440fx
from southbridge.plugins.i440fx.shadow import READ, SEGMENTS, WRITE
from southbridge.testing import Bench, FlatBenchMemory, WindowedBenchMemory

CONFADD, CONFDATA = 0xCF8, 0xCFC
PAM0, FDHC, SMRAM, TRC = 0x59, 0x68, 0x72, 0x93
OPEN, CLOSED, LOCK, ENABLED = 0x40, 0x20, 0x10, 0x08

ROM_AT = 0xC0000
ROM_BYTE = 0x55
IO_AT = 0xD0000
"""Where the board of these tests has a device's registers on the bus; the ROM ends there."""


class Registers:
    """A device on the bus that remembers."""

    def __init__(self) -> None:
        self.written: list[tuple[int, int, int]] = []

    def read(self, offset: int, size: int) -> int:
        return int.from_bytes(bytes([0xA0 | offset & 0xF] * size), "little")

    def write(self, offset: int, size: int, value: int) -> None:
        self.written.append((offset, size, value))


class Board:
    """A bench with a host bridge. On the bus below 1 MiB: ROM at C0000h and E0000h, registers at D0000h."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.host: I440fx = bench.plug("i440fx", "host")
        self.memory = bench.machine.memory
        self.registers = Registers()
        rom = RamBlock("rom", 64 * KiB)
        rom.view[:] = bytes([ROM_BYTE]) * rom.size
        bus = bench.machine.bus_memory
        bus.add(ROM_AT, Ram("rom", rom, readonly=True))
        bus.add(IO_AT, Io("registers", 64 * KiB, self.registers.read, self.registers.write))
        bus.add(0xE0000, Ram("rom again", rom, readonly=True))
        bus.add(0xF0000, Ram("rom and again", rom, readonly=True))

    def config(self, register: int, size: int = 1, *, slot: int = 0, function: int = 0) -> int:
        """A configuration read, through the ports."""
        self.bench.write_port(CONFADD, 1 << 31 | slot << 11 | function << 8 | register & 0xFC, 4)
        return self.bench.read_port(CONFDATA + (register & 3), size)

    def set_config(self, register: int, value: int, size: int = 1, *, slot: int = 0) -> None:
        """A configuration write, through the ports."""
        self.bench.write_port(CONFADD, 1 << 31 | slot << 11 | register & 0xFC, 4)
        self.bench.write_port(CONFDATA + (register & 3), value, size)

    def set_segment(self, index: int, mode: int) -> None:
        """Programs the PAM register half of `SEGMENTS[index]`."""
        register, high = PAM0 + (index + 1) // 2, (index + 1) % 2
        shift = 4 if high else 0
        self.set_config(register, self.config(register) & ~(3 << shift) | mode << shift)

    def shadow(self, address: int, size: int = 1) -> int:
        """What RAM has at `address`, whatever the guest sees there."""
        return int.from_bytes(self.bench.read_memory(address, size), "little")


@pytest.fixture(params=[FlatBenchMemory, WindowedBenchMemory], ids=["flat", "windowed"])
def board(request: pytest.FixtureRequest) -> Iterator[Board]:
    bench = Bench(request.param, memory=32 * MiB, bare=True)
    yield Board(bench)
    bench.close()


# --- configuration mechanism #1 --------------------------------------------------------------------------------------


def test_identity(board: Board) -> None:
    assert board.config(0x00, 4) == 0x1237_8086
    assert board.config(0x08, 4) == 0x0600_0002
    assert board.config(0x0E) == 0
    assert board.config(0x2C, 4) == 0x1100_1AF4, "how SeaBIOS knows the board"


def test_address_register_keeps_what_exists(board: Board) -> None:
    board.bench.write_port(CONFADD, 0xFFFF_FFFF, 4)
    assert board.bench.read_port(CONFADD, 4) == 0x80FF_FFFC


@pytest.mark.parametrize(("port", "size"), [(0xCF8, 1), (0xCF9, 1), (0xCF8, 2), (0xCFA, 2)])
def test_narrow_accesses_dont_reach_the_address_register(board: Board, port: int, size: int) -> None:
    board.bench.write_port(CONFADD, 0x8000_0004, 4)
    board.bench.write_port(port, 0, size)
    assert board.bench.read_port(port, size) == (1 << 8 * size) - 1
    assert board.bench.read_port(CONFADD, 4) == 0x8000_0004


def test_byte_at_cf9_can_be_another_devices(board: Board) -> None:
    """The chipset's reset control register lies inside the address register, but is reached by bytes."""
    reset_control = Registers()
    board.bench.machine.ports.root.add(
        0xCF9, Io("reset control", 1, reset_control.read, reset_control.write, widths=(1,)), priority=1
    )
    board.bench.write_port(CONFADD, 0x8000_0000, 4)
    assert board.bench.read_port(CONFDATA, 4) == 0x1237_8086
    board.bench.write_port(0xCF9, 6)
    assert reset_control.written == [(0, 1, 6)]
    assert board.bench.read_port(CONFADD, 4) == 0x8000_0000


@pytest.mark.parametrize("size", [1, 2, 4])
def test_data_of_every_width(board: Board, size: int) -> None:
    whole = 0x1237_8086
    for offset in range(0, 4, size):
        assert board.config(offset, size) == whole >> 8 * offset & (1 << 8 * size) - 1


@pytest.mark.parametrize(
    "address",
    [0x0000_0000, 0x8001_0000, 0x80FF_0000, 0x8000_0800, 0x8000_0100],
    ids=["disabled", "bus 1", "bus 255", "slot 1", "function 1"],
)
def test_nobody_there_reads_as_ones(board: Board, address: int) -> None:
    board.bench.write_port(CONFADD, address | 0x58, 4)
    board.bench.write_port(CONFDATA, 0x3333_3333, 4)
    assert board.bench.read_port(CONFDATA, 4) == 0xFFFF_FFFF
    assert board.config(0x58, 4) == 0x0000_0010


# --- registers -------------------------------------------------------------------------------------------------------

REGISTERS = [
    # offset, width, after reset, after writing ones
    (0x04, 2, 0x0006, 0x0106),
    (0x06, 2, 0x0280, 0x0280),
    (0x0C, 1, 0x00, 0x00),
    (0x0D, 1, 0x00, 0xF8),
    (0x0F, 1, 0x00, 0x00),
    (0x3C, 2, 0x0000, 0x0000),
    (0x50, 2, 0x0200, 0xC3F4),
    (0x52, 1, 0x00, 0xFF),
    (0x53, 1, 0x80, 0xFF),
    (0x54, 1, 0x00, 0x82),
    (0x55, 2, 0x0000, 0xFFFF),
    (0x57, 1, 0x01, 0x77),
    (0x58, 1, 0x10, 0x7F),
    (0x59, 1, 0x00, 0x30),
    *((0x5A + index, 1, 0x00, 0x33) for index in range(6)),
    (0x60, 4, 0x0404_0404, 0xFFFF_FFFF),
    (0x64, 4, 0x0404_0404, 0xFFFF_FFFF),
    (0x68, 1, 0x00, 0xC0),
    (0x70, 1, 0x00, 0xF8),
    (0x71, 1, 0x10, 0x1F),
    (0x72, 1, 0x02, 0x3A),
    (0x73, 1, 0x00, 0x00),
    (0x90, 1, 0x00, 0x1B),
    (0x91, 1, 0x00, 0x00),
]


@pytest.mark.parametrize(("offset", "width", "reset", "ones"), REGISTERS)
def test_register(board: Board, offset: int, width: int, reset: int, ones: int) -> None:
    assert board.config(offset, width) == reset
    board.set_config(offset, (1 << 8 * width) - 1, width)
    assert board.config(offset, width) == ones
    board.host.reset()
    assert board.config(offset, width) == reset


def test_error_status_is_cleared_by_ones(board: Board) -> None:
    board.host.ERRSTS.value = 0xFF
    board.set_config(0x91, 0x01)
    assert board.config(0x91) == 0xFE
    board.set_config(0x91, 0x10)
    assert board.config(0x91) == 0xEE


@pytest.mark.parametrize(
    ("memory", "rows"),
    [
        (8 * MiB, [1, 1, 1, 1, 1, 1, 1, 1]),
        (128 * MiB, [16] * 8),
        (160 * MiB, [16, 20, 20, 20, 20, 20, 20, 20]),
        (1 * GiB, [16, 32, 48, 64, 80, 96, 112, 128]),
        (3 * GiB, [16, 32, 48, 64, 80, 96, 112, 255]),
    ],
)
def test_row_boundaries_follow_the_memory(memory: int, rows: list[int]) -> None:
    board = Board(Bench(memory=memory, bare=True))
    assert [board.config(0x60 + row) for row in range(8)] == rows


@pytest.mark.parametrize(("value", "resets"), [(0x04, True), (0x06, True), (0x02, False), (0x0B, False)])
def test_reset_control(board: Board, value: int, resets: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[ResetReason] = []
    monkeypatch.setattr(board.bench.machine, "request_reset", requests.append)
    board.set_config(TRC, value)
    assert bool(requests) is resets
    assert board.config(TRC) == value


# --- where RAM is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("memory", "ranges"),
    [
        (1 * MiB, [(0, 1 * MiB)]),
        (15 * MiB + 512 * KiB, [(0, 15 * MiB + 512 * KiB)]),
        (64 * MiB, [(0, 64 * MiB)]),
        (3583 * MiB, [(0, 3583 * MiB)]),
        (3584 * MiB, [(0, 3 * GiB), (4 * GiB, 512 * MiB)]),
        (6 * GiB, [(0, 3 * GiB), (4 * GiB, 3 * GiB)]),
    ],
)
def test_ram_leaves_room_below_4g(memory: int, ranges: list[tuple[int, int]]) -> None:
    machine = Board(Bench(memory=memory, bare=True)).bench.machine
    assert machine.memory_map == [MemoryRange(start, size) for start, size in ranges]
    for start, size in ranges:
        for address in (max(start, MiB - 1), start + size - 8):
            section = machine.memory.find(address)
            assert section is not None
            if address >= MiB:
                assert section.block is machine.ram
        assert machine.memory.find(start + size) is None
    at = [(s.start, s.block_offset) for s in machine.memory.sections if s.is_ram and s.start >= 4 * GiB]
    assert at == [(start, 3 * GiB) for start, _ in ranges[1:]]


def test_too_little_memory_is_refused() -> None:
    bench = Bench(memory=512 * KiB, bare=True)
    with pytest.raises(RealizeError, match="at least 1 MiB"):
        bench.plug("i440fx", "host")


def test_second_host_bridge_is_refused(board: Board) -> None:
    with pytest.raises(RealizeError, match=r"pci\.0"):
        board.bench.plug("i440fx", "host2")


class Card(PciDevice):
    """Something else on the bus."""

    ids = PciIds(0x1234, 0x0001, class_code=0xFF0000)


def test_its_place_on_the_bus(board: Board) -> None:
    with pytest.raises(RealizeError, match=r"slot 00\.0 is taken by host"):
        board.bench.plug(Card, "card", addr="00.0")
    board.bench.plug(Card, "card", addr="00.1")
    assert board.config(0x00, 4, function=1) == 0x0001_1234
    assert board.config(0x0E) == 0x80
    assert not {"bus", "addr"} & set(I440fx.properties()), "it isn't a description's choice"


@pytest.mark.parametrize(
    ("hole", "start", "end"), [(0x40, 512 * KiB, 640 * KiB), (0x80, 15 * MiB, 16 * MiB)], ids=["512K", "15M"]
)
def test_fixed_holes(board: Board, hole: int, start: int, end: int) -> None:
    board.memory.write(start, 1, 0x77)
    board.set_config(FDHC, hole)
    assert board.memory.find(start) is None
    assert board.memory.find(end - 1) is None
    for outside in (start - 1, end if end > MiB else end - 128 * KiB - 1):
        assert board.memory.find(outside) is not None
    board.set_config(FDHC, 0)
    assert board.memory.read(start, 1) == 0x77


# --- PAM -------------------------------------------------------------------------------------------------------------


def where(address: int) -> str:
    """Which segment, for a test's name."""
    return f"{address:x}"


@pytest.mark.parametrize("index", range(len(SEGMENTS)), ids=[where(base) for base, _ in SEGMENTS])
@pytest.mark.parametrize("mode", [0, READ, WRITE, READ | WRITE])
def test_segment_modes(board: Board, index: int, mode: int) -> None:
    base, size = SEGMENTS[index]
    on_bus = 0xA0 if IO_AT <= base < IO_AT + 64 * KiB else ROM_BYTE
    for address in (base, base + size - 16):
        board.bench.write_memory(address, b"\x11\x11")
    board.set_segment(index, mode)
    for address in (base, base + size - 16):
        assert board.memory.read(address, 1) == (0x11 if mode & READ else on_bus)
        board.memory.write(address, 1, 0x22)
        assert board.shadow(address) == (0x22 if mode & WRITE else 0x11)
        expected = on_bus if not mode & READ else 0x22 if mode & WRITE else 0x11
        assert board.memory.read(address, 1) == expected
    reached_bus = on_bus == 0xA0 and not mode & WRITE
    assert bool(board.registers.written) is reached_bus


@pytest.mark.parametrize("index", range(len(SEGMENTS)), ids=[where(base) for base, _ in SEGMENTS])
def test_segment_leaves_its_neighbours_alone(board: Board, index: int) -> None:
    before = {base: board.memory.find(base) for base, _ in SEGMENTS}
    board.set_segment(index, READ | WRITE)
    for number, (base, size) in enumerate(SEGMENTS):
        section = board.memory.find(base)
        assert section is not None
        if number == index:
            assert section.block is board.bench.machine.ram
            assert section.start <= base
            assert section.end >= base + size
        else:
            old = before[base]
            assert old is not None
            assert section.region is old.region


def test_copying_a_rom_into_the_ram_below_it(board: Board) -> None:
    """How firmware shadows a ROM: write-only, copy each byte onto itself, read-only."""
    board.set_segment(SEGMENTS.index((0xE0000, 16 * KiB)), WRITE)
    for address in range(0xE0000, 0xE0000 + 64, 8):
        board.memory.write(address, 8, board.memory.read(address, 8))
    assert board.bench.read_memory(0xE0000, 64) == bytes([ROM_BYTE]) * 64
    board.set_segment(SEGMENTS.index((0xE0000, 16 * KiB)), READ)
    board.memory.write(0xE0000, 4, 0)
    assert board.memory.read(0xE0000, 4) == ROM_BYTE * 0x0101_0101


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_write_only_takes_every_width(board: Board, size: int) -> None:
    board.set_segment(SEGMENTS.index((0xC0000, 16 * KiB)), WRITE)
    value = 0x8877_6655_4433_2211 & (1 << 8 * size) - 1
    board.memory.write(0xC0100, size, value)
    assert board.shadow(0xC0100, size) == value


def test_writes_to_a_read_only_segment_reach_the_bus(board: Board) -> None:
    board.set_segment(SEGMENTS.index((0xD4000, 16 * KiB)), READ)
    board.memory.write(0xD4008, 4, 0x1234_5678)
    assert board.registers.written == [(0x4008, 4, 0x1234_5678)]


class Listener:
    """Notes what of the memory map went and came."""

    def __init__(self) -> None:
        self.removed: list[Section] = []
        self.added: list[Section] = []

    def region_removed(self, section: Section) -> None:
        self.removed.append(section)

    def region_added(self, section: Section) -> None:
        self.added.append(section)


def test_only_what_changes_is_mapped_anew(board: Board) -> None:
    board.set_config(0x58, 0x3311_3010, 4)
    listener = Listener()
    board.memory.add_listener(listener)
    listener.added.clear()
    board.set_config(0x58, 0x3311_3010, 4)
    assert not listener.removed
    assert not listener.added
    board.set_config(0x58, 0x1133_3010, 4)
    assert [(s.start, s.end, s.readonly) for s in listener.removed] == [
        (0xC0000, 0xC4000, True),
        (0xC4000, 0xC8000, True),
        (0xC8000, 0xD0000, False),
    ]
    assert [(s.start, s.end, s.readonly) for s in listener.added] == [
        (0xC0000, 0xC8000, False),
        (0xC8000, 0xCC000, True),
        (0xCC000, 0xD0000, True),
    ]


def test_remapping_for_ever_keeps_nothing(board: Board) -> None:
    """A guest that switches segments back and forth must not make the host remember each time."""
    ram = next(s.region for s in board.memory.sections if s.start == 0)
    rom = board.bench.machine.bus_memory.children[-1].region
    parents = len(ram._parents), len(rom._parents), len(board.memory.root.children)
    for mode in (READ, WRITE, READ | WRITE, 0) * 50:
        board.set_segment(0, mode)
    assert (len(ram._parents), len(rom._parents), len(board.memory.root.children)) == parents


def test_dma_to_a_read_only_segment_is_refused(board: Board) -> None:
    board.set_segment(0, READ)
    with pytest.raises(GuestMemoryError):
        board.host.dma.write(0xF0000, b"x")
    assert board.host.dma.read(0xF0000, 1) == b"\0"


# --- SMRAM -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "opened"),
    [
        (ENABLED | OPEN, True),
        (ENABLED, False),
        (OPEN, False),
        (ENABLED | OPEN | CLOSED, False),
        (ENABLED | OPEN | LOCK, False),
    ],
)
def test_smram_opens(board: Board, value: int, opened: bool) -> None:
    board.bench.write_memory(0xA0000, b"\x5a")
    board.bench.write_memory(0xBFFFF, b"\xa5")
    board.set_config(SMRAM, value)
    assert board.memory.read(0xA0000, 1) == (0x5A if opened else 0xFF)
    assert board.memory.read(0xBFFFF, 1) == (0xA5 if opened else 0xFF)
    if opened:
        board.memory.write(0xA8000, 4, 0x1234_5678)
        assert board.shadow(0xA8000, 4) == 0x1234_5678


def test_smram_locks_until_reset(board: Board) -> None:
    board.set_config(SMRAM, ENABLED | OPEN)
    board.set_config(SMRAM, ENABLED | OPEN | LOCK)
    assert board.config(SMRAM) == ENABLED | LOCK | 2
    board.set_config(SMRAM, OPEN | CLOSED)
    assert board.config(SMRAM) == ENABLED | LOCK | CLOSED | 2
    board.set_config(SMRAM, 0)
    assert board.config(SMRAM) == ENABLED | LOCK | 2
    board.host.reset()
    board.set_config(SMRAM, ENABLED | OPEN)
    assert board.config(SMRAM) == ENABLED | OPEN | 2


# --- state -----------------------------------------------------------------------------------------------------------


def test_reset_closes_everything(board: Board) -> None:
    closed = board.memory.sections
    for register in range(0x59, 0x60):
        board.set_config(register, 0x33)
    board.set_config(SMRAM, ENABLED | OPEN)
    assert board.memory.sections != closed
    board.host.reset()
    assert board.memory.sections == closed


def test_restored_state_brings_its_memory_map(board: Board) -> None:
    board.set_config(0x5A, 0x31)
    board.set_config(0x5C, 0x02)
    board.set_config(SMRAM, ENABLED | OPEN)
    board.bench.write_port(CONFADD, 0x8000_0004, 4)
    saved, shown = board.host.save(), [(s.start, s.size, s.readonly) for s in board.memory.sections]
    board.host.reset()
    board.host.load(saved)
    assert [(s.start, s.size, s.readonly) for s in board.memory.sections] == shown
    assert board.bench.read_port(CONFADD, 4) == 0x8000_0004
    assert board.host.save() == saved
