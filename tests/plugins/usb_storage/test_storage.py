"""The USB disk: transport, commands, errors and saved state."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.errors import RealizeError
from southbridge.testing import Bench
from southbridge.testing.ide import MemoryDisk
from southbridge.usb import Handshake, Pid

from tests.core.usb.toy import Cable, control_in, control_out
from tests.plugins.usb_storage.host import BULK_IN, BULK_OUT, Host, read, write

CONTENTS = random.Random("stick").randbytes(1 << 20)


@pytest.fixture
def host(bench: Bench) -> Host:
    host = Host(bench, CONTENTS)
    host.settle()
    return host


# --- commands ----------------------------------------------------------------------------------------------------


def test_inquiry_before_the_unit_attention(bench: Bench) -> None:
    host = Host(bench)
    outcome = host.run(bytes([0x12, 0, 0, 0, 36, 0]), 36)
    assert (outcome.status, outcome.residue) == (0, 0)
    assert outcome.data[:8] == bytes([0, 0, 4, 2, 31, 0, 0, 0])
    assert outcome.data[8:] == b"SBRIDGE USB DISK        1.0 "
    assert host.run(bytes(6)).status == 1


def test_inquiry_of_vital_data(host: Host) -> None:
    assert host.run(bytes([0x12, 1, 0, 0, 64, 0]), 64).data == bytes([0, 0, 0, 2, 0, 0x80])
    assert host.run(bytes([0x12, 1, 0x80, 0, 64, 0]), 64).data == bytes([0, 0x80, 0, 12]) + b"534200000001"
    assert host.run(bytes([0x12, 1, 0x99, 0, 64, 0]), 64).status == 1
    assert host.sense() == (5, 0x24, 0)


def test_capacity(host: Host) -> None:
    assert host.run(bytes([0x25, *bytes(9)]), 8).data == struct.pack(">II", 2047, 512)


def test_report_luns(host: Host) -> None:
    assert host.run(bytes([0xA0, *bytes(8), 16, 0, 0]), 16).data == bytes([0, 0, 0, 8, *bytes(12)])
    assert host.run(bytes([0xA0, *bytes(8), 8, 0, 0]), 8).status == 1


@pytest.mark.parametrize("writable", [True, False])
def test_mode_sense(bench: Bench, writable: bool) -> None:
    host = Host(bench, writable=writable)
    host.settle()
    data = host.run(bytes([0x1A, 0, 0x3F, 0, 192, 0]), 192).data
    assert data[:7] == bytes([23, 0, 0 if writable else 0x80, 0, 8, 18, 4])
    assert host.run(bytes([0x1A, 0, 8, 0, 4, 0]), 4).data == data[:4]
    for page in (0x05, 0xC8):
        assert host.run(bytes([0x1A, 0, page, 0, 192, 0]), 192).status == 1


def test_a_stopped_disk_isnt_ready(host: Host) -> None:
    assert host.run(bytes([0x1B, 0, 0, 0, 0, 0])).status == 0
    assert host.run(bytes(6)).status == 1
    assert host.sense() == (2, 4, 2)
    assert host.run(bytes([0x1B, 0, 0, 0, 1, 0])).status == 0
    assert host.run(bytes(6)).status == 0


def test_a_removable_medium(bench: Bench) -> None:
    host = Host(bench, removable=True)
    host.settle()
    assert host.run(bytes([0x12, 0, 0, 0, 36, 0]), 36).data[1] == 0x80
    assert host.run(bytes([0x1E, 0, 0, 0, 1, 0])).status == 0
    assert host.run(bytes([0x1B, 0, 0, 0, 2, 0])).status == 1
    assert host.sense() == (5, 0x53, 2)
    assert host.run(bytes([0x1E, 0, 0, 0, 0, 0])).status == 0
    assert host.run(bytes([0x1B, 0, 0, 0, 2, 0])).status == 0
    assert host.run(read(0, 1), 512).status == 1
    assert host.sense() == (2, 0x3A, 0)


def test_reading_and_writing(host: Host) -> None:
    outcome = host.run(read(3, 100), 51200)
    assert outcome == (CONTENTS[3 * 512 : 103 * 512], 0, 0, False)
    new = random.Random(1).randbytes(51200)
    assert host.run(write(7, 100), data=new) == (b"", 0, 0, False)
    assert bytes(host.image.data) == CONTENTS[: 7 * 512] + new + CONTENTS[107 * 512 :]
    assert host.run(bytes([0x35, *bytes(9)])).status == 0
    assert host.image.flushes == 1


def test_nothing_to_read(host: Host) -> None:
    assert host.run(read(3, 0)) == (b"", 0, 0, False)


def test_beyond_the_end(host: Host) -> None:
    assert host.run(read(2047, 2), 1024) == (b"", 1, 1024, True)
    assert host.sense() == (5, 0x21, 0)
    assert host.run(write(0xFFFF_FFFF, 1), data=bytes(512)) == (b"", 1, 512, True)
    assert host.run(read(2047, 1), 512).status == 0


def test_a_read_only_image(bench: Bench) -> None:
    host = Host(bench, writable=False)
    host.settle()
    assert host.run(write(0, 1), data=bytes(512)) == (b"", 1, 512, True)
    assert host.sense() == (7, 0x27, 0)


def test_bad_places_in_the_image(host: Host) -> None:
    host.image.bad = {40 * 512}
    outcome = host.run(read(0, 64), 32768)
    assert (outcome.data, outcome.status, outcome.residue) == (CONTENTS[:16384], 1, 16384)
    assert host.sense() == (3, 0x11, 0)
    outcome = host.run(write(0, 64), data=bytes(32768))
    assert outcome.status == 1
    assert host.sense() == (3, 0x0C, 0)
    assert host.run(read(0, 16), 8192).data == bytes(8192)


def test_an_unknown_command(host: Host, bench: Bench) -> None:
    assert host.run(bytes([0xC0, *bytes(9)]), 100) == (b"", 1, 100, True)
    assert host.sense() == (5, 0x20, 0)
    assert [line for line in bench.guest_errors if "0xc0" in line] == ["stick: disk: unknown SCSI command 0xc0"]


# --- what host and command disagree on (section 6.7) -------------------------------------------------------------


def test_the_host_expects_less_than_the_command_gives(host: Host) -> None:
    assert host.run(read(0, 2), 512) == (CONTENTS[:512], 2, 0, False)
    assert host.run(read(0, 2), 0) == (b"", 2, 0, False)


def test_the_host_expects_more_than_the_command_gives(host: Host) -> None:
    assert host.run(bytes([0x25, *bytes(9)]), 100) == (struct.pack(">II", 2047, 512), 0, 92, False)
    assert host.run(read(0, 1), 1024) == (CONTENTS[:512], 0, 512, True)
    assert host.run(bytes(6), 64) == (b"", 0, 64, True)


def test_the_host_sends_more_than_the_command_takes(host: Host) -> None:
    assert host.run(write(0, 1), data=bytes(1024)) == (b"", 0, 512, True)
    assert host.run(bytes(6), data=bytes(64)) == (b"", 0, 64, True)


def test_the_host_sends_less_than_the_command_takes(host: Host) -> None:
    assert host.run(write(0, 2), data=bytes(512)) == (b"", 2, 512, True)
    assert host.run(write(0, 2)) == (b"", 2, 0, False)
    assert host.image.data == CONTENTS


def test_the_host_sends_where_it_should_receive(host: Host) -> None:
    assert host.run(read(0, 1), data=bytes(512)) == (b"", 2, 512, True)
    assert host.run(write(0, 1), 512) == (b"", 2, 512, True)


# --- out of step -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrapper",
    [
        b"USBC",
        bytes(31),
        b"USBC" + bytes(27),
        struct.pack("<4sIIBBB16s", b"USBC", 1, 0, 0, 1, 6, bytes(16)),
        struct.pack("<4sIIBBB16s", b"USBC", 1, 0, 0, 0, 17, bytes(16)),
        struct.pack("<4sIIBBB16s", b"USBC", 1, 0, 1, 0, 6, bytes(16)),
        bytes(64),
    ],
)
def test_a_wrapper_that_isnt_one_halts_both_pipes_until_a_reset(host: Host, bench: Bench, wrapper: bytes) -> None:
    before = len(bench.guest_errors)
    assert host.send(wrapper) is Handshake.STALL
    assert host.receive() is Handshake.STALL
    assert len(bench.guest_errors) == before + 1
    for endpoint in (BULK_IN, BULK_OUT):
        host.clear(endpoint)
    assert host.receive() is Handshake.STALL
    assert host.send(host.wrapper(bytes(6), 0, to_host=False)) is Handshake.STALL
    assert control_out(host.device, 0x21, 0xFF)
    for endpoint in (BULK_IN, BULK_OUT):
        host.clear(endpoint)
    assert host.run(bytes(6)).status == 0


def test_a_reset_in_the_middle_of_data(host: Host) -> None:
    host.send(host.wrapper(read(0, 100), 51200, to_host=True))
    assert host.receive() == CONTENTS[:64]
    assert control_out(host.device, 0x21, 0xFF)
    assert host.run(read(5, 1), 512).data == CONTENTS[5 * 512 : 6 * 512]


def test_class_requests(host: Host) -> None:
    assert control_in(host.device, 0xA1, 0xFE, length=1) == b"\0"
    assert control_in(host.device, 0xA1, 0xFE, length=2) is None
    assert control_in(host.device, 0xA1, 0xFE, index=1, length=1) is None
    assert not control_out(host.device, 0x21, 0xFF, data=b"x")


# --- life --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("progress", [0, 1, 300])
def test_saved_while_it_reads(host: Host, bench: Bench, progress: int) -> None:
    """The state is saved with the image's answer outstanding, or data half taken; a disk just plugged in goes on."""
    host.send(host.wrapper(read(0, 100), 51200, to_host=True))
    found = b"".join(packet for packet in (host.receive() for _ in range(progress)) if isinstance(packet, bytes))
    saved = host.device.save()
    bench.executor.run_all()
    bench.machine.unplug(host.device)
    host.device = bench.plug("usb-storage", "stick", drive=host.image)
    host.device.load(saved)
    while len(found) < 51200:
        packet = host.receive()
        assert isinstance(packet, bytes)
        found += packet
    assert found == CONTENTS[:51200]
    assert host.receive() == struct.pack("<4sIIB", b"USBS", host.tag, 0, 0)


