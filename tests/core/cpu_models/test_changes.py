"""Features that are added to a model, and taken away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.cpu_models import find_model
from southbridge.cpu_models.features import FEATURES
from southbridge.errors import SouthbridgeError

PLAIN = sorted(set(FEATURES) - {"ht", "cmp-legacy"})
"""Those that don't follow the number of CPUs."""


@given(st.dictionaries(st.sampled_from(PLAIN), st.booleans(), min_size=1))
def test_they_are_as_asked(changes: dict[str, bool]) -> None:
    text = ",".join(f"{'+' if on else '-'}{name}" for name, on in changes.items())
    try:
        model = find_model(f"qemu64,{text}")
    except SouthbridgeError as error:
        assert "needs XSAVE" in str(error)
        return
    expected = {**dict.fromkeys(find_model("qemu64").features, True), **changes}
    assert model.features - {"ht", "cmp-legacy"} == {name for name, on in expected.items() if on} - {"ht", "cmp-legacy"}
    assert model.name == f"qemu64,{text}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("+popcmt", "there is no CPU feature 'popcmt'; did you mean popcnt"),
        ("popcnt=maybe", "expected +FEATURE, -FEATURE, FEATURE=on or FEATURE=off, not 'popcnt=maybe'"),
        ("+popcnt=on", "not '+popcnt=on'"),
        ("", "there is no CPU feature ''"),
        ("+avx", "avx needs XSAVE, which the CPU model qemu64 doesn't have"),
    ],
)
def test_changes_that_cant_be(changes: str, message: str) -> None:
    with pytest.raises(SouthbridgeError) as error:
        find_model(f"qemu64,{changes}")
    assert message in str(error.value)
