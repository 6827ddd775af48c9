"""The pair of 8259A: struct kvm_pic_state.

KVM's has the chipset's edge/level registers (ELCR) in it, and knows neither single mode nor ICW1's LTIM.
"""

from __future__ import annotations

import copy
from typing import Any

from ..structures import PicState

_ICW = {0: 0, 2: 1, 3: 2, 4: 3}
"""By the initialization command word that is expected: KVM's `init_state`."""
_EXPECTED = {state: word for word, state in _ICW.items()}
ELCR_MASKS = (0xF8, 0xDE)
CASCADE = 1 << 2

CHIPS = ("master", "slave")


def to_kvm(saved: dict[str, Any], level_triggered: int, is_master: bool) -> PicState:
    """`saved` is the state of one chip; `level_triggered` are its inputs that ELCR makes so."""
    registers, state = saved["registers"], saved["state"]
    lines = state["lines"]
    return PicState(
        last_irr=lines,
        irr=lines & (state["edges"] | level_triggered | (0xFF if state["level_mode"] else 0)),
        imr=registers["IMR"],
        isr=registers["ISR"],
        priority_add=state["lowest"] + 1 & 7,
        irq_base=state["base"],
        read_reg_select=state["reads_isr"],
        poll=state["polled"],
        special_mask=state["special_mask"],
        init_state=_ICW.get(state["next_icw"], 0),
        auto_eoi=state["auto_eoi"],
        rotate_on_auto_eoi=state["rotates"],
        special_fully_nested_mode=state["special_nested"],
        init4=state["needs_icw4"],
        elcr=level_triggered,
        elcr_mask=ELCR_MASKS[not is_master],
    )


def from_kvm(pic: PicState, before: dict[str, Any], lines: int, cascade: bool) -> dict[str, Any]:
    """The state of one chip that was `before` when KVM took it over, and whose inputs are `lines` now.

    KVM remembers an edge whose line has dropped since; an 8259A doesn't. `cascade` is the level of the master's IR2.
    """
    saved = copy.deepcopy(before)
    if cascade:
        lines |= CASCADE
    initialized = saved["state"]["ready"] or bool(pic.irq_base) or bool(pic.isr)
    saved["registers"] |= {"IMR": pic.imr, "ISR": pic.isr}
    saved["state"] |= {
        "lines": lines,
        "edges": (pic.irr | (CASCADE if cascade else 0)) & lines,
        "next_icw": _EXPECTED.get(pic.init_state, 0),
        "ready": not pic.init_state and initialized,
        "needs_icw4": bool(pic.init4),
        "base": pic.irq_base & 0xF8,
        "special_nested": bool(pic.special_fully_nested_mode),
        "auto_eoi": bool(pic.auto_eoi),
        "special_mask": bool(pic.special_mask),
        "rotates": bool(pic.rotate_on_auto_eoi),
        "lowest": pic.priority_add - 1 & 7,
        "polled": bool(pic.poll),
        "reads_isr": bool(pic.read_reg_select),
    }
    return saved
