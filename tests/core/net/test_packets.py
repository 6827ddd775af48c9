"""Checksums: short ones and long ones, and those that were left to be done."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.net import Offload
from southbridge.net.packets import completed, layers, ones_sum, transport_good

from tests.plugins.e1000.traffic import TCP, checksum, ethernet, ipv4, sealed, tcp

TCP_AT = 34


@given(st.binary(max_size=64), st.sampled_from([0, 1, 300]), st.binary(max_size=7))
def test_the_sum_is_that_of_its_words(piece: bytes, times: int, rest: bytes) -> None:
    data = piece * times + rest
    expected = ~checksum(data) & 0xFFFF
    assert ones_sum(data) == expected
    assert ones_sum(memoryview(bytearray(data))) == expected


@pytest.mark.parametrize("payload", [0, 1, 1460, 40_001])
def test_a_checksum_that_was_left_undone(payload: int) -> None:
    bare = tcp(bytes(number % 251 for number in range(payload)))
    whole = ethernet(ipv4(sealed(bare, TCP), TCP))
    pseudo = ones_sum(whole[26:34]) + TCP + len(bare)
    undone = bytearray(whole)
    undone[TCP_AT + 16 : TCP_AT + 18] = (pseudo % 0xFFFF).to_bytes(2, "big")
    done = completed(undone, Offload(checksum_start=TCP_AT, checksum_offset=16))
    found = layers(done)
    assert found is not None and transport_good(done, found)
    assert done == whole


def test_a_frame_that_is_finished_stays() -> None:
    frame = ethernet(ipv4(tcp(b"as it is"), TCP))
    assert completed(frame, None) is frame
    assert completed(frame, Offload(checksum_good=True)) is frame
