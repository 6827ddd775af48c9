"""What a keyboard sends for each key, in scan code sets 1, 2 and 3 (IBM PS/2 Hardware Interface Technical Reference).

A key is named by its make code in set 1, with E0h before it as the high byte: 1Eh is A, E04Dh is cursor right. Two keys
send more than one code: print screen (E037h) and pause (E11Dh).
"""

from __future__ import annotations

PRINT_SCREEN = 0xE037
PAUSE = 0xE11D
EXTENDED = 0xE0
RELEASED = 0xF0
"""In sets 2 and 3 this comes before the code of a key that is released."""

TO_SET_1 = bytes.fromhex(
    "ff 43 41 3f 3d 3b 3c 58 64 44 42 40 3e 0f 29 59"
    "65 38 2a 70 1d 10 02 5a 66 71 2c 1f 1e 11 03 5b"
    "67 2e 2d 20 12 05 04 5c 68 39 2f 21 14 13 06 5d"
    "69 31 30 23 22 15 07 5e 6a 72 32 24 16 08 09 5f"
    "6b 33 25 17 18 0b 0a 60 6c 34 35 26 27 19 0c 61"
    "6d 73 28 74 1a 0d 62 6e 3a 36 1c 1b 75 2b 63 76"
    "55 56 77 78 79 7a 0e 7b 7c 4f 7d 4b 47 7e 7f 6f"
    "52 53 50 4c 4d 48 01 45 57 4e 51 4a 37 49 46 54"
)
"""What the controller makes of each byte below 80h of set 2."""

_FROM_SET_1 = {code: index for index, code in enumerate(TO_SET_1)} | {0x41: 0x83, 0x54: 0x84}

_SET_3 = {
    0x01: 0x08,  # escape
    **dict(
        zip(range(0x3B, 0x45), (0x07, 0x0F, 0x17, 0x1F, 0x27, 0x2F, 0x37, 0x3F, 0x47, 0x4F), strict=True)
    ),  # F1 to F10
    0x57: 0x56,  # F11
    0x58: 0x5E,  # F12
    PRINT_SCREEN: 0x57,
    0x46: 0x5F,  # scroll lock
    PAUSE: 0x62,
    0x2B: 0x5C,  # backslash
    0x3A: 0x14,  # caps lock
    0x56: 0x13,  # the key beside left shift
    0x1D: 0x11,  # left control
    0x38: 0x19,  # left alt
    0xE01D: 0x58,  # right control
    0xE038: 0x39,  # right alt
    0xE052: 0x67,  # insert
    0xE053: 0x64,  # delete
    0xE04B: 0x61,  # left
    0xE047: 0x6E,  # home
    0xE04F: 0x65,  # end
    0xE048: 0x63,  # up
    0xE050: 0x60,  # down
    0xE049: 0x6F,  # page up
    0xE051: 0x6D,  # page down
    0xE04D: 0x6A,  # right
    0x45: 0x76,  # num lock
    0xE035: 0x77,  # the keypad's /
    0x37: 0x7E,  # the keypad's *
    0x4A: 0x84,  # the keypad's -
    0x4E: 0x7C,  # the keypad's +
    0xE01C: 0x79,  # the keypad's enter
    0xE05B: 0x8B,  # left Windows key
    0xE05C: 0x8C,  # right Windows key
    0xE05D: 0x8D,  # menu
}


def is_key(key: int) -> bool:
    """Whether `key` names a key."""
    return key == PAUSE or (key >> 8 in (0, EXTENDED) and 0 < key & 0xFF < 0x80)


def codes(key: int, pressed: bool, scan_set: int) -> bytes:
    """What a keyboard using `scan_set` (1, 2 or 3) sends when `key` is pressed or released."""
    if scan_set == 3:
        code = _SET_3.get(key, _FROM_SET_1[key & 0x7F])
        return bytes([code]) if pressed else bytes([RELEASED, code])
    if key == PAUSE:
        both = [0xE1, *_in_set(0x1D, True, scan_set), *_in_set(0x45, True, scan_set)]
        both += [0xE1, *_in_set(0x1D, False, scan_set), *_in_set(0x45, False, scan_set)]
        return bytes(both) if pressed else b""
    if key == PRINT_SCREEN:
        parts = [0x2A, 0x37] if pressed else [0x37, 0x2A]
        return b"".join(bytes([EXTENDED]) + _in_set(part, pressed, scan_set) for part in parts)
    prefix = bytes([EXTENDED]) if key >> 8 else b""
    return prefix + _in_set(key & 0x7F, pressed, scan_set)


def _in_set(code: int, pressed: bool, scan_set: int) -> bytes:
    """A code of set 1, without its prefix, in set 1 or 2."""
    if scan_set == 1:
        return bytes([code if pressed else code | 0x80])
    code = _FROM_SET_1[code]
    return bytes([code]) if pressed else bytes([RELEASED, code])


def translated(byte: int) -> int:
    """What the controller makes of a byte from the keyboard, other than the prefix of a released key."""
    if byte < 0x80:
        return TO_SET_1[byte]
    return {0x83: 0x41, 0x84: 0x54}.get(byte, byte)