def test_saved_while_it_writes(host: Host, bench: Bench) -> None:
    new = random.Random(2).randbytes(32768)
    host.send(host.wrapper(write(0, 64), 32768, to_host=False))
    for start in range(0, 16384, 64):
        host.send(new[start : start + 64])
    saved = host.device.save()
    assert saved["state"]["phase"] == "store"
    host.device.reset()
    host.device.load(saved)
    for start in range(16384, 32768, 64):
        host.send(new[start : start + 64])
    assert host.receive() == struct.pack("<4sIIB", b"USBS", host.tag, 0, 0)
    assert host.image.data[:32768] == new


def test_pulled_out_while_it_reads(host: Host, bench: Bench) -> None:
    host.send(host.wrapper(read(0, 100), 51200, to_host=True))
    bench.machine.unplug(host.device)
    bench.executor.run_all()
    again = bench.plug("usb-storage", "stick", drive=host.image)
    assert again.transaction(Pid.IN, 1).handshake is Handshake.NONE


def test_the_firmware_is_told_of_it_while_it_is_there(bench: Bench) -> None:
    host = Host(bench, bootindex=1, port=2)
    assert bench.machine.firmware_config.boot_order() == b"/usb/storage@2/channel@0/disk@0,0\0"
    with pytest.raises(RealizeError, match="bootindex 1 is taken"):
        bench.plug("usb-storage", "other", drive=MemoryDisk(bytes(512)), bootindex=1)
    assert bench.machine.firmware_config.boot_order() != b""
    bench.machine.unplug(host.device)
    assert bench.machine.firmware_config.boot_order() == b""


