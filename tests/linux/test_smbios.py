"""Linux reads the machine's SMBIOS tables: where it finds them itself, and where SeaBIOS put them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.core.smbios.reader import decoded, of_kind, read, read_anchor
from tests.linux.guest import answer, describe, run_linux, said
from tests.linux.initramfs import initramfs
from tests.once import once

UUID_TEXT = "00112233-4455-6677-8899-aabbccddeeff"
SETTINGS = {
    "memory": "200M",
    "uuid": UUID_TEXT,
    "smbios": "{manufacturer: Acme, product: Abacus, version: 7b, serial: '0042', sku: A-7, family: Counting}",
}
FILES = ("sys_vendor", "product_name", "product_version", "product_serial", "product_sku", "product_family")

SCRIPT = f"""\
for file in {" ".join(FILES)} product_uuid bios_vendor chassis_vendor; do
    echo "$file: $(cat /sys/class/dmi/id/$file)"
done
echo "anchor: $(hexdump -v -e '1/1 "%02x"' /sys/firmware/dmi/tables/smbios_entry_point)"
echo "tables: $(hexdump -v -e '1/1 "%02x"' /sys/firmware/dmi/tables/DMI)"
echo "entries: $(ls /sys/firmware/dmi/entries | wc -l)"
echo "complaints: $(dmesg | grep -i -e dmi -e smbios | grep -c -i -e firmware -e bug -e invalid -e fail)"
"""


@pytest.fixture(scope="module", params=["none", "rom"])
def firmware(request: pytest.FixtureRequest) -> str:
    firmware: str = request.param
    return firmware


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory, firmware: str) -> str:
    def start() -> str:
        folder = tmp_path_factory.mktemp("smbios")
        return said(run_linux(describe(folder, initramfs(SCRIPT, ["dmi_sysfs"]), firmware=firmware, settings=SETTINGS)))

    return once(tmp_path_factory, f"smbios-{firmware}", start)


def test_linux_names_the_machine(text: str, firmware: str) -> None:
    assert [answer(text, file) for file in FILES] == ["Acme", "Abacus", "7b", "0042", "A-7", "Counting"]
    assert answer(text, "product_uuid") == UUID_TEXT
    assert answer(text, "bios_vendor") == {"none": "Southbridge", "rom": "SeaBIOS"}[firmware]
    assert answer(text, "chassis_vendor") == "Acme"
    assert re.search(r"SMBIOS 2\.8 present", text)
    assert re.search(r"DMI: Acme Abacus", text)


def test_it_has_every_structure_and_no_complaint(text: str) -> None:
    tables = bytes.fromhex(answer(text, "tables"))
    assert answer(text, "complaints") == "0"
    assert int(answer(text, "entries")) == len(read(tables))
    anchor = read_anchor(bytes.fromhex(answer(text, "anchor")))
    assert (anchor.length, anchor.count) == (len(tables), len(read(tables)))
    assert sum(device.number(12, 2) for device in of_kind(tables, 17)) == 200


def test_dmidecode_understands_what_linux_has(text: str, tmp_path: Path) -> None:
    anchor, tables = (bytes.fromhex(answer(text, name)) for name in ("anchor", "tables"))
    decoding = decoded(anchor, tables, tmp_path)
    assert f"UUID: {UUID_TEXT}" in decoding
    assert "Serial Number: 0042" in decoding


def test_without_a_uuid_linux_has_none(tmp_path: Path) -> None:
    script = (
        'echo "uuid: $(cat /sys/class/dmi/id/product_uuid 2>&1)"\necho "vendor: $(cat /sys/class/dmi/id/sys_vendor)"'
    )
    text = said(run_linux(describe(tmp_path, initramfs(script))))
    assert answer(text, "uuid").endswith("No such file or directory")
    assert answer(text, "vendor") == "Southbridge"
