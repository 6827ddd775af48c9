"""What a description says of who the machine is."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from southbridge.builder import build
from southbridge.description import Description, load
from southbridge.smbios import Identity
from southbridge.snapshot.contents import description_tree

UUID_TEXT = "00112233-4455-6677-8899-AABBCCDDEEFF"
TEXTS = "manufacturer: Acme, product: Abacus, version: 7b, serial: '0042', sku: A-7, family: Counting"
NAMED = Identity("Acme", "Abacus", "7b", "0042", "A-7", "Counting", UUID(UUID_TEXT))


def described(folder: Path, text: str) -> Description:
    path = folder / "m.yaml"
    path.write_text(f"accelerator: unicorn\n{text}")
    return load(str(path))


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("", Identity()),
        ("uuid: null\nsmbios: null\n", Identity()),
        ("smbios: {serial: null, uuid: null}\n", Identity()),
        ("smbios: {manufacturer: '', serial: x}\n", Identity(manufacturer="", serial="x")),
        (f"uuid: {UUID_TEXT}\n", Identity(uuid=UUID(UUID_TEXT))),
        (f"smbios: {{uuid: {UUID_TEXT}}}\n", Identity(uuid=UUID(UUID_TEXT))),
        (f"uuid: {UUID_TEXT}\nsmbios: {{{TEXTS}}}\n", NAMED),
        (f"uuid: {UUID_TEXT}\nsmbios: {{{TEXTS}, uuid: {UUID_TEXT.lower()}}}\n", NAMED),
    ],
)
def test_what_is_said(tmp_path: Path, text: str, identity: Identity) -> None:
    assert described(tmp_path, text).identity == identity


def test_the_machine_has_it(tmp_path: Path) -> None:
    machine = build(described(tmp_path, f"uuid: {UUID_TEXT}\nsmbios: {{{TEXTS}}}\n"))
    assert machine.identity == NAMED
    machine.close()


def test_a_snapshot_s_description_says_the_same(tmp_path: Path) -> None:
    tree = description_tree(described(tmp_path, f"uuid: {UUID_TEXT}\nsmbios: {{{TEXTS}}}\n"))
    assert tree["uuid"] == UUID_TEXT.lower()
    assert tree["smbios"] == {
        "manufacturer": "Acme",
        "product": "Abacus",
        "version": "7b",
        "serial": "0042",
        "sku": "A-7",
        "family": "Counting",
    }
    assert "uuid" not in description_tree(described(tmp_path, ""))
