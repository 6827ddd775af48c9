"""Schedules in memory: what becomes of descriptors and queues, and of what makes no sense."""

from __future__ import annotations

import pytest
from southbridge.testing import Bench
from southbridge.usb import Handshake, Pid

from tests.core.usb.toy import Toy, setup_packet
from tests.plugins.uhci.driver import (
    ACTIVE,
    BABBLE,
    DEPTH,
    END,
    ERROR,
    ERRORS_3,
    FRNUM,
    HALTED,
    HCPE,
    HSE,
    IOC,
    ISO,
    LS,
    NAK,
    QUEUES,
    SPD,
    STALLED,
    TIMEOUT,
    TRANSFERS,
    USBINT,
    USBINTR,
    USBSTS,
    Driver,
)

NOWHERE = 0xF000_0000


def out(driver: Driver, number: int, data: bytes, *, toggle: int = 0, link: int = END, control: int = 0) -> int:
    """A descriptor for the toy's bulk endpoint."""
    return driver.td(number, Pid.OUT, data, endpoint=1, toggle=toggle, link=link, control=ACTIVE | ERRORS_3 | control)


# --- transactions ------------------------------------------------------------------------------------------------


def test_a_control_transfer(driver: Driver) -> None:
    driver.plug()
    status = driver.td(4, Pid.OUT, 0, toggle=1, control=ACTIVE | IOC)
    rest = driver.td(3, Pid.IN, 8, toggle=0, link=status | DEPTH)
    data = driver.td(2, Pid.IN, 8, toggle=1, link=rest | DEPTH)
    first = driver.td(1, Pid.SETUP, setup_packet(0x80, 6, 0x100, length=16), link=data | DEPTH)
    driver.frame_list([driver.queue(1, END, first)])
    driver.write(USBINTR, 4)
    driver.run()
    assert [driver.result(number).status for number in range(1, 5)] == [0] * 4
    assert driver.data(2) + driver.data(3) == bytes.fromhex("1201100100000008 3412785600010102")
    assert driver.element(1) == END
    assert driver.interrupt
    assert driver.result(4).length == 0


def test_breadth_first_takes_one_from_each_queue(driver: Driver) -> None:
    toy = driver.configure()
    one = out(driver, 1, b"1", link=out(driver, 2, b"3", toggle=0))
    other = out(driver, 3, b"2", toggle=1, link=out(driver, 4, b"4", toggle=1))
    second = driver.queue(2, END, other)
    driver.frame_list([driver.queue(1, second, one)])
    driver.run()
    assert toy.echo == [b"1", b"2"]
    driver.run()
    assert toy.echo == [b"1", b"2", b"3", b"4"]


def test_depth_first_goes_on_in_the_queue(driver: Driver) -> None:
    toy = driver.configure()
    one = out(driver, 1, b"1", link=out(driver, 2, b"2", toggle=1) | DEPTH)
    driver.frame_list([driver.queue(1, driver.queue(2, END, out(driver, 3, b"3")), one)])
    driver.run()
    assert toy.echo == [b"1", b"2", b"3"]


def test_depth_first_at_a_queues_end_goes_on_with_the_next(driver: Driver) -> None:
    toy = driver.configure()
    next_queue = driver.queue(2, END, out(driver, 2, b"2", toggle=1))
    driver.frame_list([driver.queue(1, next_queue, out(driver, 1, b"1", link=DEPTH | END))])
    driver.run()
    assert toy.echo == [b"1", b"2"]


def test_a_queue_within_a_queue(driver: Driver) -> None:
    toy = driver.configure()
    inner = driver.queue(2, END, out(driver, 1, b"1"))
    driver.frame_list([driver.queue(1, END, inner)])
    driver.run()
    assert (toy.echo, driver.element(2), driver.element(1)) == ([b"1"], END, inner)


