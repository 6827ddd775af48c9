"""Which pages the guest stored to, on KVM: none missed, none reported that wasn't."""

# ruff: noqa: F401 - pytest runs them because they are here, with this folder's fixture `machine`

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.accelerators.kvm.guest import KvmMachine
from tests.accelerators.unicorn.test_stores import (
    ACCESSES,
    check_rounds,
    guest,
    test_a_device_that_asks_in_the_guests_own_access,
    test_a_window_that_moves_over_the_memory,
    test_no_longer_recorded_and_again,
    test_nothing_is_lost_while_the_guest_runs_on,
    test_what_was_stored_before_the_map_changed_is_not_lost,
)


@settings(max_examples=15, deadline=None)
@given(st.lists(ACCESSES, min_size=1, max_size=3))
def test_exactly_the_pages_that_were_stored_to(rounds: list[list[tuple[int, bool]]]) -> None:
    check_rounds(KvmMachine, rounds)
