"""Registers, ports, frames' number, suspend and resume, and what an idle controller does."""

from __future__ import annotations

import pytest
from southbridge.testing import Bench
from southbridge.usb import Pid

from tests.core.usb.toy import Toy, setup_packet
from tests.plugins.uhci.driver import (
    ACTIVE,
    CCS,
    CSC,
    DEPTH,
    EGSM,
    END,
    FGR,
    FRAME_LIST,
    FRBASEADD,
    FRNUM,
    GRESET,
    HALTED,
    HCRESET,
    HSE,
    IOC,
    LSDA,
    NAK,
    PE,
    PEDC,
    PORT_RD,
    PORTSC1,
    PORTSC2,
    PR,
    RD,
    RS,
    SOFMOD,
    SUSP,
    SWDBG,
    USBCMD,
    USBINT,
    USBINTR,
    USBSTS,
    Driver,
)


def test_what_configuration_space_says(driver: Driver, bench: Bench) -> None:
    config = [bench.config_read(driver.device, offset, size) for offset, size in ((0, 4), (8, 4), (0x3D, 1), (0x60, 1))]
    assert config == [0x7020_8086, 0x0C03_0001, 4, 0x10]
    assert bench.config_read(driver.device, 0xC0, 2) == 0x2000


def test_registers_after_a_reset(driver: Driver) -> None:
    driver.device.reset()
    driver.bench.place(driver.device, "bar4", 0x1000)
    values = [driver.read(register) for register in (USBCMD, USBSTS, USBINTR, FRNUM, FRBASEADD, SOFMOD, PORTSC1)]
    assert values == [0, HALTED, 0, 0, 0, 0x40, 0x80]
    assert driver.bench.read_port(0x1014, 2) == 0xFFFF


def test_host_controller_reset_ends_by_itself(driver: Driver) -> None:
    toy = driver.plug()
    driver.setup_only(setup_packet(0, 5, 9))
    driver.write(USBINTR, 0xF)
    driver.write(USBCMD, HCRESET)
    assert [driver.read(register) for register in (USBCMD, USBINTR, FRBASEADD)] == [0, 0, 0]
    assert driver.read(PORTSC1) == 0x80 | CCS | CSC | 1 << 4
    assert toy.address == 9


def test_global_reset_resets_the_devices_too(driver: Driver) -> None:
    toy = driver.plug()
    driver.setup_only(setup_packet(0, 5, 9))
    driver.write(USBCMD, GRESET)
    assert (driver.read(USBCMD), toy.address) == (GRESET, 0)
    driver.write(USBCMD, 0)
    assert driver.read(PORTSC1) & (CCS | PE) == CCS


# --- ports ---------------------------------------------------------------------------------------------------


def test_a_device_comes_and_goes(driver: Driver, bench: Bench) -> None:
    toy = bench.plug(Toy, "toy", port=2)
    assert driver.read(PORTSC2) == 0x80 | CCS | CSC | 1 << 4
    driver.write(PORTSC2, CSC)
    assert driver.read(PORTSC2) & CSC == 0
    driver.enable(2)
    assert driver.read(PORTSC2) & (CCS | PE) == CCS | PE
    bench.machine.unplug(toy)
    assert driver.read(PORTSC2) == 0x80 | CSC | PEDC
    assert driver.read(PORTSC1) == 0x80


def test_a_low_speed_device(driver: Driver, bench: Bench) -> None:
    bench.plug("usb-kbd", "kbd")
    assert driver.read(PORTSC1) == 0x80 | CCS | CSC | LSDA | 2 << 4


def test_an_empty_port_cant_be_enabled_nor_one_in_reset(driver: Driver) -> None:
    driver.write(PORTSC1, PE)
    assert driver.read(PORTSC1) & PE == 0
    driver.plug()
    driver.write(PORTSC1, PE | PR)
    assert driver.read(PORTSC1) & (PE | PR) == PR


def test_a_port_reset_is_the_devices(driver: Driver) -> None:
    toy = driver.configure()
    driver.write(PORTSC1, PR)
    assert not toy.configured


# --- frames --------------------------------------------------------------------------------------------------