def test_an_inactive_descriptor_is_passed_over_but_may_interrupt(driver: Driver) -> None:
    toy = driver.configure()
    idle = driver.td(1, Pid.OUT, b"0", endpoint=1, control=IOC)
    driver.frame_list([driver.queue(1, driver.queue(2, END, out(driver, 2, b"1")), idle)])
    driver.run()
    assert (toy.echo, driver.element(1), driver.read(USBSTS)) == ([b"1"], idle, USBINT | HALTED)


def test_nak_is_tried_again(driver: Driver) -> None:
    toy = driver.configure()
    asking = driver.td(1, Pid.IN, 64, endpoint=1)
    driver.frame_list([driver.queue(1, END, asking)])
    driver.run(3)
    assert (driver.result(1).status, driver.element(1), driver.read(USBSTS)) == (ACTIVE | NAK, asking, HALTED)
    toy.echo = [b"here"]
    driver.run()
    assert (driver.result(1).status, driver.data(1)) == (0, b"here")


@pytest.mark.parametrize("detect", [False, True])
def test_a_short_packet(driver: Driver, detect: bool) -> None:
    """With SPD the queue stays where it is, and there is an interrupt; otherwise it goes on."""
    toy = driver.configure()
    toy.echo = [b"short"]
    second = driver.td(2, Pid.IN, 64, endpoint=1, toggle=1)
    first = driver.td(1, Pid.IN, 64, endpoint=1, control=ACTIVE | SPD * detect, link=second | DEPTH)
    driver.frame_list([driver.queue(1, END, first)])
    driver.write(USBINTR, 8)
    driver.run()
    assert driver.result(1).status == 0
    assert driver.data(1) == b"short"
    assert driver.element(1) == (first if detect else second | DEPTH)
    assert driver.interrupt is detect
    assert driver.read(USBSTS) == HALTED | USBINT * detect


def test_stall(driver: Driver) -> None:
    toy = driver.configure()
    toy.stalls = True
    first = out(driver, 1, b"1", control=IOC)
    driver.frame_list([driver.queue(1, END, first)])
    driver.write(USBINTR, 1)
    driver.run()
    assert driver.result(1).status == STALLED
    assert (driver.element(1), driver.read(USBSTS)) == (first, HALTED | ERROR | USBINT)
    assert driver.interrupt


def test_nobody_answers(driver: Driver, bench: Bench) -> None:
    """Each failure counts down; at the last the descriptor is done with, and that is one guest error."""
    driver.frame_list([driver.queue(1, END, driver.td(1, Pid.IN, 8, address=5))])
    driver.run()
    assert driver.result(1).control & 0x18FF_0000 == 2 << 27 | ACTIVE | TIMEOUT
    driver.run(5)
    assert driver.result(1).control & 0x18FF_0000 == STALLED | TIMEOUT
    assert driver.read(USBSTS) == HALTED | ERROR
    assert bench.guest_errors == ["usb: nobody answers as device 5 endpoint 0"]


def test_an_error_count_of_zero_is_no_limit(driver: Driver) -> None:
    driver.frame_list([driver.queue(1, END, driver.td(1, Pid.IN, 8, address=5, control=ACTIVE))])
    driver.run(9)
    assert driver.result(1).status == ACTIVE | TIMEOUT


def test_the_wrong_speed_isnt_heard(driver: Driver) -> None:
    driver.configure()
    driver.frame_list([driver.queue(1, END, out(driver, 1, b"1", control=LS))])
    driver.run(9)
    assert driver.result(1).status == STALLED | TIMEOUT


def test_babble(driver: Driver, bench: Bench) -> None:
    toy = driver.configure()
    toy.echo = [bytes(64)]
    driver.frame_list([driver.queue(1, END, driver.td(1, Pid.IN, 8, endpoint=1))])
    driver.run()
    assert driver.result(1).status == BABBLE | STALLED
    assert len(bench.guest_errors) == 1


def test_a_packet_with_the_wrong_toggle_is_taken_for_an_old_one(driver: Driver) -> None:
    toy = driver.configure()
    toy.echo = [b"old", b"new"]
    driver.frame_list([driver.queue(1, END, driver.td(1, Pid.IN, 64, endpoint=1, toggle=1))])
    driver.run(2)
    assert (driver.result(1).status, driver.data(1)) == (0, b"new")


