from __future__ import annotations

import pytest
from southbridge import Device, GuestMemoryError, IoBar, MmioBank, PciDevice, PciIds
from southbridge.memory.ram import PAGE_SIZE, RamBlock
from southbridge.memory.regions import Ram
from southbridge.testing import Bench, WindowedBenchMemory
from southbridge.testing.memory import WINDOW, WINDOWS
from southbridge.units import MiB

END = 16 * MiB
"""Of the bench's RAM."""
ROM = END + PAGE_SIZE
REGISTERS = END + 2 * PAGE_SIZE


class Engine(Device):
    """Copies by DMA when it is told to; its own registers are in memory."""

    memory = MmioBank(PAGE_SIZE)
    DATA = memory.register(0, 4, doc="Anything.")

    def realize(self) -> None:
        self.claim_memory(self.memory, REGISTERS)


@pytest.fixture
def engine(bench: Bench) -> Engine:
    """Its memory: RAM, another block right behind, ROM, the engine's registers, nothing."""
    root = bench.machine.memory.root
    root.add(END, Ram("more", RamBlock("more", PAGE_SIZE)))
    root.add(ROM, Ram("rom", RamBlock("rom", PAGE_SIZE), readonly=True))
    made: Engine = bench.plug(Engine, "engine")
    return made


def test_what_is_written_is_read(bench: Bench, engine: Engine) -> None:
    engine.dma.write(0x1234, b"hello")
    assert bench.read_memory(0x1234, 5) == b"hello"
    bench.write_memory(0x1234, b"HELLO")
    assert engine.dma.read(0x1234, 5) == b"HELLO"


def test_a_transfer_spans_two_blocks_of_memory(engine: Engine) -> None:
    data = bytes(range(256))
    engine.dma.write(END - 100, data)
    assert engine.dma.read(END - 100, 256) == data


def test_nothing_is_transferred_anywhere(engine: Engine) -> None:
    assert engine.dma.read(1 << 60, 0) == b""
    engine.dma.write(1 << 60, b"")


@pytest.mark.parametrize(
    ("address", "length", "first"),
    [
        (REGISTERS, 4, REGISTERS),
        (REGISTERS + PAGE_SIZE, 1, REGISTERS + PAGE_SIZE),
        (ROM + PAGE_SIZE - 2, 4, REGISTERS),
        ((1 << 52) - 2, 4, (1 << 52) - 2),
        ((1 << 64) - 1, 1, (1 << 64) - 1),
    ],
    ids=["registers", "hole", "into registers", "the end of the map", "beyond it"],
)
def test_a_read_of_what_is_no_memory_is_refused(
    bench: Bench, engine: Engine, address: int, length: int, first: int
) -> None:
    """CVE-2021-3929 and its kind: no device is entered through DMA, its own or another's."""
    with pytest.raises(GuestMemoryError) as caught:
        engine.dma.read(address, length)
    assert caught.value.address == first
    assert bench.guest_errors == [f"engine: DMA read: no memory at {first:#x}"]


@pytest.mark.parametrize(
    ("address", "length", "error"),
    [
        (REGISTERS - 2, 4, f"read-only memory at {REGISTERS - 2:#x}"),
        (END - 4, PAGE_SIZE + 8, f"read-only memory at {ROM:#x}"),
        (REGISTERS, 4, f"no memory at {REGISTERS:#x}"),
    ],
    ids=["rom", "ram then rom", "registers"],
)
def test_a_write_stores_nothing_if_it_cannot_store_all(
    bench: Bench, engine: Engine, address: int, length: int, error: str
) -> None:
    with pytest.raises(GuestMemoryError):
        engine.dma.write(address, b"\xaa" * length)
    assert bench.guest_errors[-1].startswith("engine: DMA write:")
    assert engine.DATA.value == 0
    assert bench.read_memory(END - 4, 4) == bytes(4)
    if address < REGISTERS and address + length <= REGISTERS:
        assert bench.guest_errors == [f"engine: DMA write: {error}"]


def test_several_writes_go_up_to_the_first_that_is_refused(bench: Bench, engine: Engine) -> None:
    pieces = [(0x2000, b"ab"), (END - 1, b"c"), (REGISTERS, bytes(4)), (0x3000, b"d")]
    left = iter(pieces)
    with pytest.raises(GuestMemoryError):
        engine.dma.write_several(left)
    assert list(left) == pieces[3:]
    assert (bench.read_memory(0x2000, 3), bench.read_memory(END - 1, 1)) == (b"ab\0", b"c")
    assert bench.read_memory(0x3000, 1) == b"\0"
    assert bench.guest_errors == [f"engine: DMA write: no memory at {REGISTERS:#x}"]
    engine.dma.enabled = False
    with pytest.raises(GuestMemoryError):
        engine.dma.write_several(iter([(0x3000, b"d")]))
    assert bench.guest_errors[-1] == "engine: DMA write: bus mastering is off at 0x3000"


