"""The cipher of VNC's passwords: DES (FIPS 46-3) with a block at a time, and keys whose bytes have their bits reversed.

No library of Python's own has it, for good reasons: it protects nobody. It is here since each client knows it; who
wants secrecy uses TLS. Bits are numbered from 1, the leftmost, as in the standard.
"""

from __future__ import annotations

from collections.abc import Sequence

_IP = (2, 4, 6, 8, 1, 3, 5, 7)
INITIAL = [8 * row + column for column in _IP for row in range(7, -1, -1)]
"""IP: the initial permutation."""
FINAL = [INITIAL.index(bit) + 1 for bit in range(1, 65)]
EXPANSION = [(4 * group + bit - 1) % 32 + 1 for group in range(8) for bit in range(6)]
"""E."""
# fmt: off
PERMUTATION = [16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10,
               2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25]
"""P."""
CHOICE_1 = [57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
            63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4]
"""PC-1."""
CHOICE_2 = [14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
            41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32]
"""PC-2."""
SHIFTS = (1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1)
SUBSTITUTION = (
    "e4d12fb83a6c5907" "0f74e2d1a6cb9538" "41e8d62bfc973a50" "fc8249175b3ea06d",
    "f18e6b34972dc05a" "3d47f28ec01a69b5" "0e7ba4d158c6932f" "d8a13f42b67c05e9",
    "a09e63f51dc7b428" "d709346a285ecbf1" "d6498f30b12c5ae7" "1ad069874fe3b52c",
    "7de3069a1285bc4f" "d8b56f03472c1ae9" "a690cb7df13e5284" "3f06a1d8945bc72e",
    "2c417ab6853fd0e9" "eb2c47d150fa3986" "421bad78f9c5630e" "b8c71e2d6f09a453",
    "c1af92680d34e75b" "af427c9561de0b38" "9ef528c3704a1db6" "432c95fabe17608d",
    "4b2ef08d3c975a61" "d0b7491ae35c2f86" "14bdc37eaf680592" "6bd814a7950fe23c",
    "d2846fb1a93e50c7" "1fd8a374c56b0e92" "7b419ce206adf358" "21e74a8dfc90356b",
)
"""S1 to S8: four rows of sixteen digits each."""
# fmt: on

BLOCK = 8
"""The size of a block and of a key, in bytes."""


def encrypt(key: bytes, data: bytes) -> bytes:
    """`data`, whole blocks, each of them by itself (ECB)."""
    keys = _round_keys(key)
    return b"".join(_block(keys, data[start : start + BLOCK]) for start in range(0, len(data), BLOCK))


def answer(password: bytes, challenge: bytes) -> bytes:
    """What a client that knows `password` answers to `challenge` (RFC 6143, section 7.2.2)."""
    key = password[:BLOCK].ljust(BLOCK, b"\0")
    return encrypt(bytes(int(f"{byte:08b}"[::-1], 2) for byte in key), challenge)


def _block(keys: list[int], block: bytes) -> bytes:
    halves = _picked(int.from_bytes(block, "big"), 64, INITIAL)
    left, right = halves >> 32, halves & 0xFFFF_FFFF
    for key in keys:
        left, right = right, left ^ _mixed(right, key)
    return _picked(right << 32 | left, 64, FINAL).to_bytes(BLOCK, "big")


def _mixed(half: int, key: int) -> int:
    """f(R, K)."""
    value = _picked(half, 32, EXPANSION) ^ key
    result = 0
    for box in range(8):
        six = value >> (42 - 6 * box) & 0x3F
        row, column = (six >> 4 & 2) | (six & 1), six >> 1 & 0xF
        result = result << 4 | int(SUBSTITUTION[box][16 * row + column], 16)
    return _picked(result, 32, PERMUTATION)


def _round_keys(key: bytes) -> list[int]:
    chosen = _picked(int.from_bytes(key, "big"), 64, CHOICE_1)
    left, right = chosen >> 28, chosen & 0xFFF_FFFF
    keys = []
    for shift in SHIFTS:
        left, right = (_rotated(half, shift) for half in (left, right))
        keys.append(_picked(left << 28 | right, 56, CHOICE_2))
    return keys


def _rotated(half: int, by: int) -> int:
    return (half << by | half >> (28 - by)) & 0xFFF_FFFF


def _picked(value: int, width: int, bits: Sequence[int]) -> int:
    """The `bits` of `value`, which has `width` of them, in that order."""
    result = 0
    for bit in bits:
        result = result << 1 | value >> (width - bit) & 1
    return result
