"""Spaces with fewer combinations than trials: told beforehand, and not refused."""

from typing import Any

import pytest
from fitted_spaces import fitted, space_with

from distill_tune.tuning.planning.early_warnings import early_warnings

FIXED: dict[str, Any] = {"loss": {"temperature": 4.0}, "optim": {"learning_rate": 0.01, "precision": "float32"}}
"""Leaves the widths of the student, of which there are three."""
SO = "so trials will repeat each other; use search.sampler = 'grid', which tries each once, or lower search.trials"


def test_a_search_of_more_trials_than_combinations_is_warned_of_and_not_refused(preparation: Any) -> None:
    _, said = fitted(preparation, **FIXED, search={"trials": 64})
    assert said == [f"warning: search.trials = 64, but this space has at most 3 combinations of values, {SO}"]


@pytest.mark.parametrize(
    ("search", "student", "many"),
    [
        ({"trials": 3}, {}, None),
        ({"trials": 4}, {}, "at most 3 combinations"),
        ({"trials": 2}, {"mlp": {"widths": [8]}}, "one combination"),
        ({"trials": 1}, {"mlp": {"widths": [8]}}, None),
        ({"trials": 64, "sampler": "grid"}, {}, None),
        ({"trials": 64}, {"mlp": {"dropout": {"uniform": [0.0, 0.5]}}}, None),
    ],
)
def test_what_is_counted_is_what_trials_can_differ_in(
    preparation: Any, search: dict[str, Any], student: dict[str, Any], many: str | None
) -> None:
    found = [*early_warnings(space_with(**FIXED, search=search, student=student), preparation.dataset)]
    told = f"search.trials = {search['trials']}, but this space has {many} of values, {SO}"
    assert found == ([] if many is None else [told])
