"""Ethernet addresses."""

from __future__ import annotations

import pytest
from southbridge import RealizeError
from southbridge.net import default_mac, format_mac, parse_mac


def test_text_to_bytes_and_back() -> None:
    assert parse_mac("52:54:00:12:34:56") == bytes.fromhex("525400123456")
    assert parse_mac("0-1-2-A-B-c") == bytes.fromhex("0001020a0b0c")
    assert format_mac(bytes.fromhex("525400123456")) == "52:54:00:12:34:56"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected an address"),
        ("52:54:00:12:34", "expected an address"),
        ("52:54:00:12:34:5g", "expected an address"),
        ("01:00:5e:00:00:01", "multicast"),
        ("ff:ff:ff:ff:ff:ff", "multicast"),
        ("00:00:00:00:00:00", "all zeros"),
    ],
)
def test_what_no_card_can_have(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_mac(text)


def test_each_card_has_another_address() -> None:
    first = default_mac([])
    assert format_mac(first) == "52:54:00:12:34:56"
    assert format_mac(default_mac([first])) == "52:54:00:12:34:57"
    assert format_mac(default_mac([bytes.fromhex("525400123457")])) == "52:54:00:12:34:56"
    with pytest.raises(RealizeError, match="mac"):
        default_mac(bytes.fromhex("5254001234") + bytes([last]) for last in range(256))
