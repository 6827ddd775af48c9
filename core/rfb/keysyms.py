"""X11's keysyms (X Window System Protocol, appendix A) as keys of a US keyboard, by QEMU's names.

Characters are keys with or without Shift; a client that knows which key it was says so by extended key events.
"""

from __future__ import annotations

_PLAIN = {
    "grave_accent": "`~",
    **{digit: digit + shifted for digit, shifted in zip("1234567890", "!@#$%^&*()", strict=True)},
    "minus": "-_",
    "equal": "=+",
    "bracket_left": "[{",
    "bracket_right": "]}",
    "backslash": "\\|",
    "semicolon": ";:",
    "apostrophe": "'\"",
    "comma": ",<",
    "dot": ".>",
    "slash": "/?",
    "spc": " ",
    **{letter: letter + letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"},
}

CHARACTERS: dict[int, tuple[str, bool]] = {
    ord(character): (key, bool(place)) for key, both in _PLAIN.items() for place, character in enumerate(both)
}
"""Keysyms of characters are their codes: the key, and whether it is with Shift."""


def _row(first: int, names: str) -> dict[int, str]:
    """Keysyms one after the other; "." leaves one out."""
    return {first + index: name for index, name in enumerate(names.split()) if name != "."}


KEYS: dict[int, str] = {
    **_row(0xFF08, "backspace tab"),
    0xFF0D: "ret",
    **_row(0xFF13, "pause scroll_lock sysrq"),
    0xFF1B: "esc",
    **_row(0xFF50, "home left up right down pgup pgdn end"),
    0xFF61: "print",
    0xFF63: "insert",
    0xFF67: "compose",  # Menu
    0xFF6B: "pause",  # Break
    0xFF7E: "alt_r",  # Mode_switch
    0xFF7F: "num_lock",
    0xFF8D: "kp_enter",
    **_row(0xFF95, "kp_7 kp_4 kp_8 kp_6 kp_2 kp_9 kp_3 kp_1 kp_5 kp_0 kp_decimal"),
    **_row(0xFFAA, "kp_multiply kp_add . kp_subtract kp_decimal kp_divide"),
    **_row(0xFFB0, "kp_0 kp_1 kp_2 kp_3 kp_4 kp_5 kp_6 kp_7 kp_8 kp_9"),
    **_row(0xFFBE, "f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12"),
    **_row(0xFFE1, "shift shift_r ctrl ctrl_r caps_lock"),
    **_row(0xFFE7, "alt alt_r alt alt_r meta_l meta_r"),  # Meta, Alt, Super
    0xFE03: "alt_r",  # ISO_Level3_Shift
    0xFE20: "tab",  # ISO_Left_Tab: with Shift
    0xFFFF: "delete",
    **_row(0xFF22, "muhenkan henkan"),
    0xFF27: "hiragana",
}
"""Keysyms of keys."""


def key_of(keysym: int) -> tuple[str, bool | None] | None:
    """The key, and for a character whether it is with Shift."""
    character = CHARACTERS.get(keysym)
    if character is not None:
        return character
    key = KEYS.get(keysym)
    return None if key is None else (key, None)
