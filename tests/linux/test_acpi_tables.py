"""ACPICA's own acpidump finds the machine's ACPI tables in the guest, and iasl understands what it found."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.guests.build import need, run_tool
from tests.linux.guest import answer, describe, run_linux, said
from tests.linux.initramfs import initramfs
from tests.once import once

SCRIPT = """\
echo "begin tables"
/ld.so --library-path / /acpidump 2>&1
echo "end tables"
for file in DSDT APIC HPET; do
    echo "bytes of $file: $(hexdump -v -e '1/1 "%02x"' /sys/firmware/acpi/tables/$file)"
done
echo "complaints: $(dmesg | grep -c -i -E 'ACPI.*(error|warning|exception|BIOS)|firmware bug')"
"""


def acpidump() -> dict[str, bytes]:
    """The program and what it is linked to, from this system."""
    program = Path(need("acpidump", "acpica-tools")).resolve()
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = [Path(path) for path in re.findall(r"(/\S+) \(0x", linked)]
    files = {library.name: library.read_bytes() for library in libraries}
    loader = next(name for name in files if name.startswith("ld-linux"))
    return {"acpidump": program.read_bytes(), "ld.so": files.pop(loader), **files}


@pytest.fixture(scope="module", params=["none", "rom"])
def text(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    def start() -> str:
        folder = tmp_path_factory.mktemp("tables")
        return said(run_linux(describe(folder, initramfs(SCRIPT, programs=acpidump()), firmware=request.param)))

    return once(tmp_path_factory, f"tables-{request.param}", start)


@pytest.fixture
def tables(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The tables that acpidump found, by signature."""
    (tmp_path / "dump").write_text(text.split("begin tables\n")[1].split("end tables")[0])
    monkeypatch.chdir(tmp_path)
    run_tool([need("acpixtract", "acpica-tools"), "-a", "dump"])
    return {path.stem.upper(): path for path in tmp_path.glob("*.dat")}


def test_acpidump_finds_them_all(tables: dict[str, Path]) -> None:
    assert tables.keys() >= {"FACP", "FACS", "DSDT", "APIC", "HPET"}
    for signature, path in tables.items():
        data = path.read_bytes()
        assert data[:4].decode() == signature
        assert int.from_bytes(data[4:8], "little") == len(data)
        assert signature == "FACS" or sum(data) & 0xFF == 0


def test_the_kernel_has_the_same(text: str, tables: dict[str, Path]) -> None:
    for signature in ("DSDT", "APIC", "HPET"):
        assert tables[signature].read_bytes().hex() == answer(text, f"bytes of {signature}")


def test_iasl_finds_the_described_devices(tables: dict[str, Path]) -> None:
    run_tool([need("iasl", "acpica-tools"), "-d", tables["DSDT"]])
    source = tables["DSDT"].with_suffix(".dsl").read_text()
    for device in ("PNP0A03", "PNP0303", "PNP0F13", "PNP0501", "PNP0B00", "QEMU0002"):  # bridge, keyboard, mouse, ...
        assert device in source
    assert "IRQNoFlags" in source


def test_linux_has_no_complaint(text: str) -> None:
    assert answer(text, "complaints") == "0"
    assert "ACPI: Using IOAPIC for interrupt routing" in text
