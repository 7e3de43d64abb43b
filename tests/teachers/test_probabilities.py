"""Probabilities are not logits, even if some of their rows were rounded, spoiled or left empty."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distill_tune.errors import TeacherError
from distill_tune.teachers.probabilities import refuse_probabilities

SHARES = np.random.default_rng(2).dirichlet([0.3] * 3, size=200)
LOGITS = [3.0, -1.0, 4.0]


def refused(outputs: np.ndarray, said: str = "^these are probabilities, which a temperature cannot soften; ") -> None:
    with pytest.raises(TeacherError, match=said):
        refuse_probabilities(outputs, "these are")


@pytest.mark.parametrize("whole", [1.0, 100.0])
def test_probabilities_of_which_one_was_rounded_below_0_are_refused(whole: float) -> None:
    shares = SHARES.copy()
    shares[7] = [1 + 2e-16, 0, -2e-16]
    refused(shares * whole)
    refused(np.tile(shares[7:8], (3, 1)) * whole)


@pytest.mark.parametrize("every", [3, 50])
def test_so_are_those_with_rows_that_a_join_has_left_empty(every: int) -> None:
    shares = SHARES.copy()
    shares[4::every] = 0
    count = len(shares[4::every])
    refused(shares, rf"p.clip\(1e-7\)\), after filling the rows that are all 0 \({count}, the first is row 4\)\.$")


def test_so_are_those_of_which_a_few_rows_are_spoiled() -> None:
    shares = SHARES.copy()
    shares[::11] = LOGITS
    refused(shares)


def test_of_probabilities_without_an_empty_row_none_is_mentioned() -> None:
    refused(SHARES, r"p.clip\(1e-7\)\)\.$")


@given(arrays(np.float64, (20, 3), elements=st.floats(-30, 30)))
def test_outputs_of_which_a_third_are_no_distributions_are_logits(outputs: np.ndarray) -> None:
    outputs[::3] = LOGITS
    refuse_probabilities(outputs, "these are")


@pytest.mark.parametrize("rows", [1, 20])
def test_rows_that_are_all_0_are_no_probabilities_by_themselves(rows: int) -> None:
    refuse_probabilities(np.zeros((rows, 3)), "these are")
