"""The conformance suite among the project's own tests, and a log of its kind that stays."""

from __future__ import annotations

from southbridge.testing import DeviceChecks, replay

conformance = DeviceChecks("abacus")

LOG = """\
device: abacus
check: random_accesses_do_no_harm
memory: flat
seed: 0
accesses:
  write bar0 0x4 4 0x0
  advance 1000
"""


def test_no_beads_are_pushed() -> None:
    """A wire on which nothing is pushed is done at once."""
    replay("abacus", LOG)
