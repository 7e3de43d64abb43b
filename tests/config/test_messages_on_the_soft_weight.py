"""A `soft_weight` of 1 is refused if then no term says which class is which."""

from typing import Any, ClassVar

import pytest
from refusals import cases, check, parse, refused

from distill_tune.distillation.losses import Loss
from distill_tune.registry import LOSSES

SAYS_IT = "Write 0.9 in place of 1, or add a term that says it, such as loss.also.soft_targets = 1.0."
GIVE = SAYS_IT.replace("1, or", "1, give {} a value above 0, or")


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
loss = {{ kind = 'dkd', soft_weight = 1, dkd = {{ target_weight = 0 }} }}
    loss.soft_weight: must be below 1 with kind = 'dkd', which does not say which class is which where
    loss.dkd.target_weight is 0, but got 1. {GIVE.format("loss.dkd.target_weight")}
loss = {{ kind = ['soft_targets', 'dist'], soft_weight = 1, dist = {{ inter_weight = {{ choice = [1.0, 0.0] }} }} }}
    loss.soft_weight: must be below 1 with kind = 'dist', which does not say which class is which where
    loss.dist.inter_weight is 0, but got 1. {GIVE.format("loss.dist.inter_weight")}
loss = {{ kind = 'mlkd', soft_weight = 1, mlkd = {{ instance_weight = {{ int = [0, 2] }} }} }}
    loss.soft_weight: must be below 1 with kind = 'mlkd', which does not say which class is which where
    loss.mlkd.instance_weight is 0, but got 1. {GIVE.format("loss.mlkd.instance_weight")}
loss = {{ kind = 'vid', soft_weight = 1, also = {{ dkd = 1 }}, dkd = {{ target_weight = {{ choice = [1.0, 0.0] }} }} }}
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
        "{ kind = 'dkd', soft_weight = 1, dkd = { non_target_weight = 0 } }",
        "{ kind = 'dkd', soft_weight = 1, dkd = { target_weight = { uniform = [0, 2] }, non_target_weight = 2 } }",
        "{ kind = 'dkd', soft_weight = 0.9, dkd = { target_weight = 0 } }",
        "{ kind = 'dkd', soft_weight = 1, dkd = { target_weight = 0 }, also = { soft_targets = 1 } }",
        "{ kind = 'dist', soft_weight = 1, dist = { intra_weight = 0 } }",
        "{ kind = 'mlkd', soft_weight = 1, mlkd = { batch_weight = 0, class_weight = 0 } }",
    ],
)
def test_a_weight_of_1_is_allowed_where_somebody_says_which_class_is_which(loss: str) -> None:
    parse(f"loss = {loss}")


class Mute(Loss):
    """A custom loss that never says which class is which."""

    names_classes: ClassVar[bool] = False

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        return (student_logits.std() - teacher_logits.std()).square()


class Parted(Mute):
    """A custom loss that says so by one of its parts."""

    names_classes: ClassVar[bool] = True
    naming_weights: ClassVar[tuple[str, ...]] = ("each",)
    each: float = 1.0


MUTE, PARTED = (f"'test_messages_on_the_soft_weight:{name}'" for name in ("Mute", "Parted"))


@pytest.mark.parametrize(
    "loss",
    [
        f"kind = {MUTE}",
        f"kind = {PARTED}, {PARTED} = {{ each = 0.0 }}",
        f"kind = {PARTED}, {PARTED} = {{ each = {{ choice = [1.0, 0.0] }} }}",
        f"kind = 'sp', also = {{ {MUTE} = 1 }}",
    ],
)
def test_a_loss_of_ones_own_that_does_not_say_so_cannot_have_all_the_weight_either(loss: str) -> None:
    assert "which does not say which class is which" in refused(f"loss = {{ soft_weight = 1, {loss} }}")


@pytest.mark.parametrize(
    "loss",
    [
        f"kind = {PARTED}",
        f"kind = {PARTED}, {PARTED} = {{ each = {{ uniform = [0.0, 1.0] }} }}",
        f"kind = {MUTE}, also = {{ {PARTED} = 1 }}",
    ],
)
def test_a_loss_of_ones_own_that_says_so_can_have_all_the_weight(loss: str) -> None:
    parse(f"loss = {{ soft_weight = 1, {loss} }}")
