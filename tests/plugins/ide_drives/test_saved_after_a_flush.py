"""Found by `southbridge fuzz ide-hd --seed 39267`: a program saved the machine before its image had answered."""

from __future__ import annotations

from southbridge.testing.fuzz import replay_program

PROGRAM = """
outl 0xcf8 0x80000904
outw 0xcfc 0x7
outl 0xcf8 0x80000940
outl 0xcfc 0x80008000
outb 0x1f7 0xea
save_load
"""


def test_what_the_image_has_under_way_is_waited_for() -> None:
    replay_program("ide-hd", PROGRAM)
