"""Loss terms on features: which layers they compare, and what they teach, compiled or not."""

from typing import Any

import pytest
import torch
from small_networks import IMAGE, network
from torch import nn

from distill_tune.distillation.features.anatomy import anatomy_of
from distill_tune.distillation.features.pairing import paired
from distill_tune.distillation.features.tap import Tap, run_tapped
from distill_tune.distillation.losses import FeatureLoss
from distill_tune.distillation.losses.attention import Attention
from distill_tune.distillation.losses.hint import Hint
from distill_tune.distillation.losses.pkt import Pkt
from distill_tune.distillation.losses.vid import Vid
from distill_tune.distillation.training.feature_terms import WithFeatures
from distill_tune.errors import ConfigError
from distill_tune.registry import LOSSES


def pairs(loss: FeatureLoss, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
    found = paired("it", loss, anatomy_of(student, IMAGE), anatomy_of(teacher, IMAGE))
    return list(zip(found.student, found.teacher, strict=True))


def test_layers_are_paired_from_the_end_by_what_a_loss_takes() -> None:
    small, large = network("convnet", depth=1), network("resnet", depth=1, stages=2)
    assert pairs(Vid(), small, large) == [("2", "4")]
    assert pairs(Attention(), large, large) == [("3", "3"), ("4", "4")]
    assert pairs(Hint(), large, small) == [("4", "2")]
    assert pairs(Pkt(), network("mlp"), large) == [("4", "6")]
    assert pairs(Hint(), network("mlp"), large) == [("4", "6")]  # vectors if one side has no maps
    assert pairs(Vid(), network("mlp", widths=[3, 3, 3]), network("mlp", widths=[5, 5])) == [("4", "2"), ("6", "4")]


def test_named_layers_are_taken_as_they_are_and_the_other_sides_found_to_match() -> None:
    small, large = network("convnet", depth=2), network("resnet", depth=1, stages=2)
    assert pairs(Hint(student_layers=["0", "1"], teacher_layers=["4", "0"]), small, large) == [("0", "4"), ("1", "0")]
    assert pairs(Vid(student_layers=["5"]), small, large) == [("5", "4")]
    assert pairs(Hint(teacher_layers=["3", "4"]), small, large) == [("2", "3"), ("5", "4")]


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (Hint(student_layers=["stage1"]), "loss.it.student_layers: the student has no feature 'stage1'. Known: "),
        (
            Hint(teacher_layers=["4.convolution"]),
            "loss.it.teacher_layers: the teacher has no feature '4.convolution'. Did you mean '4.convolutions'? Known",
        ),
        (Attention(), "loss: 'it' compares features, but the student has no feature map; choose another loss, or "),
        (
            Attention(student_layers=["2"]),
            "loss.it: needs two feature maps, but the student's '2' is a vector of 64 and the teacher's '4' is 32 x 4 "
            "x 4; name other layers, or choose another loss.",
        ),
        (Vid(student_layers=["2", "2", "2"], teacher_layers=[]), "loss.it.student_layers: 3 of the student and 2 of "),
    ],
)  # fmt: skip
def test_layers_that_cannot_be_compared_are_refused(loss: FeatureLoss, said: str) -> None:
    student = network("resnet", depth=1) if isinstance(loss, Vid) else network("mlp")
    with pytest.raises(ConfigError) as caught:
        pairs(loss, student, network("resnet", depth=1, stages=2))
    assert str(caught.value).startswith(said)


def taught(student: nn.Module, teacher: nn.Module, **losses: FeatureLoss) -> WithFeatures:
    from distill_tune.distillation.training.feature_terms import FeatureTerm

    ours, theirs = anatomy_of(student, IMAGE), anatomy_of(teacher, IMAGE)
    torch.manual_seed(0)
    return WithFeatures(student, {n: FeatureTerm(loss, paired(n, loss, ours, theirs)) for n, loss in losses.items()})


@pytest.mark.parametrize("name", [name for name in LOSSES.names if not LOSSES.get(name).names_classes])
def test_a_loss_on_features_teaches_all_but_the_last_layer(name: str) -> None:
    options = {"on": "features"} if "on" in LOSSES.get(name).model_fields else {}
    teacher, inputs = network("resnet", depth=1), torch.randn(4, *IMAGE)
    with_terms = taught(student := network("convnet", depth=2), teacher, **{name: LOSSES.get(name)(**options)})
    features = run_tapped(Tap(teacher, with_terms.teacher_layers), teacher, inputs)[1]
    with_terms(inputs, features)[1][name].backward()
    untouched = [name for name, parameter in student.named_parameters() if parameter.grad is None]
    assert untouched == [name for name, _ in student.named_parameters()][-2:]


@pytest.mark.parametrize("of_ones_own", [False, True], ids=["whole", "student compiled by its user"])
def test_features_are_the_same_behind_a_compiler(of_ones_own: bool) -> None:
    """Trace only: the backend needs no C compiler."""
    teacher, inputs = network("resnet", depth=1), torch.randn(4, *IMAGE)
    plain = taught(student := network("convnet", depth=2, norm="none"), teacher, hint=Hint(), vid=Vid())
    features = run_tapped(Tap(teacher, plain.teacher_layers), teacher, inputs)[1]
    expected_logits, expected = plain(inputs, features)
    (expected_logits.sum() + sum(expected.values())).backward()
    gradients = [parameter.grad for parameter in student.parameters()]
    plain.close()
    student.zero_grad()
    if of_ones_own:
        student.network = torch.compile(student.network, backend="eager")  # type: ignore[assignment, arg-type]
        compiled: Any = taught(student, teacher, hint=Hint(), vid=Vid())
    else:
        compiled = torch.compile(taught(student, teacher, hint=Hint(), vid=Vid()), backend="eager")
    for _ in range(2):
        logits, values = compiled(inputs, features)
        torch.testing.assert_close(logits, expected_logits)
        torch.testing.assert_close(values, expected)
        (logits.sum() + sum(values.values())).backward()
        torch.testing.assert_close([parameter.grad for parameter in student.parameters()], gradients)
        student.zero_grad()


def test_the_terms_are_computed_in_float32_whatever_the_precision() -> None:
    teacher, inputs = network("mlp"), torch.randn(4, *IMAGE)
    whole = taught(network("mlp"), teacher, hint=Hint())
    features = run_tapped(Tap(teacher, whole.teacher_layers), teacher, inputs)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, values = whole(inputs, features)
    assert logits.dtype == torch.bfloat16
    assert values["hint"].dtype == torch.float32
