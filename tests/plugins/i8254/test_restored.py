"""Found by `southbridge fuzz i8254 --seed 727808`: a restored timer rests as the saved one did."""

from __future__ import annotations

from southbridge.testing.fuzz import replay_program

PROGRAM = """
outl 0x43 0x3692aa17
outb 0x40 0x7
clock_step 50000
save_load
"""


def test_ticks_that_nobody_hears_are_left_out_after_a_restore_too() -> None:
    replay_program("i8254", PROGRAM)
