"""Compressed clusters: raw deflate streams or zstd frames that each give exactly one cluster.

The output is bounded by the cluster's size, whatever the compressed bytes say.
"""

from __future__ import annotations

import importlib
import io
import zlib
from collections.abc import Callable

from southbridge.errors import SouthbridgeError

Decompress = Callable[[bytes, int], bytes]
"""Takes compressed bytes, with anything behind them, and a cluster's size: at most that many bytes, or ValueError."""


def decompressor(compression: str, name: str) -> Decompress:
    """The function for `compression` ("zlib" or "zstd"). Raises SouthbridgeError if a package lacks."""
    return _zlib if compression == "zlib" else _load_zstd(name)


def _zlib(data: bytes, size: int) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size)
    except zlib.error as error:
        raise ValueError(str(error)) from None


def _load_zstd(name: str) -> Decompress:
    try:
        zstandard = importlib.import_module("zstandard")
    except ImportError:
        raise SouthbridgeError(
            f"{name}: its clusters are compressed with zstd: needs the Python package zstandard: "
            "`pip install zstandard`"
        ) from None

    def decompress(data: bytes, size: int) -> bytes:
        try:
            result: bytes = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read(size)
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from None
        return result

    return decompress