def test_rom_can_be_read(engine: Engine) -> None:
    assert engine.dma.read(ROM, 4) == bytes(4)


# --- mappings ----------------------------------------------------------------------------------------------------


def test_a_mapping_gives_a_first_part_and_going_on_gives_the_rest(bench: Bench, engine: Engine) -> None:
    start, data = END - 3 * WINDOW - 100, bytes(range(1, 252)) * 800
    bench.write_memory(start, data[: END - start])
    at, found = start, b""
    while at < END:
        with engine.dma.map(at, END - at) as view:
            assert 0 < len(view) <= END - at
            found += bytes(view)
        at = start + len(found)
    assert found == data[: END - start]


def test_what_is_put_into_a_mapping_for_writing_is_in_memory(bench: Bench, engine: Engine) -> None:
    with engine.dma.map(0x2000, 16, write=True) as view:
        view[:4] = b"abcd"
    assert bench.read_memory(0x2000, 5) == b"abcd\0"


def test_a_mapping_for_reading_cannot_be_written(engine: Engine) -> None:
    with engine.dma.map(0x2000, 16) as view, pytest.raises(TypeError):
        view[0] = 1


@pytest.mark.parametrize(
    ("address", "write", "error"),
    [(REGISTERS, False, "no memory"), (ROM, True, "read-only memory"), (END + 64 * MiB, True, "no memory")],
)
def test_only_memory_is_mapped(bench: Bench, engine: Engine, address: int, write: bool, error: str) -> None:
    with pytest.raises(GuestMemoryError), engine.dma.map(address, 4, write=write):
        raise AssertionError
    assert bench.guest_errors == [f"engine: DMA map: {error} at {address:#x}"]


def test_a_mapping_is_given_back_when_its_user_fails(bench: Bench, engine: Engine) -> None:
    for _ in range(2 * WINDOWS):
        with pytest.raises(KeyError), engine.dma.map(0, 4, write=True):
            raise KeyError
    with engine.dma.map(0, 4) as view:
        assert len(view) == 4


class TestWindowedMemory:
    """The bench whose guest memory is mapped in windows finds devices that take a mapping for more than it is."""

    @pytest.fixture
    def windowed(self) -> Bench:
        return Bench(WindowedBenchMemory)

    def test_a_mapping_ends_at_a_window(self, windowed: Bench) -> None:
        engine = windowed.plug(Engine)
        with engine.dma.map(WINDOW - 10, 100) as view:
            assert len(view) == 10

    def test_few_mappings_are_to_be_had(self, windowed: Bench) -> None:
        hooks = windowed.machine.hooks
        mappings = [hooks.memory_map(0, 4, False) for _ in range(WINDOWS)]
        with pytest.raises(GuestMemoryError, match="more than 8 mappings"):
            hooks.memory_map(0, 4, False)
        for mapping in mappings:
            hooks.memory_unmap(mapping, 0)
        windowed.close()

    def test_a_mapping_is_of_no_use_after_it(self, windowed: Bench) -> None:
        engine = windowed.plug(Engine)
        with engine.dma.map(0, 4) as view:
            pass
        with pytest.raises(ValueError, match="released"):
            bytes(view)

    def test_a_mapping_that_is_kept_is_found(self, windowed: Bench) -> None:
        windowed.machine.hooks.memory_map(0, 4, False)
        with pytest.raises(AssertionError, match="holds on to a mapping"):
            windowed.close()


# --- bus mastering -----------------------------------------------------------------------------------------------


class Master(PciDevice):
    ids = PciIds(0x1234, 0x0001, class_code=0xFF0000)
    bar0 = IoBar(16)


def test_a_pci_device_masters_the_bus_only_when_allowed(bench: Bench) -> None:
    master = bench.plug(Master, "master")
    with pytest.raises(GuestMemoryError):
        master.dma.read(0, 4)
    with pytest.raises(GuestMemoryError):
        master.dma.write(0, b"data")
    with pytest.raises(GuestMemoryError), master.dma.map(0, 4):
        raise AssertionError
    what = ("read", "write", "map")
    assert bench.guest_errors == [f"master: DMA {done}: bus mastering is off at 0x0" for done in what]
    assert bench.read_memory(0, 4) == bytes(4)
    bench.config_write(master, 0x04, 2, 0x4)
    master.dma.write(0, b"data")
    assert master.dma.read(0, 4) == b"data"
    master.reset()
    with pytest.raises(GuestMemoryError):
        master.dma.read(0, 4)