def test_frames_are_counted_while_it_runs(driver: Driver, bench: Bench) -> None:
    driver.write(FRNUM, 0x7FE)
    driver.write(USBCMD, RS)
    assert driver.read(USBSTS) & HALTED == 0
    bench.clock.advance(ms=3.5)
    assert driver.read(FRNUM) == 1
    driver.write(FRNUM, 77)
    assert bench.guest_errors == ["usb: FRNUM written while the controller runs"]
    driver.write(USBCMD, 0)
    bench.clock.advance(ms=9)
    assert (driver.read(FRNUM), driver.read(USBSTS) & HALTED) == (1, HALTED)


def test_other_bits_of_the_command_dont_disturb_the_count(driver: Driver, bench: Bench) -> None:
    driver.write(USBCMD, RS)
    for _ in range(8):
        bench.clock.advance(us=500)
        driver.write(USBCMD, RS | 1 << 6)
    assert driver.read(FRNUM) == 4


def test_a_halted_or_suspended_controller_sets_no_timer(driver: Driver, bench: Bench) -> None:
    driver.plug()
    assert bench.clock.deadline() is None
    driver.write(USBCMD, RS)
    assert bench.clock.deadline() is not None
    driver.write(USBCMD, RS | EGSM)
    assert bench.clock.deadline() is None


def visits(driver: Driver, frames: int) -> int:
    """How often the frame list is looked at."""
    count = 0
    dma = driver.device.dma
    read = dma.read

    class Counting:
        enabled = True

        def read(self, address: int, length: int) -> bytes:
            nonlocal count
            count += FRAME_LIST <= address < FRAME_LIST + 4096
            return read(address, length)

        def write(self, address: int, data: bytes) -> None:
            dma.write(address, data)

    driver.device.dma = Counting()  # type: ignore[assignment]
    driver.pass_frames(frames)
    driver.device.dma = dma
    return count


def test_a_quiet_schedule_is_looked_at_less_often(driver: Driver) -> None:
    driver.configure()
    waiting = driver.td(1, Pid.IN, 64, endpoint=1)
    driver.frame_list([driver.queue(1, END, waiting)])
    driver.write(USBCMD, RS)
    assert visits(driver, 100) == 100
    driver.pass_frames(100)
    assert visits(driver, 700) == 100
    driver.read(PORTSC1)
    driver.write(PORTSC1, PE)
    assert visits(driver, 20) == 20


def test_what_a_device_has_to_say_ends_the_quiet(driver: Driver, bench: Bench) -> None:
    toy = driver.configure()
    driver.frame_list([driver.queue(1, END, driver.td(1, Pid.IN, 64, endpoint=1))])
    driver.write(USBCMD, RS)
    driver.pass_frames(300)
    assert driver.result(1).status == ACTIVE | NAK
    toy.echo = [b"now"]
    toy.became_active()
    driver.pass_frames(1)
    assert driver.data(1) == b"now"
    assert driver.result(1).status == 0


def test_what_the_guest_adds_to_a_quiet_schedule_is_found(driver: Driver) -> None:
    driver.configure()
    driver.write(USBCMD, RS)
    driver.pass_frames(300)
    driver.frame_list([driver.queue(1, END, driver.td(1, Pid.OUT, b"x", endpoint=1))])
    driver.pass_frames(7)
    assert driver.result(1).status == 0


def test_every_entry_of_the_list_has_its_turn_even_when_quiet(driver: Driver) -> None:
    driver.configure()
    driver.write(USBCMD, RS)
    driver.pass_frames(300)
    entries = [END] * 1024
    entries[513] = driver.queue(1, END, driver.td(1, Pid.OUT, b"x", endpoint=1))
    driver.frame_list(entries)
    driver.pass_frames(7 * 1024)
    assert driver.result(1).status == 0


def test_no_frames_without_bus_mastering(driver: Driver, bench: Bench) -> None:
    driver.plug()
    bench.config_write(driver.device, 4, 2, 1)
    driver.write(USBCMD, RS)
    driver.pass_frames(5)
    assert (driver.read(USBSTS), driver.read(FRNUM), bench.guest_errors) == (0, 5, [])