def test_isochronous_descriptors_are_tried_once(driver: Driver) -> None:
    toy = driver.configure()
    control = ACTIVE | ISO
    links = [
        driver.td(1, Pid.IN, 256, endpoint=2, control=control),
        driver.td(2, Pid.OUT, bytes(100), endpoint=2, control=control | IOC),
        driver.td(3, Pid.IN, 8, address=9, control=control),
    ]
    for number in (1, 2):
        driver.td(
            number,
            *((Pid.IN, 256) if number == 1 else (Pid.OUT, bytes(100))),
            endpoint=2,
            control=control | IOC * (number == 2),
            link=links[number],
        )
    driver.frame_list([links[0], *[END] * 1023])
    driver.write(FRNUM, 0)
    driver.run(3)
    assert [driver.result(number).status for number in (1, 2, 3)] == [0, 0, TIMEOUT]
    assert (driver.data(1), toy.stream) == (bytes([1]) * 5, 101)
    assert driver.read(USBSTS) == HALTED | USBINT


def test_a_frame_has_room_for_nineteen_packets_of_64_bytes(driver: Driver) -> None:
    toy = driver.configure()
    for number in range(40):
        out(driver, number, bytes([number]) * 64, toggle=number & 1, link=TRANSFERS + 16 * (number + 1))
    driver.td(40, Pid.IN, 0, control=0)
    loop = QUEUES + 16 | 2
    driver.frame_list([driver.queue(1, loop, TRANSFERS)])
    driver.run()
    assert len(toy.echo) == 19
    driver.run(2)
    assert [data[0] for data in toy.echo] == list(range(40))


def test_a_device_that_is_pulled_out_no_longer_answers(driver: Driver, bench: Bench) -> None:
    toy = driver.configure()
    driver.frame_list([driver.queue(1, END, driver.td(1, Pid.IN, 64, endpoint=1))])
    driver.run(2)
    bench.machine.unplug(toy)
    driver.run(5)
    assert driver.result(1).status & (STALLED | TIMEOUT) == STALLED | TIMEOUT


def test_a_device_whose_code_raises_is_as_if_pulled_out(driver: Driver, bench: Bench) -> None:
    class Faulty(Toy):
        def data_in(self, endpoint: object) -> bytes | Handshake:
            raise ZeroDivisionError

    bench.machine.strict = False
    toy = bench.plug(Faulty, "faulty", port=1)
    driver.enable()
    driver.setup_only(setup_packet(0, 9, 1))
    driver.frame_list([driver.queue(1, END, driver.td(1, Pid.IN, 64, endpoint=1))])
    driver.run(5)
    assert (toy.broken, driver.device.broken) == (True, False)
    assert driver.result(1).status & (STALLED | TIMEOUT) == STALLED | TIMEOUT


# --- what makes no sense -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["queue", "descriptor", "element", "buffer", "room"])
def test_a_pointer_outside_of_memory_is_a_system_error(driver: Driver, bench: Bench, where: str) -> None:
    toy = driver.configure()
    toy.echo = [b"data"]
    links = {
        "queue": NOWHERE | 2,
        "descriptor": NOWHERE,
        "element": driver.queue(1, END, NOWHERE),
        "buffer": driver.td(1, Pid.OUT, 8, endpoint=1, buffer=NOWHERE),
        "room": driver.td(2, Pid.IN, 8, endpoint=1, buffer=NOWHERE),
    }
    driver.frame_list([links[where]])
    driver.run(5)
    assert driver.read(USBSTS) == HALTED | HSE
    assert len(bench.guest_errors) == 1
    assert driver.interrupt