def test_an_empty_image_is_refused(bench: Bench) -> None:
    bench.machine.add_bus("usb.0", Cable().bus)
    with pytest.raises(RealizeError, match="stick: memory: 0 bytes are no USB disk's size"):
        bench.plug("usb-storage", "stick", drive=MemoryDisk(b""))


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.binary(max_size=64)),
            st.tuples(
                st.just("command"),
                st.tuples(
                    st.one_of(
                        st.binary(min_size=1, max_size=16),
                        st.builds(read, st.integers(0, 2100), st.integers(0, 300)),
                        st.builds(write, st.integers(0, 2100), st.integers(0, 300)),
                    ),
                    st.integers(0, 3000),
                    st.booleans(),
                ),
            ),
            st.tuples(st.just("receive"), st.integers(1, 40)),
            st.tuples(st.just("clear"), st.sampled_from((BULK_IN, BULK_OUT))),
            st.tuples(st.just("reset"), st.none()),
            st.tuples(st.just("restore"), st.none()),
        ),
        max_size=30,
    )
)
def test_whatever_the_host_does_a_reset_makes_it_good(steps: list[tuple[str, object]]) -> None:
    host = Host(Bench(), CONTENTS)
    for what, argument in steps:
        match what, argument:
            case "send", bytes(data):
                host.send(data)
            case "command", (bytes(command), int(length), bool(to_host)):
                host.send(host.wrapper(command, length, to_host=to_host))
            case "receive", int(count):
                for _ in range(count):
                    host.receive()
            case "clear", int(endpoint):
                host.clear(endpoint)
            case "reset", _:
                control_out(host.device, 0x21, 0xFF)
            case "restore", _:
                host.device.load(host.device.save())
    assert len(host.device.data) <= 16384
    host.device.bus_reset()
    host.begin()
    host.settle()
    assert host.run(read(9, 1), 512).status == 0
