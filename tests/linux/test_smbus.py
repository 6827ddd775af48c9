"""i2c-piix4 in Debian's kernel reads the memory modules' EEPROMs: by the driver at24, and by BusyBox's i2c tools."""

from __future__ import annotations

import pytest
from southbridge.plugins.spd_eeprom import spd
from southbridge.units import MiB

from tests.linux.guest import CMDLINE, answer, describe, run_linux, said
from tests.linux.initramfs import initramfs

OWN = bytes(range(0x80)) + bytes(reversed(range(0x80)))
"""The contents of a third EEPROM, at 57h: from a file, and not protected."""

SCRIPT = """\
bus=$(basename $(ls -d /sys/bus/pci/devices/0000:00:01.3/i2c-*))
echo "bus: $(cat /sys/bus/i2c/devices/$bus/name)"
n=${bus#i2c-}
for address in 50 51 57; do
    echo 24c02 0x$address > /sys/bus/i2c/devices/$bus/new_device
    echo "eeprom $address: $(hexdump -v -e '1/1 "%02x"' /sys/bus/i2c/devices/$n-00$address/eeprom)"
    echo 0x$address > /sys/bus/i2c/devices/$bus/delete_device
done

found() { tail -n +2 | cut -d: -f2 | tr -d '\\n-' | tr -s ' '; }
echo "read: $(busybox i2cdetect -y -r $n 0x08 0x77 | found)"
echo "quick: $(busybox i2cdetect -y -q $n 0x50 0x57 | found)"
echo "byte: $(busybox i2cget -y $n 0x50 2 b)"
echo "word: $(busybox i2cget -y $n 0x50 3 w)"
echo "nobody: $(busybox i2cget -y $n 0x52 0 b 2>&1 | tail -n 1)"
busybox i2cset -y $n 0x50 2 0x55 b 2>/dev/null
echo "protected: $? $(busybox i2cget -y $n 0x50 2 b)"
busybox i2cset -y $n 0x57 0x21 0x9a b
usleep 20000
echo "written: $? $(busybox i2cget -y $n 0x57 0x21 b)"
busybox i2cset -y $n 0x57 0x40 0xA1 0xA2 0xA3 s
usleep 20000
echo "block: $(busybox i2cdump -y -r 0x40-0x43 $n 0x57 b | tail -n 1 | cut -c 5-15)"

# What the driver never does: a command that there isn't, and a block of 255 bytes.
port() { printf "\\\\$2" | dd of=/dev/port bs=1 seek=$((0x700 + $1)) count=1 2>/dev/null; }
status() { dd if=/dev/port bs=1 skip=$((0x700)) count=1 2>/dev/null | hexdump -v -e '1/1 "%02x"'; }
port 4 256; port 2 120; usleep 5000
echo "command: $(status)"
port 0 36; port 4 256; port 5 377; port 2 124; usleep 5000
echo "length: $(status)"
port 0 36
echo "blocks: $(busybox i2cdump -y $n 0x57 s 2>&1 | tail -n 1)"
echo "still: $(busybox i2cget -y $n 0x50 2 b)"
echo "complaints: $(dmesg | grep piix4_smbus | grep -v 'Host Controller at' | tr '\\n' ';')"
"""


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("smbus")
    (folder / "spd.bin").write_bytes(OWN)
    description = describe(
        folder,
        initramfs(SCRIPT, ["i2c_piix4", "i2c_dev", "at24"]),
        cmdline=CMDLINE,  # without ACPI, at24 would wait for a regulator
        settings={"memory": "192M"},
        devices=["own: {type: spd-eeprom, file: spd.bin, address: 0x57, write_protected: false}"],
    )
    return said(run_linux(description))


def test_linux_finds_the_controller(text: str) -> None:
    assert answer(text, "bus") == "SMBus PIIX4 adapter at 0700"
    assert "SMBus Host Controller at 0x700, revision 0" in text


def test_at24_reads_what_the_host_has(text: str) -> None:
    assert bytes.fromhex(answer(text, "eeprom 50")) == spd.module(128 * MiB, 0)
    assert bytes.fromhex(answer(text, "eeprom 51")) == spd.module(64 * MiB, 1)
    assert bytes.fromhex(answer(text, "eeprom 57")) == OWN


def test_who_is_there(text: str) -> None:
    assert answer(text, "read") == answer(text, "quick") == "50 51 57"
    assert answer(text, "nobody") == "i2cget: read failed: No such device or address"


def test_bytes_words_and_blocks(text: str) -> None:
    assert answer(text, "byte") == "0x04"
    assert answer(text, "word") == "0x0a0c"
    assert answer(text, "block") == "03 a1 a2 a3"


def test_what_is_protected_stays(text: str) -> None:
    assert answer(text, "protected") == "1 0x04"
    assert answer(text, "written") == "0 0x9a"


def test_malformed_requests_get_the_hardware_s_answer(text: str) -> None:
    """DEV_ERR; and all goes on."""
    assert (answer(text, "command"), answer(text, "length")) == ("04", "04")
    assert answer(text, "blocks") == "i2cdump: block read failed: -1"  # of no bytes: the kernel's EPROTO
    assert answer(text, "still") == "0x04"
    assert answer(text, "complaints") == ""
