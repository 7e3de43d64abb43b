"""A `soft_weight` of 1 is refused if then no term says which class is which."""

import pytest
from refusals import cases, check, parse, refused

from distill_tune.registry import LOSSES

SAYS_IT = "Write 0.9 in place of 1, or add a term that does, such as loss.also.soft_targets = 1.0."


@cases(f"""
loss = {{ kind = 'hint', soft_weight = 1 }}
    loss.soft_weight: must be below 1 with kind = 'hint', which does not say which class is which, but got 1. {SAYS_IT}
loss = {{ kind = ['soft_targets', 'sp'], soft_weight = 1.0 }}
    loss.soft_weight: must be below 1 with kind = 'sp', which does not say which class is which, but got 1.0. {SAYS_IT}
loss = {{ kind = 'rkd', soft_weight = {{ choice = [0.5, 1.0] }} }}
    loss.soft_weight: must be below 1 with kind = 'rkd', which does not say which class is which,
    but got {{ choice = [0.5, 1.0] }}. {SAYS_IT}
loss = {{ kind = 'crd', soft_weight = 1, soft_weight_end = 1 }}
    loss.soft_weight: must be below 1 with kind = 'crd', which does not say which class is which, but got 1. {SAYS_IT}
loss = {{ kind = 'crd', soft_weight = 1, soft_weight_end = {{ choice = [0.5, 1] }} }}
    loss.soft_weight: must be below 1 with kind = 'crd', which does not say which class is which, but got 1. {SAYS_IT}
loss = {{ kind = 'vid', soft_weight = 1, also = {{ pkt = 1 }} }}
    loss.soft_weight: must be below 1 with kind = 'vid', which does not say which class is which, but got 1. {SAYS_IT}
loss = {{ kind = 'vid', soft_weight = 1, also = {{ dkd = 0 }} }}
    loss.soft_weight: must be below 1 with kind = 'vid', which does not say which class is which, but got 1. {SAYS_IT}
loss = {{ kind = 'vid', soft_weight = 1, also = {{ dkd = {{ choice = [0, 1] }} }} }}
    loss.soft_weight: must be below 1 with kind = 'vid', which does not say which class is which, but got 1. {SAYS_IT}
""")
def test_a_weight_that_leaves_nobody_to_say_which_class_is_which(line: str, said: str) -> None:
    check(line, said)


@pytest.mark.parametrize("kind", LOSSES.names)
def test_only_the_losses_that_compare_features_or_samples_alone_cannot_have_all_the_weight(kind: str) -> None:
    lines = f"loss = {{ kind = '{kind}', soft_weight = 1 }}"
    if kind in ("attention", "crd", "hint", "pkt", "reviewkd", "rkd", "sp", "vid"):
        assert f"with kind = {kind!r}" in refused(lines)
    else:
        parse(lines)


@pytest.mark.parametrize(
    "loss",
    [
        "{ kind = 'hint', soft_weight = 0.9, soft_weight_end = 1 }",
        "{ kind = 'hint', soft_weight = 1, soft_weight_end = 0.9 }",
        "{ kind = 'hint', soft_weight = 1, soft_weight_end = { uniform = [0, 1] } }",
        "{ kind = 'hint', soft_weight = { uniform = [0, 1] } }",
        "{ kind = 'hint', soft_weight = 1, also = { pkt = 1, soft_targets = 0.1 } }",
        "{ kind = 'hint', soft_weight = 1, also = { soft_targets = { uniform = [0, 1] } } }",
        "{ kind = 'soft_targets', soft_weight = 1, also = { hint = 1 } }",
        "{ kind = 'labels', soft_weight = 1, also = { hint = 1 } }",
    ],
)
def test_a_weight_of_1_is_allowed_where_somebody_says_which_class_is_which(loss: str) -> None:
    parse(f"loss = {loss}")
