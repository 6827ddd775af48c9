"""The accelerator whole, on a domain that the test plays: requests, ranges, interrupts, memory, the toolstack."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from southbridge import Machine, SouthbridgeError
from southbridge.accelerators.xen import XenAccelerator, libraries
from southbridge.accelerators.xen.hypervisor import PAGE_SIZE, MemoryType, ShutdownCode, Space
from southbridge.errors import GuestMemoryError
from southbridge.hookspecs import hookimpl
from southbridge.life import Outcome, ResetReason, RunState, ShutdownReason
from southbridge.memory.ram import RamBlock
from southbridge.memory.regions import Ram

from .fake import BACKWARDS, BUFFERED, INDIRECT, READ
from .guest import RAM_FRAMES, Guest


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guest]:
    guest = Guest(monkeypatch)
    yield guest
    guest.close()


@pytest.fixture
def guest(idle: Guest) -> Guest:
    return idle.start()


# --- requests ----------------------------------------------------------------------------------------------------


def test_port_accesses(guest: Guest) -> None:
    guest.domain.port_write(0x501, 0xAB)
    assert guest.domain.port_read(0x504, 4) == 0x55667789
    assert guest.ports == [("out", 1, 1, 0xAB), ("in", 4, 4, 0)]
    assert guest.domain.port_read(0x600) == 0xFF
    assert guest.accelerator.server.served == 3


def test_ins_and_outs_move_items_in_guest_memory(guest: Guest) -> None:
    guest.machine.hooks.memory_write(0x2FFC, bytes(range(8)))
    guest.domain.send(0, 0x500, size=2, count=4, data=0x2FFC, flags=INDIRECT)
    assert guest.ports == [("out", 0, 2, value) for value in (0x100, 0x302, 0x504, 0x706)]
    guest.domain.send(0, 0x500, size=1, count=3, data=0x1000, flags=INDIRECT | READ | BACKWARDS)
    assert guest.machine.hooks.memory_read(0xFFE, 3) == bytes([0x8B, 0x8A, 0x89])


def test_outs_backwards(guest: Guest) -> None:
    guest.machine.hooks.memory_write(0x3000, bytes(range(8)))
    guest.domain.send(0, 0x500, size=4, count=2, data=0x3004, flags=INDIRECT | BACKWARDS)
    assert [value for *_, value in guest.ports] == [0x07060504, 0x03020100]


def test_items_where_no_memory_is(guest: Guest) -> None:
    """Reads of them give ones, stores are lost; what can be stored is."""
    end = RAM_FRAMES * PAGE_SIZE
    guest.domain.send(0, 0x500, size=1, count=2, data=1 << 40, flags=INDIRECT)
    assert [value for *_, value in guest.ports] == [0xFF, 0xFF]
    guest.domain.send(0, 0x500, size=2, count=2, data=end - 2, flags=INDIRECT | READ)
    assert guest.machine.hooks.memory_read(end - 2, 2) == b"\x89\x77"


def test_memory_accesses(guest: Guest) -> None:
    assert guest.domain.send(1, 0xF000_0010, size=8, flags=READ) == 0x8877665544332211
    guest.domain.send(1, 0xF000_0020, size=4, count=3, data=0xCAFE)
    guest.domain.send(1, 0xF000_0030, size=4, count=2, data=0xBEEF, flags=BACKWARDS)
    assert guest.registers == [
        ("read", 0x10, 8, 0),
        *(("write", offset, 4, 0xCAFE) for offset in (0x20, 0x24, 0x28)),
        *(("write", offset, 4, 0xBEEF) for offset in (0x30, 0x2C)),
    ]


def test_memory_moves_between_registers_and_memory(guest: Guest) -> None:
    guest.domain.send(1, 0xF000_0000, size=2, count=2, data=0x4000, flags=INDIRECT | READ)
    assert guest.machine.hooks.memory_read(0x4000, 4) == b"\x11\x22\x11\x22"
    guest.domain.send(1, 0xF000_0040, size=1, count=4, data=0x4000, flags=INDIRECT)
    assert guest.registers[2:] == [("write", 0x40 + at, 1, (0x11, 0x22)[at & 1]) for at in range(4)]


def test_an_access_to_the_domains_own_memory_reaches_it(guest: Guest) -> None:
    """Our own block behind it is never looked at: it would be allocated."""
    guest.domain.send(1, 0x5000, size=4, data=0x12345678)
    assert guest.domain.send(1, 0x5000, size=4, flags=READ) == 0x12345678
    assert guest.machine.hooks.memory_read(0x5000, 4) == b"\x78\x56\x34\x12"
    assert "buffer" not in vars(guest.machine.ram)


def test_configuration_accesses_where_nobody_is(guest: Guest) -> None:
    place = 3 << 3 << 32
    assert guest.domain.send(2, place | 4, size=4, flags=READ) & 0xFFFF_FFFF == 0xFFFF_FFFF
    guest.domain.send(2, 1 << 40 | place, size=4, data=0)


def test_buffered_requests_come_before_the_one_that_waits(guest: Guest) -> None:
    guest.domain.put_in_ring(0, 0x502, 0x33)
    guest.domain.put_in_ring(1, 0xF_0000, 0x44, 2)
    guest.domain.port_write(0x503, 0x55)
    assert guest.ports == [("out", 2, 1, 0x33), ("out", 3, 1, 0x55)]
    guest.domain.put_in_ring(0, 0x502, 0x66)
    guest.domain.events.queue.put(guest.domain.events.remote[BUFFERED])
    guest.domain.port_read(0x600)
    assert guest.ports[-1] == ("out", 2, 1, 0x66)


def test_a_flood_of_buffered_requests_holds_nobody_up(guest: Guest) -> None:
    for number in range(511):
        guest.domain.put_in_ring(0, 0x502, number & 0xFF)
    guest.domain.events.queue.put(guest.domain.events.remote[BUFFERED])
    guest.domain.port_read(0x504)
    assert guest.ports == [("out", 2, 1, number & 0xFF) for number in range(511)] + [("in", 4, 1, 0)]


def test_garbage_in_the_page_is_one_log_line_and_the_model_lives(guest: Guest) -> None:
    for port in (0x10000, 0x12345, 0xFFFFFFFF):
        assert guest.domain.send(0, port, flags=READ) == (1 << 64) - 1
    guest.domain.send(200, 0)
    assert len(guest.machine.guest_errors) == 2
    assert guest.accelerator.server.nonsense == 4
    assert guest.domain.port_read(0x504, 4) == 0x55667789


def test_each_cpu_is_served_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = Guest(monkeypatch, cpus=3).start()
    try:
        for cpu in (2, 0, 1):
            guest.domain.send(0, 0x500, flags=READ, cpu=cpu)
        assert guest.cpus_seen == [2, 0, 1]
    finally:
        guest.close()


def test_requests_wait_while_the_machine_is_paused(guest: Guest) -> None:
    guest.domain.port_read(0x600)
    guest.machine.pause()
    guest.domain.send(0, 0x501, data=1, wait=False)
    assert guest.ports == []
    guest.machine.resume()
    guest.domain.answer()
    assert guest.ports == [("out", 1, 1, 1)]


def test_a_time_offset_is_forwarded(guest: Guest) -> None:
    store = guest.domain.store
    assert store is not None
    guest.domain.port_read(0x600)
    store.nodes["/local/domain/5/vm"] = "/vm/u"
    guest.domain.send(7, 0, data=(1 << 64) - 3600)
    guest.machine.call(lambda: None)
    assert store.nodes["/vm/u/rtc/timeoffset"] == "-3600"


def test_invalidate_unmaps_everything(guest: Guest) -> None:
    guest.machine.hooks.memory_read(0, 1)
    assert guest.domain.memory.mapped
    guest.domain.send(8, 0)
    assert not guest.domain.memory.mapped


# --- memory ------------------------------------------------------------------------------------------------------


def test_ballooned_out_memory_under_a_mapping(guest: Guest) -> None:
    hooks, memory = guest.machine.hooks, guest.domain.memory
    mapping = hooks.memory_map(0x8000, 0x4000, True)
    memory.refused = {8, 9, 10, 11}
    guest.domain.send(8, 0)
    mapping.view[:4] = b"lost"
    hooks.memory_unmap(mapping, 4)
    with pytest.raises(GuestMemoryError):
        hooks.memory_read(0x8000, 4)
    memory.refused = set()
    assert hooks.memory_read(0x8000, 4) == b"lost"
    assert guest.domain.port_read(0x504, 4) == 0x55667789


def test_dma_to_a_register_is_refused(guest: Guest) -> None:
    hooks = guest.machine.hooks
    for access in (
        lambda: hooks.memory_read(0xF000_0000, 4),
        lambda: hooks.memory_write(0xF000_0000, b"x"),
        lambda: hooks.memory_map(0xF000_0000, 4, True),
    ):
        with pytest.raises(GuestMemoryError):
            access()
    assert guest.registers == []


def test_a_mapping_ends_at_its_bucket_and_is_no_use_afterwards(guest: Guest) -> None:
    hooks = guest.machine.hooks
    mapping = hooks.memory_map(0xFF00, 0x1000, False)
    assert len(mapping) == 0x100
    assert mapping.view.readonly
    hooks.memory_unmap(mapping, 0)
    with pytest.raises(ValueError, match="released"):
        mapping.view[0]
    assert guest.accelerator.cache.statistics.locked == 0


def test_log_dirty_reports_what_devices_write(guest: Guest) -> None:
    hooks = guest.machine.hooks
    hooks.memory_write(0x1000, b"x")
    guest.accelerator.dirty.report(True)
    hooks.memory_write(0x1FFF, b"xy")
    mapping = hooks.memory_map(0x5000, 0x2000, True)
    hooks.memory_unmap(mapping, 0x1001)
    guest.accelerator.dirty.report(False)
    hooks.memory_write(0x1000, b"x")
    assert guest.calls("modified") == [("modified", 1, 2), ("modified", 5, 2)]


# --- ranges ------------------------------------------------------------------------------------------------------


def test_ranges_follow_the_map(guest: Guest) -> None:
    ranges = guest.domain.device_model.ranges
    assert ranges == {(Space.PORTS, 0x500, 0x50F), (Space.MEMORY, 0xF000_0000, 0xF000_0FFF)}
    with guest.machine.lock:
        guest.machine.ports.root.move(guest.io, 0x700)
        guest.io.enabled = False
        assert ranges == {(Space.MEMORY, 0xF000_0000, 0xF000_0FFF)}
        guest.io.enabled = True
    assert (Space.PORTS, 0x700, 0x70F) in ranges


def test_a_range_that_is_refused_is_said_and_left_out(guest: Guest, caplog: pytest.LogCaptureFixture) -> None:
    guest.domain.device_model.refuses = {"map_io_range"}
    with guest.machine.lock:
        guest.machine.ports.root.move(guest.io, 0x700)
    assert "0x700, 0x70f" in caplog.text


# --- ROM and video memory ----------------------------------------------------------------------------------------


def test_rom_is_copied_over_ram_that_moves_aside(guest: Guest) -> None:
    hooks, places = guest.machine.hooks, guest.domain.memory.places
    hooks.memory_write(0x10000, b"ram")
    block = RamBlock("rom", 2 * PAGE_SIZE)
    block.view[:3] = b"rom"
    rom = Ram("rom", block, readonly=True)
    before = dict(places)
    with guest.machine.lock:
        guest.machine.memory.root.add(0x10000, rom, priority=1)
        assert ("type", MemoryType.ROM, 16, 2) in guest.calls("type")
        domain = guest.domain.memory
        assert domain.memory[places[16] * PAGE_SIZE :][:3] == b"rom"
        with pytest.raises(GuestMemoryError):
            hooks.memory_write(0x10000, b"x")
        guest.machine.memory.root.remove(rom)
    assert places == before
    assert hooks.memory_read(0x10000, 3) == b"ram"


def test_rom_that_the_domain_cant_have_leaves_everything_as_it_was(guest: Guest) -> None:
    """It is served access by access."""
    places, model = guest.domain.memory.places, guest.domain.device_model
    guest.machine.hooks.memory_write(0x10000, b"ram")
    before = dict(places)
    block = RamBlock("rom", PAGE_SIZE)
    block.view[:3] = b"rom"
    model.refuses = {"type"}
    with guest.machine.lock:
        guest.machine.memory.root.add(0x10000, Ram("rom", block, readonly=True), priority=1)
    assert places == before
    assert (Space.MEMORY, 0x10000, 0x10FFF) in model.ranges
    assert guest.domain.send(1, 0x10000, size=2, flags=READ) == int.from_bytes(b"ro", "little")
    assert guest.machine.hooks.memory_read(0x10000, 3) == b"rom"


def test_video_memory_moves_with_its_bar(guest: Guest) -> None:
    places, model = guest.domain.memory.places, guest.domain.device_model
    block = RamBlock("vram", 4 * PAGE_SIZE)
    block.view[:4] = b"vram"
    vram = Ram("vram", block)
    root = guest.machine.memory.root
    with guest.machine.lock:
        root.add(0xE000_0000, vram, priority=1)
        home = guest.domain.memory.over[0][0]
        assert guest.domain.memory.over == [(home, block.host_address)]
        assert all(0xE0000 + at in places for at in range(4))
        assert guest.domain.memory.memory[places[0xE0000] * PAGE_SIZE :][:4] == b"vram"
        root.move(vram, 0xE800_0000)
        assert 0xE8000 in places and 0xE0000 not in places
        vram.enabled = False
        assert home[0] in places and 0xE8000 not in places
        vram.enabled = True
        assert 0xE8000 in places
        assert guest.machine.hooks.call.dirty_log_start(region=vram)
        model.dirty = b"\x05"
        dirty = guest.machine.hooks.call.dirty_log_sync(region=vram)
        assert dirty is not None
        assert dirty.tolist() == [True, False, True, False]
        guest.machine.hooks.call.dirty_log_stop(region=vram)
    assert guest.calls("track") == [("track", 0xE8000, 4), ("track", 0, 0)]
    assert not [place for place in model.ranges if place[0] is Space.MEMORY and place[1] >= 0xE800_0000 > place[2]]


def test_without_more_memory_it_is_served_access_by_access(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = Guest(monkeypatch)
    guest.domain.control = None
    guest.start()
    try:
        block = RamBlock("vram", PAGE_SIZE)
        with guest.machine.lock:
            guest.machine.memory.root.add(0xE000_0000, Ram("vram", block), priority=1)
        guest.domain.send(1, 0xE000_0010, size=4, data=0x1234)
        assert bytes(block.view[0x10:0x12]) == b"\x34\x12"
        assert guest.machine.hooks.memory_read(0xE000_0010, 2) == b"\x34\x12"
    finally:
        guest.close()


# --- interrupts --------------------------------------------------------------------------------------------------


def test_interrupts_reach_the_hypervisor(guest: Guest) -> None:
    machine = guest.machine
    with machine.lock:
        pin = machine.isa.wires[5].pin()
        pin.set(True)
        pin.set(False)
        slot = guest.bus._slot_wire(4, 1).pin()
        slot.set(True)
        machine.pci_links = [10, 0, 11, 0]
        machine.hooks.call.pci_links_changed(links=machine.pci_links)
        machine.hooks.call.pci_links_changed(links=machine.pci_links)
        assert machine.hooks.msi_send(0xFEE0_1000, 0x4041)
        assert not machine.hooks.msi_send(0x1000, 0x4041)
    assert guest.calls("isa", "intx", "link", "msi") == [
        ("isa", 5, True),
        ("isa", 5, False),
        ("intx", 4, 1, True),
        ("link", 0, 10),
        ("link", 2, 11),
        ("msi", 0xFEE0_1000, 0x4041),
    ]
    assert not any(wire.level for wire in guest.bus.wires)


def test_an_interrupt_that_is_refused_harms_no_device(guest: Guest, caplog: pytest.LogCaptureFixture) -> None:
    guest.domain.device_model.refuses = {"isa"}
    with guest.machine.lock:
        pin = guest.machine.isa.wires[5].pin()
        pin.set(True)
        pin.set(False)
    assert caplog.text.count("an interrupt is lost") == 1


# --- the toolstack -----------------------------------------------------------------------------------------------

STATE = "/local/domain/0/device-model/5/state"


def test_the_toolstack_is_told_that_it_runs(guest: Guest) -> None:
    guest.domain.port_read(0x600)
    assert guest.domain.store is not None
    assert guest.domain.store.nodes[STATE] == "running"


def test_a_confined_one_tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = Guest(monkeypatch, restrict=True).start()
    try:
        guest.domain.port_read(0x600)
        assert guest.domain.restricted
        assert guest.domain.store is not None
        assert STATE not in guest.domain.store.nodes
    finally:
        guest.close()


def test_the_toolstacks_commands(guest: Guest) -> None:
    guest.domain.port_read(0x600)
    store, machine = guest.domain.store, guest.machine
    assert store is not None
    base = STATE.removesuffix("/state")
    paused, resumed = threading.Event(), threading.Event()

    class Watcher:
        @hookimpl
        def machine_paused(self) -> None:
            paused.set()

        @hookimpl
        def machine_resumed(self) -> None:
            resumed.set()

    machine.hooks.register(Watcher(), "watcher")
    store.write(f"{base}/command", "save")
    assert paused.wait(10)
    machine.call(lambda: None)
    assert store.nodes[STATE] == "paused"
    assert machine.state is RunState.PAUSED
    store.write(f"{base}/command", "continue")
    assert resumed.wait(10)
    store.write(f"{base}/logdirty/cmd", "enable")
    while store.nodes.get(f"{base}/logdirty/ret") != "enable":
        machine.call(lambda: None)
    machine.hooks.memory_write(0x3000, b"x")
    assert guest.calls("modified") == [("modified", 3, 1)]
    store.write(f"{base}/command", "pci-ins")
    while f"{base}/command" in store.nodes:
        machine.call(lambda: None)


def test_a_store_that_goes_away_is_a_clean_end(guest: Guest, caplog: pytest.LogCaptureFixture) -> None:
    guest.domain.port_read(0x600)
    assert guest.domain.store is not None
    guest.domain.store.vanish()
    assert guest.finish() == Outcome(ShutdownReason.HOST_ERROR)
    assert "xenstore went away" in caplog.text
    assert guest.domain.closed.is_set()


def test_a_domain_that_ends_ends_the_machine(guest: Guest) -> None:
    guest.domain.port_read(0x600)
    assert guest.domain.store is not None
    guest.domain.store.alive = False
    guest.domain.store.fire("@releaseDomain")
    assert guest.finish() == Outcome(ShutdownReason.HOST_QUIT)
    assert guest.calls("shutdown") == []


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda machine: machine.request_reset(ResetReason.GUEST), ShutdownCode.REBOOT),
        (lambda machine: machine.request_reset(ResetReason.HOST), ShutdownCode.REBOOT),
        (lambda machine: machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN), ShutdownCode.POWEROFF),
        (lambda machine: machine.request_shutdown(ShutdownReason.GUEST_PANIC), ShutdownCode.CRASH),
    ],
)
def test_the_end_is_told(guest: Guest, ask: Any, code: ShutdownCode) -> None:
    guest.domain.port_read(0x600)
    ask(guest.machine)
    guest.finish()
    assert guest.calls("shutdown") == [("shutdown", code)]
    assert guest.calls("destroy_ioreq_server")


def test_a_cpu_that_is_gone_while_it_is_answered(guest: Guest) -> None:
    notify, tried = guest.domain.events.notify, threading.Event()

    def refused(port: int) -> None:
        guest.domain.events.notify = notify  # type: ignore[method-assign]
        tried.set()
        raise OSError(107, "xenevtchn_notify: Transport endpoint is not connected")

    guest.domain.events.notify = refused  # type: ignore[method-assign]
    guest.domain.send(0, 0x501, data=1, wait=False)
    assert tried.wait(10)
    guest.domain.port_write(0x502, 2)
    assert guest.ports == [("out", 1, 1, 1), ("out", 2, 1, 2)]


def test_event_channels_that_break_end_the_machine(guest: Guest) -> None:
    guest.domain.port_read(0x600)

    def broken() -> None:
        raise OSError(9, "xenevtchn_pending: Bad file descriptor")

    guest.domain.events.wait = broken  # type: ignore[method-assign]
    guest.domain.events.wake()
    ended = guest.finish()
    assert isinstance(ended, SouthbridgeError)
    assert "xenevtchn_pending" in str(ended)


# --- what can't be served ----------------------------------------------------------------------------------------


def test_a_domain_that_cant_be_served(idle: Guest) -> None:
    idle.domain.device_model.refuses = {"create_ioreq_server"}
    with pytest.raises(SouthbridgeError, match="domain 5 can't be served: create_ioreq_server"):
        idle.machine.set_accelerator(idle.accelerator)
    assert idle.domain.closed.is_set()


def test_more_cpus_than_the_domain_has(idle: Guest) -> None:
    idle.machine.cpus.max = 2
    with pytest.raises(SouthbridgeError, match="the domain has 1 CPUs, not 2"):
        idle.machine.set_accelerator(idle.accelerator)


def test_no_domain_is_said(monkeypatch: pytest.MonkeyPatch, idle: Guest) -> None:
    monkeypatch.delenv("XEN_DOMAIN_ID", raising=False)
    with pytest.raises(SouthbridgeError, match="which domain"):
        idle.machine.set_accelerator(XenAccelerator())
    monkeypatch.setenv("XEN_DOMAIN_ID", "5")
    idle.machine.set_accelerator(XenAccelerator())


def test_where_there_is_no_xen() -> None:
    machine = Machine(memory=PAGE_SIZE)
    if not libraries.availability().usable:
        with pytest.raises(SouthbridgeError, match=r"install Debian's|there is no /dev/xen"):
            machine.set_accelerator(XenAccelerator(domain=1))


def test_sizes_are_checked() -> None:
    with pytest.raises(SouthbridgeError, match="power of two"):
        XenAccelerator(bucket=0x3000)


# --- monitors ----------------------------------------------------------------------------------------------------


def test_what_monitors_are_told_of_the_mapcache(guest: Guest) -> None:
    commands = guest.accelerator.register_monitor_commands(guest.machine)
    for _ in range(99):
        guest.machine.hooks.memory_read(0x1000, 16)
    guest.machine.hooks.memory_read(0x10000, 16)
    found = commands["query-mapcache"]()
    assert (found["hits"], found["misses"], found["mapped"], found["hit-rate"]) == (98, 2, 0x20000, 0.98)
    assert "hits 98, misses 2" in str(guest.accelerator.monitor_info("accelerator"))
    assert guest.accelerator.monitor_info("pic") is None