@pytest.mark.parametrize("pid", [Pid.OUT, Pid.IN])
def test_dma_to_registers_is_refused(driver: Driver, bench: Bench, pid: Pid) -> None:
    """As in CVE-2021-3611 and its like: a buffer that is another device's registers. They aren't touched."""
    card = bench.plug("edu", "card")
    registers = bench.place(card, "bar0", 0x8000_0000)
    toy = driver.configure()
    toy.echo = [b"\xff" * 4]
    before = card.save()
    driver.frame_list([driver.td(1, pid, 4, endpoint=1, buffer=registers + 8)])
    driver.run(3)
    assert driver.read(USBSTS) == HALTED | HSE
    assert card.save() == before


@pytest.mark.parametrize(("pid", "length"), [(0, 8), (0xC3, 8), (Pid.OUT ^ 0xF0, 8), (Pid.IN, 0x501), (Pid.IN, 0x7FF)])
def test_a_descriptor_that_makes_no_sense_is_a_process_error(
    driver: Driver, bench: Bench, pid: int, length: int
) -> None:
    driver.configure()
    driver.frame_list([driver.queue(1, END, driver.td(1, pid, length))])
    driver.run(5)
    assert driver.read(USBSTS) == HALTED | HCPE
    assert len(bench.guest_errors) == 1
    assert driver.interrupt


def test_a_queue_that_leads_to_itself_ends_with_the_frame(driver: Driver) -> None:
    """So Linux's schedule ends. Nothing moves in a second round: the frame is over."""
    driver.configure()
    driver.queue(1, QUEUES + 16 | 2, END)
    driver.frame_list([QUEUES + 16 | 2])
    driver.run(3)
    assert driver.read(USBSTS) == HALTED


def test_a_queue_that_is_its_own_element_ends_with_the_frame(driver: Driver) -> None:
    driver.queue(1, END, QUEUES + 16 | 2)
    driver.frame_list([QUEUES + 16 | 2])
    driver.run(3)
    assert driver.read(USBSTS) == HALTED


def test_a_descriptor_that_leads_to_itself_ends_with_the_frame(driver: Driver) -> None:
    driver.td(1, Pid.IN, 8, link=TRANSFERS + 16, control=0)
    driver.frame_list([TRANSFERS + 16])
    driver.run(3)
    assert driver.read(USBSTS) == HALTED


def test_a_chain_without_end_of_queues_ends_with_the_frame(driver: Driver) -> None:
    """Queue heads all through memory, each leading to the next."""
    for number in range(20_000):
        driver.queue(number, QUEUES + 16 * (number + 1) | 2, END)
    driver.frame_list([QUEUES | 2])
    driver.run(3)
    assert driver.read(USBSTS) == HALTED


def test_a_schedule_that_is_written_over_by_what_it_receives(driver: Driver) -> None:
    """A buffer in the descriptors themselves: each is read once, and what came in is obeyed when its turn comes."""
    toy = driver.configure()
    toy.echo = [bytes([0xFF]) * 64] * 9
    driver.td(1, Pid.IN, 64, endpoint=1, link=TRANSFERS + 16, buffer=TRANSFERS + 16)
    driver.frame_list([TRANSFERS + 16])
    driver.run(5)
    assert driver.read(USBSTS) & HALTED


@pytest.mark.parametrize("pid", [Pid.OUT, Pid.IN])
def test_a_setup_or_data_for_an_endpoint_that_isnt_there(driver: Driver, pid: Pid) -> None:
    driver.configure()
    driver.frame_list([driver.queue(1, END, driver.td(1, pid, 8, endpoint=9))])
    driver.run(5)
    assert driver.result(1).status == STALLED | TIMEOUT


@pytest.mark.parametrize("length", [0, 7, 9, 64])
def test_a_setup_packet_of_another_length(driver: Driver, bench: Bench, length: int) -> None:
    driver.configure()
    driver.frame_list([driver.queue(1, END, driver.td(1, Pid.SETUP, bytes(length), control=ACTIVE | 1 << 27))])
    driver.run(2)
    assert driver.result(1).status == STALLED | TIMEOUT
    assert f"toy1: pipe: SETUP of {length} bytes" in bench.guest_errors
