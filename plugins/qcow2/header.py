"""The qcow2 header and its extensions, read and checked (qcow2 specification, "Header" and "Header extensions").

Everything that the rest of the reader relies on is checked here, so that a wrong image is refused when it is opened.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from southbridge.errors import SouthbridgeError
from southbridge.units import MiB

MAGIC = b"QFI\xfb"
L1_LIMIT = 32 * MiB
"""The longest L1 table that is accepted, in bytes: QEMU's limit too. It covers 2 PiB with clusters of 64 KiB."""

_FIXED = struct.Struct(">4sIQIIQIIQQIIQ")  # the 72 bytes that versions 2 and 3 have in common
_VERSION_3 = struct.Struct(">QQQII")

_DIRTY, _CORRUPT, _EXTERNAL_DATA, _COMPRESSION_TYPE, _EXTENDED_L2 = (1 << bit for bit in range(5))
_KNOWN = _DIRTY | _CORRUPT | _EXTERNAL_DATA | _COMPRESSION_TYPE | _EXTENDED_L2

_END_OF_EXTENSIONS = 0x0000_0000
_BACKING_FORMAT = 0xE279_2ACA
_FEATURE_NAMES = 0x6803_F857

_ENCRYPTION = {1: "AES", 2: "LUKS"}
_COMPRESSION = {0: "zlib", 1: "zstd"}


@dataclass(frozen=True)
class Header:
    """What the header says. Sizes and offsets are bytes."""

    version: int
    cluster_size: int
    size: int
    l1_entries: int
    """The L1 entries that `size` needs; the table may have more."""
    l1_offset: int
    refcount_table_offset: int
    refcount_table_size: int
    refcount_order: int
    """The logarithm of a reference count's width in bits."""
    dirty: bool
    """Reference counts may be wrong: the last writer didn't close the image."""
    corrupt: bool
    """A writer has found the image damaged."""
    extended_l2: bool
    compression: str
    backing_file: bytes | None
    backing_format: str | None

    @property
    def cluster_bits(self) -> int:
        """The logarithm of the cluster size."""
        return self.cluster_size.bit_length() - 1

    @property
    def l2_entry_size(self) -> int:
        """In bytes."""
        return 16 if self.extended_l2 else 8


