"""Which usage of the keyboard page each key is (HID Usage Tables 1.12, chapter 10)."""

from __future__ import annotations


def _row(first: int, names: str) -> dict[str, int]:
    return {name: first + index for index, name in enumerate(names.split())}


USAGES: dict[str, int] = {
    **_row(0x04, "a b c d e f g h i j k l m n o p q r s t u v w x y z"),
    **_row(0x1E, "1 2 3 4 5 6 7 8 9 0 ret esc backspace tab spc minus equal bracket_left bracket_right backslash"),
    **_row(0x33, "semicolon apostrophe grave_accent comma dot slash caps_lock"),
    **_row(0x3A, "f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 print scroll_lock pause insert home pgup delete end pgdn"),
    **_row(0x4F, "right left down up num_lock kp_divide kp_multiply kp_subtract kp_add kp_enter"),
    **_row(0x59, "kp_1 kp_2 kp_3 kp_4 kp_5 kp_6 kp_7 kp_8 kp_9 kp_0 kp_decimal less compose power"),
    **_row(0x87, "ro hiragana yen henkan muhenkan"),
    **_row(0xE0, "ctrl shift alt meta_l ctrl_r shift_r alt_r meta_r"),
    "sysrq": 0x46,
}
"""By QEMU's names."""

FIRST_MODIFIER, LAST_MODIFIER = 0xE0, 0xE7
LAST_USAGE = LAST_MODIFIER
ROLL_OVER = 0x01
"""In the place of every key: more are down than a report has room for."""
