"""The compressed payload of a Linux kernel image, decompressed on the host: a software CPU takes seconds for it.

The formats are those of Linux's scripts/Makefile.lib; each is followed by the size of the result (not LZMA's own, and
there is more behind the payload), so that decompressors here stop by themselves and ignore what follows.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable

import lz4.block
import zstandard

from ..units import MiB

LARGEST = 1024 * MiB
"""Of what a payload may become."""

_LZ4_LEGACY = b"\x02\x21\x4c\x18"
_LZ4_BLOCK = 8 * MiB


class BadPayload(Exception):
    """It is damaged, or in a form that isn't known."""


def _gzip(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=31).decompress(data, LARGEST)


def _bzip2(data: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(data, LARGEST)


def _xz(data: bytes) -> bytes:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data, LARGEST)


def _lzma(data: bytes) -> bytes:
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(data, LARGEST)


def _zstd(data: bytes) -> bytes:
    # Linux compresses in one stream, which doesn't say its size, with windows beyond the library's usual limit.
    with zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(data) as stream:
        return stream.read(LARGEST)


def _lz4(data: bytes) -> bytes:
    """The legacy frame format: blocks of at most 8 MiB, each after its compressed size."""
    pieces: list[bytes] = []
    at = len(_LZ4_LEGACY)
    while at + 4 <= len(data):
        (size,) = struct.unpack_from("<I", data, at)
        at += 4
        # The last word is the size of everything, which the kernel's Makefile appends.
        if not size or at + size > len(data) or sum(map(len, pieces)) > LARGEST:
            break
        pieces.append(lz4.block.decompress(data[at : at + size], uncompressed_size=_LZ4_BLOCK))
        at += size
    return b"".join(pieces)


_FORMATS: tuple[tuple[bytes, str, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b", "gzip", _gzip),
    (b"BZh", "bzip2", _bzip2),
    (b"\xfd7zXZ\0", "xz", _xz),
    (b"\x5d\0\0", "lzma", _lzma),
    (b"\x28\xb5\x2f\xfd", "zstd", _zstd),
    (_LZ4_LEGACY, "lz4", _lz4),
)


_DAMAGED = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, lz4.block.LZ4BlockError, zstandard.ZstdError)
"""What the libraries raise."""


def decompress(data: bytes) -> bytes:
    """What `data` holds, which begins with a compressed stream. Raises BadPayload."""
    for magic, name, function in _FORMATS:
        if data.startswith(magic):
            try:
                return function(data)
            except _DAMAGED as error:
                raise BadPayload(f"its {name} payload is damaged: {error}") from None
    raise BadPayload(f"its payload is in an unknown form ({data[:4].hex(' ') or 'empty'})")
