"""Whether a qcow2 file was cut off, as an interrupted download is, found when it is opened rather than by the guest.

Reading every L2 table of a large image would take seconds. The reference counts tell at once which cluster is the last
in use (qcow2 specification, "Host cluster management"); only where that one lies beyond the file's end are the
tables read, since after a crash a counted cluster may never have been written, and nothing refers to it.
"""

from __future__ import annotations

import struct

from southbridge.errors import SouthbridgeError
from southbridge.units import MiB

from .layer import Qcow2Layer

_REFCOUNT_TABLE_LIMIT = 8 * MiB


def refuse_truncated(layer: Qcow2Layer) -> None:
    """Raises SouthbridgeError if an L2 entry refers to data beyond the file's end."""
    file = layer.file
    if _last_counted(layer) < file.length:
        return
    entry_words = layer.header.l2_entry_size // 8
    for table in layer.l2_tables():
        data = file.read(table, layer.header.cluster_size)
        entries = struct.unpack(f">{len(data) // 8}Q", data)[::entry_words]
        for host, _ in map(layer.entry_host, entries):
            if host >= file.length:
                raise SouthbridgeError(
                    f"{file.path}: truncated: it refers to data at offset {host}, but the file ends at {file.length}"
                )


def _last_counted(layer: Qcow2Layer) -> int:
    """The file offset of about the last cluster that has a reference count; never one after it. 0 if unknown."""
    header, file = layer.header, layer.file
    if header.dirty or header.refcount_table_size > _REFCOUNT_TABLE_LIMIT:
        return 0
    if header.refcount_table_offset >= file.length:
        return 0
    table = file.read(header.refcount_table_offset, header.refcount_table_size)
    index = (len(table.rstrip(b"\0")) - 1) // 8
    if index < 0 or len(table) < index * 8 + 8:
        return 0
    (block_offset,) = struct.unpack_from(">Q", table, index * 8)
    block = file.read(block_offset & ~0x1FF, header.cluster_size) if block_offset < file.length else b""
    # Counts narrower than a byte share one: the first of them then stands for all.
    within = max(len(block.rstrip(b"\0")) - 1, 0) * 8 >> header.refcount_order
    return (index * (header.cluster_size * 8 >> header.refcount_order) + within) * header.cluster_size
