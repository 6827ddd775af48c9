"""SMART data of a disk that is always well (ATA/ATAPI-6, section 8.55, and the vendors' common attribute table)."""

from __future__ import annotations

from .words import with_checksum

RAW_READ_ERROR_RATE = 1
SPIN_UP_TIME = 3
START_STOP_COUNT = 4
REALLOCATED_SECTORS = 5
POWER_ON_HOURS = 9
POWER_CYCLES = 12
TEMPERATURE = 190

ATTRIBUTES = (
    # id, flags, value, worst, raw value, threshold
    (RAW_READ_ERROR_RATE, 0x0003, 100, 100, 0, 6),
    (SPIN_UP_TIME, 0x0003, 100, 100, 16, 0),
    (START_STOP_COUNT, 0x0002, 100, 100, 100, 20),
    (REALLOCATED_SECTORS, 0x0003, 100, 100, 0, 36),
    (POWER_ON_HOURS, 0x0003, 100, 100, 1, 0),
    (POWER_CYCLES, 0x0003, 100, 100, 0, 0),
    (TEMPERATURE, 0x0003, 69, 69, 31, 50),
)
VERSION = 1
SELF_TEST_LOG = 6
ERROR_LOG = 1


def attribute_data(last_test: int, offline_status: int) -> bytes:
    """SMART READ DATA: the attributes, and how the last self-test and off-line collection ended."""
    data = bytearray(512)
    data[0:2] = VERSION.to_bytes(2, "little")
    for index, (number, flags, value, worst, raw, _) in enumerate(ATTRIBUTES):
        at = 2 + 12 * index
        data[at : at + 5] = bytes([number, flags & 0xFF, flags >> 8, value, worst])
        data[at + 5 : at + 11] = raw.to_bytes(6, "little")
    data[362] = offline_status
    data[363] = last_test
    data[364:366] = (0x120).to_bytes(2, "little")  # seconds of an off-line collection
    data[367] = 0x19  # off-line immediate, self-test, off-line surface scan
    data[368:370] = (0x0003).to_bytes(2, "little")  # saves attributes
    data[370] = 0x01  # error logging
    data[372] = 2  # minutes of a short self-test
    data[373] = 54  # minutes of an extended one
    return with_checksum(data)


def thresholds() -> bytes:
    """SMART READ ATTRIBUTE THRESHOLDS."""
    data = bytearray(512)
    data[0:2] = VERSION.to_bytes(2, "little")
    for index, (number, _, _, _, _, threshold) in enumerate(ATTRIBUTES):
        data[2 + 12 * index] = number
        data[3 + 12 * index] = threshold
    return with_checksum(data)


def log(address: int) -> bytes | None:
    """SMART READ LOG of one sector: the directory (0), the error log or the self-test log; None for others."""
    data = bytearray(512)
    if address == 0:
        data[0] = VERSION
        data[2 * ERROR_LOG] = data[2 * SELF_TEST_LOG] = 1
        return bytes(data)
    if address in (ERROR_LOG, SELF_TEST_LOG):
        data[0] = VERSION
        return with_checksum(data)
    return None