def parse_header(data: bytes, name: str, file_length: int) -> Header:
    """Reads the header of the image `name` from its first bytes, at most 2 MiB of them.

    Raises SouthbridgeError if it isn't one that this reader knows, or if what it refers to isn't within the file.
    """

    def require(condition: bool, message: str) -> None:
        if not condition:
            raise SouthbridgeError(f"{name}: {message}")

    require(
        data.startswith(MAGIC),
        "not a qcow2 image: expected the bytes 'QFI\\xfb' at its start" if data else "the file is empty",
    )
    require(len(data) >= _FIXED.size, f"truncated: {len(data)} bytes, less than a qcow2 header")
    (
        _,
        version,
        backing_offset,
        backing_length,
        cluster_bits,
        size,
        encryption,
        l1_entries,
        l1_offset,
        refcount_table_offset,
        refcount_table_clusters,
        _,
        _,
    ) = _FIXED.unpack_from(data)
    require(version in (2, 3), f"qcow2 version {version}; expected 2 or 3")
    require(9 <= cluster_bits <= 21, f"clusters of 2**{cluster_bits} bytes; expected 2**9 to 2**21")
    cluster_size = 1 << cluster_bits

    features, refcount_order, header_length = 0, 4, _FIXED.size
    if version == 3:
        require(len(data) >= _FIXED.size + _VERSION_3.size, f"truncated: {len(data)} bytes, less than a qcow2 header")
        features, _, _, refcount_order, header_length = _VERSION_3.unpack_from(data, _FIXED.size)
        require(104 <= header_length <= cluster_size and header_length % 8 == 0, f"wrong header length {header_length}")
        require(refcount_order <= 6, f"reference counts of 2**{refcount_order} bits; expected at most 2**6")
    require(len(data) >= header_length, f"truncated: {len(data)} bytes, less than its header's {header_length}")

    extensions = _extensions(data[header_length:cluster_size], name)
    if unknown := features & ~_KNOWN:
        names = _feature_names(extensions.get(_FEATURE_NAMES, b""), unknown)
        raise SouthbridgeError(f"{name}: needs qcow2 features that are not supported: {', '.join(names)}")
    require(not features & _EXTERNAL_DATA, "its data is in an external data file, which is not supported")
    require(
        encryption == 0,
        f"encrypted ({_ENCRYPTION.get(encryption, f'method {encryption}')}), which is not supported; "
        "decrypt it with `qemu-img convert`",
    )
    compression = data[104] if version == 3 and header_length > 104 else 0
    require(bool(features & _COMPRESSION_TYPE) == (compression != 0), "contradicts itself about its compression type")
    require(compression in _COMPRESSION, f"compression type {compression}, which is not supported")
    extended_l2 = bool(features & _EXTENDED_L2)
    require(not extended_l2 or cluster_bits >= 14, "extended L2 entries with clusters of less than 16 KiB")

    require(size > 0, "the disk in it is empty; expected a size")
    per_l1_entry = cluster_size * (cluster_size // (16 if extended_l2 else 8))
    l1_needed = -(-size // per_l1_entry)
    require(l1_needed * 8 <= L1_LIMIT, f"a disk of {size} bytes needs an L1 table of more than {L1_LIMIT} bytes")
    require(l1_entries >= l1_needed, f"{l1_entries} L1 entries are too few for a disk of {size} bytes")
    require(l1_offset % cluster_size == 0, f"its L1 table, at {l1_offset:#x}, isn't at a cluster's start")
    require(
        0 < l1_offset <= file_length - l1_needed * 8,
        f"truncated or corrupt: its L1 table, {l1_needed * 8} bytes at {l1_offset:#x}, is beyond the file's end",
    )

    backing_file = None
    if backing_offset:
        end = backing_offset + backing_length
        require(
            1 <= backing_length <= 1023
            and header_length <= backing_offset
            and end <= cluster_size
            and end <= len(data),
            "the place of its backing file's name is wrong",
        )
        backing_file = data[backing_offset:end]
        require(b"\0" not in backing_file, "its backing file's name has a zero byte")
    backing_format = extensions.get(_BACKING_FORMAT)
    return Header(
        version=version,
        cluster_size=cluster_size,
        size=size,
        l1_entries=l1_needed,
        l1_offset=l1_offset,
        refcount_table_offset=refcount_table_offset,
        refcount_table_size=refcount_table_clusters * cluster_size,
        refcount_order=refcount_order,
        dirty=bool(features & _DIRTY),
        corrupt=bool(features & _CORRUPT),
        extended_l2=extended_l2,
        compression=_COMPRESSION[compression],
        backing_file=backing_file,
        backing_format=backing_format.decode("ascii", "backslashreplace") if backing_format else None,
    )


def _extensions(area: bytes, name: str) -> dict[int, bytes]:
    """The header extensions by type; the backing file's name, which may follow, comes after their end mark."""
    extensions: dict[int, bytes] = {}
    position = 0
    while position + 8 <= len(area):
        kind, length = struct.unpack_from(">II", area, position)
        if kind == _END_OF_EXTENSIONS:
            break
        position += 8
        if length > len(area) - position:
            raise SouthbridgeError(f"{name}: truncated or corrupt: header extension {kind:#010x} is too long")
        extensions[kind] = area[position : position + length]
        position += -(-length // 8) * 8
    return extensions


def _feature_names(table: bytes, features: int) -> Iterator[str]:
    """What the image itself calls the incompatible `features`; "bit 17" where it has no name for one."""
    names = {
        table[start + 1]: table[start + 2 : start + 48].rstrip(b"\0").decode("ascii", "backslashreplace")
        for start in range(0, len(table) - 47, 48)
        if table[start] == 0
    }
    for bit in range(64):
        if features >> bit & 1:
            yield names.get(bit, f"bit {bit}")
