"""How a student's features are matched to the teacher's: regressors, embeddings, and the stages of a review."""

import pytest
import torch
from terms_on_features import Shapes, drawn

from distill_tune.distillation.losses._projectors import Embeddings, Regressor
from distill_tune.distillation.losses._review import Fusion, Review


def test_crds_features_lie_on_a_sphere() -> None:
    for each in Embeddings((3, 2, 2), (5,), 16).double()(*drawn([(3, 2, 2), (5,)])):
        torch.testing.assert_close(each.norm(dim=1), torch.ones(8, dtype=torch.float64))


def test_a_stage_is_reviewed_with_all_deeper_ones_and_no_shallower() -> None:
    ours: Shapes = [(3, 8, 8), (4, 4, 4), (5, 2, 2)]
    theirs: Shapes = [(6, 8, 8), (7, 4, 4), (8, 2, 2)]
    review = Review(ours, theirs, 512).double().eval()
    teachers = drawn(theirs)
    before = review(drawn(ours), teachers)
    assert [tuple(student.shape[1:]) for student, _ in before] == theirs
    for changed in range(3):
        students = drawn(ours)
        students[changed] = students[changed] + 1
        after = review(students, teachers)
        same = [torch.equal(one[0], other[0]) for one, other in zip(before, after, strict=True)]
        assert same == [stage > changed for stage in range(3)]


def test_fusion_shares_out_each_place_between_the_stage_and_the_deeper_one() -> None:
    """Figure 4a: two attention maps from both, one for each; smaller maps are enlarged by nearest neighbours."""
    fusion = Fusion(3, 4, 5, is_deepest=False).double().eval()
    stage, deeper = drawn([(3, 4, 4), (4, 2, 2)])
    _, went_on = fusion(stage, deeper)
    own, large = fusion.enter(stage), deeper.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert fusion.attend is not None
    weight, bias = fusion.attend.weight[:, :, 0, 0], fusion.attend.bias
    assert bias is not None
    scores = torch.einsum("oc,bchw->bohw", weight, torch.cat([own, large], 1)) + bias[None, :, None, None]
    shares = 1 / (1 + (-scores).exp())
    torch.testing.assert_close(went_on, own * shares[:, :1] + large * shares[:, 1:])


@pytest.mark.parametrize(
    ("student", "teacher", "meets"),
    [
        ((5,), (4,), (4,)),
        ((5, 8, 6), (4, 4, 6), (4, 4, 6)),
        ((5, 2, 2), (4, 4, 6), (4, 2, 2)),
        ((5, 2, 7), (4, 4, 6), (4, 2, 6)),
        ((5,), (4, 3, 3), (4,)),
        ((5, 3, 3), (4,), (4,)),
    ],
)
def test_a_regressor_joins_any_two_features_at_the_smaller_size(
    student: tuple[int, ...], teacher: tuple[int, ...], meets: tuple[int, ...]
) -> None:
    regressor = Regressor(student, teacher).double()
    for each in regressor(*drawn([student, teacher])):
        assert tuple(each.shape) == (8, *meets)
    assert sum(p.numel() for p in regressor.parameters()) == 5 * 4 + 4


def test_sizes_are_joined_by_the_mean_over_the_places() -> None:
    (student,), (teacher,) = drawn([(3, 2, 2)]), drawn([(4, 4, 4)])
    _, brought_down = Regressor((3, 2, 2), (4, 4, 4)).double()(student, teacher)
    torch.testing.assert_close(brought_down, teacher.view(8, 4, 2, 2, 2, 2).mean((3, 5)))