def test_software_debug_stops_after_a_transaction(driver: Driver) -> None:
    toy = driver.configure()
    second = driver.td(2, Pid.OUT, b"b", endpoint=1, toggle=1)
    driver.frame_list([driver.queue(1, END, driver.td(1, Pid.OUT, b"a", endpoint=1, link=second | DEPTH))])
    driver.write(USBCMD, RS | SWDBG)
    driver.pass_frames(3)
    assert (toy.echo, driver.read(USBCMD), driver.read(USBSTS)) == ([b"a"], SWDBG, HALTED)
    driver.write(USBCMD, RS | SWDBG)
    driver.pass_frames(3)
    assert toy.echo == [b"a", b"b"]


# --- interrupts ----------------------------------------------------------------------------------------------


def test_the_interrupts_gate_for_legacy_support(driver: Driver, bench: Bench) -> None:
    driver.frame_list([driver.td(1, Pid.IN, 0, control=IOC)])
    driver.write(USBINTR, 4)
    driver.run()
    assert driver.interrupt
    assert bench.pci.wires[bench.pci.pirq(1, 3)].level
    assert bench.config_read(driver.device, 0xC0, 2) == 0x3000
    bench.config_write(driver.device, 0xC0, 2, 0)
    assert not driver.interrupt
    bench.config_write(driver.device, 0xC0, 2, 0x2000)
    driver.write(USBSTS, USBINT)
    assert not driver.interrupt


def test_a_cause_that_isnt_enabled_doesnt_interrupt(driver: Driver) -> None:
    driver.frame_list([driver.td(1, Pid.IN, 0, control=IOC)])
    driver.write(USBINTR, 0xB)
    driver.run()
    assert (driver.read(USBSTS), driver.interrupt) == (USBINT | HALTED, False)
    driver.write(USBINTR, 4)
    assert driver.interrupt


# --- suspend and resume --------------------------------------------------------------------------------------


def test_a_device_that_is_plugged_in_ends_global_suspend(driver: Driver, bench: Bench) -> None:
    driver.write(USBINTR, 2)
    driver.write(USBCMD, EGSM)
    bench.plug(Toy, "toy")
    assert driver.read(USBCMD) == EGSM | FGR
    assert driver.read(USBSTS) == HALTED | RD
    assert driver.interrupt
    driver.write(USBSTS, RD)
    assert not driver.interrupt


@pytest.mark.parametrize("allowed", [False, True])
def test_a_suspended_device_wakes_the_bus_if_it_may(driver: Driver, allowed: bool) -> None:
    toy = driver.configure()
    if allowed:
        driver.setup_only(setup_packet(0, 3, 1))
    driver.write(USBSTS, USBINT)
    driver.write(PORTSC1, PE | SUSP)
    driver.write(USBCMD, EGSM)
    toy.became_active()
    assert bool(driver.read(PORTSC1) & PORT_RD) is allowed
    assert bool(driver.read(USBSTS) & RD) is allowed


def test_a_suspended_port_is_deaf(driver: Driver) -> None:
    driver.configure()
    driver.write(PORTSC1, PE | SUSP)
    driver.frame_list([driver.queue(1, END, driver.td(1, Pid.OUT, b"x", endpoint=1, control=ACTIVE))])
    driver.run(3)
    assert driver.result(1).status & ACTIVE
    driver.write(PORTSC1, PE)
    driver.run()
    assert driver.result(1).status & ACTIVE == 0


# --- state ---------------------------------------------------------------------------------------------------


def test_a_restored_controller_goes_on(driver: Driver, bench: Bench) -> None:
    toy = driver.configure()
    driver.frame_list([driver.queue(1, END, driver.td(1, Pid.OUT, b"x", endpoint=1))])
    driver.write(USBCMD, RS)
    saved = [device.save() for device in (driver.device, toy)]
    driver.device.reset()
    toy.reset()
    for device, state in zip((driver.device, toy), saved, strict=True):
        device.load(state)
    driver.pass_frames(2)
    assert toy.echo == [b"x"]
    assert driver.read(FRNUM) == 3


def test_a_frame_list_outside_of_memory_halts_it(driver: Driver, bench: Bench) -> None:
    driver.write(FRBASEADD, 0xFFFF_F000)
    driver.run(3)
    assert driver.read(USBSTS) == HSE | HALTED
    assert driver.interrupt
    assert len(bench.guest_errors) == 1
    assert driver.device.PCI_STATUS.RECEIVED_MASTER_ABORT
