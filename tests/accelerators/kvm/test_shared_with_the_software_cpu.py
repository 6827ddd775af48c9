"""What the software CPU must do, KVM must do too. Left out is what depends on modes that some hosts' KVM lacks."""

# ruff: noqa: F401 - pytest runs them because they are here, with this folder's fixture `machine`

from tests.accelerators.unicorn.test_exceptions import test_strict_device
from tests.accelerators.unicorn.test_interrupts import (
    test_halt_and_wake,
    test_halt_without_interrupts,
    test_interrupts_off,
    test_nmi_wakes,
    test_no_controller,
    test_request_withdrawn,
    test_requested_nmi_is_saved_and_wakes,
)
from tests.accelerators.unicorn.test_kicks import (
    test_kick_after_close_is_harmless,
    test_kick_before_run,
    test_kick_in_a_port_access,
    test_kick_while_halted,
    test_kicks_before_one_run_are_one,
    test_no_kick_is_lost,
    test_read_modify_write_is_exact_under_kicks,
    test_string_instructions_are_exact_under_kicks,
)
from tests.accelerators.unicorn.test_memory import (
    test_access_across_the_end_of_memory,
    test_code_runs_from_rom,
    test_device_memory,
    test_memory_appears_where_the_guest_looked_before,
    test_nothing_reads_as_ones,
    test_ram_above_4_gib,
    test_remap_from_another_thread,
    test_remap_shows_in_the_next_instruction,
    test_stores_to_rom_are_lost,
    test_stores_to_rom_that_somebody_wants,
)
from tests.accelerators.unicorn.test_state import test_swap_in_halt
