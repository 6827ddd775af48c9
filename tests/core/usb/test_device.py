"""The device framework: chapter 9's requests, stages of control transfers, halts and data toggles."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.errors import RealizeError
from southbridge.testing import Bench
from southbridge.usb import Handshake, Pid, Reply

from tests.core.usb.toy import Cable, Toy, configure, control_in, control_out, setup_packet

ACK, NAK, STALL, NONE = (Reply(handshake) for handshake in Handshake)


def plugged(bench: Bench) -> Toy:
    if "usb.0" not in bench.machine.buses:
        bench.machine.add_bus("usb.0", Cable().bus)
    toy: Toy = bench.plug(Toy, "toy")
    return toy


@pytest.fixture
def toy(bench: Bench) -> Toy:
    return plugged(bench)


@pytest.fixture
def ready(toy: Toy) -> Toy:
    configure(toy)
    return toy


def test_the_device_descriptor(toy: Toy) -> None:
    assert control_in(toy, 0x80, 6, 0x0100, length=18) == bytes.fromhex(
        "12 01 10 01 00 00 00 08 34 12 78 56 00 01 01 02 00 01"
    )


def test_a_descriptor_is_cut_where_the_host_wants(toy: Toy) -> None:
    assert control_in(toy, 0x80, 6, 0x0100, length=8) == bytes.fromhex("12 01 10 01 00 00 00 08")


def test_an_answer_of_whole_packets_that_is_shorter_than_asked_for_ends_with_an_empty_one(toy: Toy) -> None:
    toy.note = bytes(16)
    toy.transaction(Pid.SETUP, 0, setup_packet(0xC0, 1, length=17))
    assert [len(toy.transaction(Pid.IN, 0).data) for _ in range(3)] == [8, 8, 0]
    assert toy.transaction(Pid.IN, 0) == STALL
    toy.transaction(Pid.SETUP, 0, setup_packet(0xC0, 1, length=16))
    assert [len(toy.transaction(Pid.IN, 0).data) for _ in range(2)] == [8, 8]
    assert toy.transaction(Pid.IN, 0) == STALL


def test_the_configuration_has_everything_that_belongs_to_it(toy: Toy) -> None:
    found = control_in(toy, 0x80, 6, 0x0200)
    assert found is not None
    assert struct.unpack_from("<BBHBBBBB", found) == (9, 2, len(found), 1, 1, 0, 0xA0, 50)
    assert found[9:18] == bytes([9, 4, 0, 0, 4, 0xFF, 0, 0, 0])
    assert found[18:25] == bytes([7, 5, 0x81, 2, 64, 0, 0])


def test_strings(toy: Toy) -> None:
    assert control_in(toy, 0x80, 6, 0x0300) == bytes([4, 3, 9, 4])
    assert control_in(toy, 0x80, 6, 0x0302, 0x0409) == bytes([8, 3]) + "Toy".encode("utf-16-le")
    assert control_in(toy, 0x80, 6, 0x0303, 0x0409) is None


def test_an_address_holds_once_the_status_stage_is_over(toy: Toy) -> None:
    toy.transaction(Pid.SETUP, 0, setup_packet(0, 5, 77))
    assert toy.address == 0
    assert toy.transaction(Pid.IN, 0) == Reply(Handshake.ACK, b"", 1)
    assert toy.address == 77


def test_configuring(toy: Toy) -> None:
    assert control_in(toy, 0x80, 8, length=1) == b"\0"
    assert toy.transaction(Pid.IN, 1) == NONE
    assert not control_out(toy, 0, 9, 2)
    configure(toy)
    assert control_in(toy, 0x80, 8, length=1) == b"\1"
    assert toy.transaction(Pid.IN, 1) == NAK
    assert control_out(toy, 0, 9, 0)
    assert toy.transaction(Pid.IN, 1) == NONE


def test_interfaces(ready: Toy) -> None:
    assert control_in(ready, 0x81, 10, 0, 0, 1) == b"\0"
    assert control_in(ready, 0x81, 10, 0, 1, 1) is None
    assert control_out(ready, 0x01, 11, 0, 0)
    assert not control_out(ready, 0x01, 11, 1, 0)


def test_status_and_features(ready: Toy) -> None:
    assert control_in(ready, 0x80, 0, length=2) == b"\0\0"
    assert control_out(ready, 0x00, 3, 1)
    assert control_in(ready, 0x80, 0, length=2) == b"\2\0"
    assert control_out(ready, 0x00, 1, 1)
    assert not control_out(ready, 0x00, 3, 2)
    assert control_out(ready, 0x02, 3, 0, 0x81)
    assert control_in(ready, 0x82, 0, 0, 0x81, 2) == b"\1\0"
    assert control_in(ready, 0x82, 0, 0, 0x8F, 2) is None
    assert control_in(ready, 0x82, 0, 0, 0, 2) == b"\0\0"
    assert ready.transaction(Pid.IN, 1) == STALL
    assert control_out(ready, 0x02, 1, 0, 0x81)
    assert ready.transaction(Pid.IN, 1) == NAK


def test_a_halt_lasts_until_it_is_cleared_and_toggles_begin_anew(ready: Toy) -> None:
    assert ready.transaction(Pid.OUT, 1, b"a", 0) == ACK
    ready.stalls = True
    assert ready.transaction(Pid.OUT, 1, b"b", 1) == STALL
    ready.stalls = False
    assert ready.transaction(Pid.OUT, 1, b"b", 1) == STALL
    assert control_out(ready, 0x02, 1, 0, 0x01)
    assert ready.transaction(Pid.OUT, 1, b"c", 0) == ACK
    assert ready.echo == [b"a", b"c"]


def test_a_packet_that_comes_again_is_acknowledged_and_dropped(ready: Toy) -> None:
    for data, toggle in ((b"a", 0), (b"a", 0), (b"b", 1)):
        assert ready.transaction(Pid.OUT, 1, data, toggle) == ACK
    assert ready.echo == [b"a", b"b"]
    assert [ready.transaction(Pid.IN, 1) for _ in range(3)] == [
        Reply(Handshake.ACK, b"a", 0),
        Reply(Handshake.ACK, b"b", 1),
        NAK,
    ]


def test_isochronous_endpoints_have_no_handshakes_or_toggles(ready: Toy) -> None:
    assert [ready.transaction(Pid.IN, 2) for _ in range(2)] == [
        Reply(Handshake.ACK, bytes([count]) * 5) for count in (1, 2)
    ]
    ready.transaction(Pid.OUT, 2, bytes(7), 1)
    assert ready.stream == 9


def test_data_for_a_request_come_in_packets(toy: Toy) -> None:
    assert control_out(toy, 0x40, 2, data=bytes(range(20)))
    assert toy.note == bytes(range(20))
    assert control_in(toy, 0xC0, 1, length=20) == bytes(range(20))


def test_a_request_that_isnt_one_is_stalled_until_the_next(toy: Toy, bench: Bench) -> None:
    assert control_in(toy, 0xC0, 9) is None
    assert toy.transaction(Pid.IN, 0) == STALL
    assert len(bench.guest_errors) == 1
    assert control_in(toy, 0x80, 8, length=1) == b"\0"


@pytest.mark.parametrize(
    ("transactions", "complaint"),
    [
        ([(Pid.SETUP, b"short", 0)], "SETUP of 5 bytes"),
        ([(Pid.SETUP, setup_packet(0x40, 2, length=4), 0), (Pid.OUT, bytes(5), 1)], "more data than its request"),
        ([(Pid.SETUP, setup_packet(0x40, 2, length=16), 0), (Pid.OUT, bytes(8), 1), (Pid.IN, b"", 1)], "complete"),
        ([(Pid.SETUP, setup_packet(0x40, 2, length=0xFFFF), 0)], "refused"),
    ],
)
def test_malformed_requests_are_one_guest_error(
    toy: Toy, bench: Bench, transactions: list[tuple[Pid, bytes, int]], complaint: str
) -> None:
    for pid, data, toggle in transactions:
        reply = toy.transaction(pid, 0, data, toggle)
    assert reply.handshake is not Handshake.NAK
    assert [complaint in line for line in bench.guest_errors] == [True]
    assert control_in(toy, 0x80, 8, length=1) == b"\0"


def test_a_bus_reset_is_as_if_it_had_just_been_plugged_in(ready: Toy) -> None:
    control_out(ready, 0, 5, 9)
    ready.bus_reset()
    assert (ready.address, ready.configured, ready.transaction(Pid.IN, 1)) == (0, False, NONE)


def test_ports_are_taken_in_turn_and_no_more_than_there_are(bench: Bench) -> None:
    cable = Cable()
    bench.machine.add_bus("usb.0", cable.bus)
    second = bench.plug(Toy, "second", port=2)
    first = bench.plug(Toy, "first")
    assert cable.bus.ports == [first, second]
    with pytest.raises(RealizeError, match="every port of usb"):
        bench.plug(Toy, "third")
    bench.machine.unplug(first)
    with pytest.raises(RealizeError, match="port 2 is taken by second"):
        bench.plug(Toy, "third", port=2)
    with pytest.raises(RealizeError, match="has ports 1 to 2, not 3"):
        bench.plug(Toy, "third", port=3)
    assert cable.bus.ports == [None, second]
    assert cable.changes == [1, 0, 0]


def test_another_kind_of_bus_is_refused(bench: Bench) -> None:
    with pytest.raises(RealizeError, match="isn't a USB bus"):
        bench.plug(Toy, "toy", bus="pci.0")


@given(
    transactions=st.lists(
        st.tuples(
            st.sampled_from(Pid),
            st.integers(0, 3),
            st.one_of(
                st.binary(max_size=80),
                st.builds(
                    setup_packet,
                    *(st.integers(0, 255), st.integers(0, 13)),
                    *(st.integers(0, 0x0303), st.integers(0, 3)),
                ),
            ),
            st.integers(0, 1),
        ),
        max_size=40,
    )
)
def test_whatever_it_is_sent_it_answers_and_can_be_saved(
    transactions: list[tuple[Pid, int, bytes, int]],
) -> None:
    toy, twin = plugged(Bench()), plugged(Bench())
    for transaction in transactions:
        twin.load(toy.save())
        assert toy.transaction(*transaction) == twin.transaction(*transaction)
        assert toy.save() == twin.save()
    assert control_in(toy, 0x80, 8, length=1) in (b"\0", b"\1")
