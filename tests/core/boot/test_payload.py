"""Compressed payloads as Linux's build makes them: each form, what follows it, and damage."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable
from random import Random

import lz4.block
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from southbridge.boot import payload
from southbridge.boot.payload import BadPayload, decompress

MIB = 1 << 20


def lz4_legacy(data: bytes) -> bytes:
    blocks = [lz4.block.compress(data[at : at + 8 * MIB], store_size=False) for at in range(0, len(data), 8 * MIB)]
    return b"\x02\x21\x4c\x18" + b"".join(struct.pack("<I", len(block)) + block for block in blocks)


def zstd_stream(data: bytes) -> bytes:
    compressor = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    return compressor.compress(data) + compressor.flush()


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lambda data: lzma.compress(
        data,
        check=lzma.CHECK_CRC32,
        filters=[{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "dict_size": 32 * MIB}],
    ),
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zstd": zstd_stream,
    "lz4": lz4_legacy,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("length", [1, 100_000, 9 * MIB])
def test_each_form_with_its_size_behind_it(form: str, length: int) -> None:
    data = (Random(form).randbytes(5000) * (length // 5000 + 1))[:length]
    packed = FORMS[form](data) + (b"" if form == "lzma" else struct.pack("<I", length))
    assert decompress(packed) == data


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(20))
def test_damage_is_told_or_gives_something_else(form: str, seed: int) -> None:
    random = Random(f"{form} {seed}")
    packed = bytearray(FORMS[form](random.randbytes(3000) * 3))
    for _ in range(4):
        packed[random.randrange(8, len(packed))] ^= 1 << random.randrange(8)
    try:
        decompress(bytes(packed))
    except BadPayload as error:
        assert form in str(error)


@pytest.mark.parametrize("form", FORMS)
def test_a_bomb_stops(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload, "LARGEST", MIB)
    try:
        assert len(decompress(FORMS[form](bytes(64 * MIB)))) <= 16 * MIB
    except BadPayload as error:
        assert "too large" in str(error)


@given(st.binary(max_size=64))
def test_anything(data: bytes) -> None:
    try:
        decompress(data)
    except BadPayload as error:
        assert "payload" in str(error)
