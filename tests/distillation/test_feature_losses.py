"""Losses on features: what each keeps to whatever is compared, and its paper's definition, written out in NumPy."""

from collections.abc import Callable
from math import exp, log
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from distill_tune.distillation.losses import FeatureLoss
from distill_tune.distillation.losses._memory import Memory
from distill_tune.distillation.losses._projectors import Embeddings, Regressor
from distill_tune.distillation.losses._review import Fusion, Review
from distill_tune.distillation.losses.attention import attention_loss, attention_map
from distill_tune.distillation.losses.crd import Crd, crd_loss, nce_loss
from distill_tune.distillation.losses.hint import hint_loss
from distill_tune.distillation.losses.pkt import neighbour_probabilities, pkt_loss
from distill_tune.distillation.losses.reviewkd import hierarchical_context_loss
from distill_tune.distillation.losses.sp import sp_loss
from distill_tune.distillation.losses.vid import vid_loss
from distill_tune.distillation.training.feature_terms import FeatureTerm, Pairing
from distill_tune.registry import LOSSES

Array = np.ndarray
SEEDS = st.integers(0, 999)
few = settings(max_examples=20)
Shapes = list[tuple[int, ...]]
MAPS: tuple[Shapes, Shapes] = ([(3, 6, 6), (5, 3, 3)], [(4, 4, 4), (7, 2, 2)])
VECTORS: tuple[Shapes, Shapes] = ([(5,), (3,)], [(4,), (6,)])
MIXED: tuple[Shapes, Shapes] = ([(5,)], [(4, 3, 3)])


def on_features(name: str, **options: Any) -> FeatureLoss:
    entry = LOSSES.get(name)
    loss = entry(**({"on": "features"} if "on" in entry.model_fields else {}), **options)
    assert isinstance(loss, FeatureLoss)
    assert loss.reads_features
    return loss


NAMES = [name for name in LOSSES.names if issubclass(LOSSES.get(name), FeatureLoss)]
each_loss = pytest.mark.parametrize("name", NAMES)
WITHOUT_PROJECTOR = ["attention", "pkt", "rkd", "sp"]


def shapes_for(name: str) -> list[tuple[Shapes, Shapes]]:
    loss = on_features(name)
    return [(ours, theirs) for ours, theirs in (MAPS, VECTORS, MIXED) if loss.joins(ours[0], theirs[0])]


each_loss_and_shape = pytest.mark.parametrize(
    ("name", "shapes"), [(name, shapes) for name in NAMES for shapes in shapes_for(name)], ids=str
)


def term_of(name: str, ours: Shapes, theirs: Shapes, **options: Any) -> FeatureTerm:
    """A term in float64, its projector drawn from one seed."""
    torch.manual_seed(7)
    layers = tuple(map(str, range(len(ours))))
    return FeatureTerm(on_features(name, **options), Pairing(layers, layers, tuple(ours), tuple(theirs))).double()


def drawn(shapes: Shapes, batch: int = 8, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, *shape, generator=generator, dtype=torch.float64) for shape in shapes]


# Every loss


@each_loss_and_shape
def test_a_term_moves_the_student_and_what_is_learned_with_it_and_not_the_teacher(
    name: str, shapes: tuple[Shapes, Shapes]
) -> None:
    term = term_of(name, *shapes)
    students, teachers = (drawn(each, seed=i) for i, each in enumerate(shapes))
    for student in students:
        student.requires_grad_()
    value = term(students, teachers)
    value.backward()
    assert value.shape == ()
    assert value.isfinite()
    for moved in [*students, *term.parameters()]:
        assert moved.grad is not None
        assert moved.grad.isfinite().all()
    learned = [float(p.grad.abs().sum()) for p in term.parameters() if p.grad is not None]
    assert all(student.grad is not None and student.grad.abs().sum() > 0 for student in students)
    assert any(learned) == bool(learned)
    assert bool(list(term.parameters())) == (name not in WITHOUT_PROJECTOR)


@each_loss_and_shape
def test_the_gradient_is_that_of_small_differences(name: str, shapes: tuple[Shapes, Shapes]) -> None:
    term = term_of(name, *shapes)
    students, teachers = (drawn(each, batch=3, seed=i) for i, each in enumerate(shapes))
    for student in students:
        student.requires_grad_()
    assert torch.autograd.gradcheck(lambda *features: term(features, teachers), students, atol=1e-4)


@each_loss_and_shape
@few
@given(order=st.permutations(range(8)))
def test_the_order_of_the_samples_does_not_matter(name: str, shapes: tuple[Shapes, Shapes], order: list[int]) -> None:
    term = term_of(name, *shapes, **({"angle_samples": 8} if name == "rkd" else {}))
    students, teachers = (drawn(each, seed=i) for i, each in enumerate(shapes))
    permuted = term([each[order] for each in students], [each[order] for each in teachers])
    torch.testing.assert_close(permuted, term(students, teachers))


@each_loss
def test_the_parts_of_a_batch_average_to_the_whole_unless_samples_are_compared(name: str) -> None:
    shapes = shapes_for(name)[0]
    term = term_of(name, *shapes).eval()  # batch statistics compare samples in any case
    students, teachers = (drawn(each, seed=i) for i, each in enumerate(shapes))
    halves = [
        term([each[rows] for each in students], [each[rows] for each in teachers]) for rows in (slice(4), slice(4, 8))
    ]
    agree = torch.allclose(torch.stack(halves).mean(), term(students, teachers))
    assert agree == (not on_features(name).compares_samples)


@each_loss
@pytest.mark.parametrize("batch", [2, 3])
def test_a_term_stays_finite_where_features_are_all_zero(name: str, batch: int) -> None:
    """As after a ReLU that has died."""
    shapes = shapes_for(name)[0]
    term = term_of(name, *shapes)
    for students, teachers in [
        (drawn(shapes[0], batch), [0 * each for each in drawn(shapes[1], batch)]),
        ([0 * each for each in drawn(shapes[0], batch)], drawn(shapes[1], batch)),
    ]:
        for student in students:
            student.requires_grad_()
        value = term(students, teachers)
        value.backward()
        assert value.isfinite()
        assert all(student.grad is not None and student.grad.isfinite().all() for student in students)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "reviewkd"])  # which normalises by the batch
def test_a_batch_of_one_has_a_finite_term(name: str) -> None:
    ours, theirs = shapes_for(name)[0]
    assert term_of(name, ours, theirs)(drawn(ours, 1), drawn(theirs, 1)).isfinite()


@each_loss
def test_a_scale_multiplies_the_term(name: str) -> None:
    shapes, loss = shapes_for(name)[0], on_features(name)
    students, teachers = (drawn(each, seed=i) for i, each in enumerate(shapes))
    doubled = {key: 2 * getattr(loss, key) for key in loss.weights}
    once, twice = (term_of(name, *shapes, **options)(students, teachers) for options in ({}, doubled))
    torch.testing.assert_close(twice, 2 * once)


@each_loss
def test_minimising_a_term_comes_nearer_to_the_teacher(name: str) -> None:
    """Free features and the projector, by sixty steps."""
    ours, theirs = shapes_for(name)[0]
    term, teachers = term_of(name, ours, theirs), drawn(theirs, seed=1)
    students = [student.requires_grad_() for student in drawn(ours)]
    optimizer = torch.optim.Adam([*students, *term.parameters()], 0.05)
    values = []
    for _ in range(60):
        value = term(students, teachers)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0] - 0.2 * abs(values[0])


# Equal features


@pytest.mark.parametrize("compare", [hint_loss, attention_loss, pkt_loss, sp_loss, hierarchical_context_loss])
@few
@given(seed=SEEDS)
def test_equal_features_have_a_loss_of_zero_and_no_others_have_a_smaller_one(
    compare: Callable[[Tensor, Tensor], Tensor], seed: int
) -> None:
    student, teacher = drawn([(4, 6, 6), (4, 6, 6)], seed=seed)
    assert compare(teacher, teacher).item() == pytest.approx(0, abs=1e-12)
    assert compare(student, teacher) > 0


# Invariances


@few
@given(seed=SEEDS, ours=st.floats(0.1, 10), theirs=st.floats(0.1, 10))
def test_attention_looks_neither_at_scale_nor_at_the_order_or_the_sign_of_channels(
    seed: int, ours: float, theirs: float
) -> None:
    student, teacher = drawn([(4, 5, 3), (4, 5, 3)], seed=seed)
    changed = attention_loss(-ours * student.flip(1), theirs * teacher)
    torch.testing.assert_close(changed, attention_loss(student, teacher))


@few
@given(seed=SEEDS)
def test_attention_is_between_0_and_2(seed: int) -> None:
    assert 0 <= attention_loss(*drawn([(4, 5, 3), (4, 5, 3)], seed=seed)) <= 2


@few
@given(seed=SEEDS, scale=st.floats(0.1, 10))
def test_pkt_looks_neither_at_the_length_of_a_feature_nor_at_a_rotation_of_all(seed: int, scale: float) -> None:
    student, teacher = drawn([(5,), (4,)], seed=seed)
    rotation = torch.linalg.qr(drawn([(5,)], batch=5, seed=seed + 1)[0])[0]
    lengths = scale * torch.arange(1, 9, dtype=torch.float64)[:, None]
    torch.testing.assert_close(pkt_loss(lengths * student @ rotation, teacher), pkt_loss(student, teacher))


@few
@given(seed=SEEDS)
def test_pkts_probabilities_are_some_and_nobody_is_ones_own_neighbour(seed: int) -> None:
    found = neighbour_probabilities(drawn([(5,)], seed=seed)[0])
    assert (found >= 0).all()
    assert (found.diagonal() == 0).all()
    torch.testing.assert_close(found.sum(1), torch.ones(8, dtype=torch.float64))


# The papers' definitions


@few
@given(seed=SEEDS)
def test_hint(seed: int) -> None:
    """Equation 2 of FitNets, divided by the numbers of a sample, with a linear regressor."""
    term = term_of("hint", [(5,)], [(4,)], scale=3.0)
    (student,), (teacher,) = drawn([(5,)], seed=seed), drawn([(4,)], seed=seed + 1)
    linear = dict(term.named_parameters())
    weight, bias = linear["projector.projectors.0.layers.0.weight"], linear["projector.projectors.0.layers.0.bias"]
    projected = student.numpy() @ weight.detach().numpy().T + bias.detach().numpy()
    expected = np.mean([0.5 * ((p - t) ** 2).sum() / 4 for p, t in zip(projected, teacher.numpy(), strict=True)])
    assert term([student], [teacher]).item() == pytest.approx(3 * expected)


@few
@given(seed=SEEDS)
def test_attention(seed: int) -> None:
    """Equation 2 of the paper, squared: F_sum^2 maps, flattened, of length 1."""
    student, teacher = (each.numpy() for each in drawn([(3, 4, 5), (6, 4, 5)], seed=seed))

    def attention(feature: Array) -> Array:
        summed = sum(np.abs(channel) ** 2 for channel in feature).ravel()  # type: ignore[union-attr]
        return summed / np.sqrt((summed**2).sum())

    expected = np.mean([((attention(s) - attention(t)) ** 2).sum() for s, t in zip(student, teacher, strict=True)])
    assert attention_loss(torch.from_numpy(student), torch.from_numpy(teacher)).item() == pytest.approx(expected)
    assert attention_map(torch.from_numpy(student))[2].numpy() == pytest.approx(attention(student[2]))


@few
@given(seed=SEEDS)
def test_pkt(seed: int) -> None:
    """Equations 4, 5 and 8: conditional probabilities by the cosine kernel, and their divergence."""
    student, teacher = (each.numpy() for each in drawn([(5,), (7,)], batch=6, seed=seed))

    def likeness(a: Array, b: Array) -> float:
        return float((a @ b / np.sqrt((a @ a) * (b @ b)) + 1) / 2)

    def picks(rows: Array, i: int, j: int) -> float:
        others = [k for k in range(len(rows)) if k != i]
        return likeness(rows[i], rows[j]) / sum(likeness(rows[i], rows[k]) for k in others)

    expected = 0.0
    for i in range(6):
        for j in range(6):
            if i != j:
                p, q = picks(teacher, i, j), picks(student, i, j)
                expected += p * log(p / q) / 6
    assert pkt_loss(torch.from_numpy(student), torch.from_numpy(teacher)).item() == pytest.approx(expected, abs=1e-6)


@few
@given(seed=SEEDS)
def test_vid_is_the_likelihood_of_a_normal_distribution(seed: int) -> None:
    """Equation 5, against PyTorch's own; the constant log(2 pi) / 2 is left out."""
    mean, teacher = drawn([(4, 3, 3), (4, 3, 3)], seed=seed)
    variance = drawn([(4, 1, 1)], batch=1, seed=seed + 2)[0][0].exp()
    normal = torch.distributions.Normal(mean, variance.sqrt())
    expected = -normal.log_prob(teacher).mean() - 0.5 * np.log(2 * np.pi)
    torch.testing.assert_close(vid_loss(mean, teacher, variance), expected)


def test_vid_begins_with_the_variance_of_the_usual_implementation() -> None:
    term = term_of("vid", [(5,)], [(4,)])
    assert term.projector is not None
    ((_, _, variance),) = term.projector(drawn([(5,)]), drawn([(4,)]))
    torch.testing.assert_close(variance, torch.full((4,), 5.0, dtype=torch.float64), atol=1e-5, rtol=0)


@few
@given(seed=SEEDS, tau=st.floats(0.05, 1))
def test_crd(seed: int, tau: float) -> None:
    """Equation 18 with the critic of equation 19: a sum over pairs of the batch, c = N times the mean exponential."""
    student, teacher = (nn.functional.normalize(each, dim=1).numpy() for each in drawn([(6,), (6,)], seed=seed))
    c = 7 * exp(1 / (2 * tau**2 * 6))

    def critic(i: int, j: int) -> float:
        power = exp(student[i] @ teacher[j] / tau)
        return power / (power + c)

    expected = 0.0
    for i in range(8):
        expected -= log(critic(i, i)) / 8
        expected -= sum(log(1 - critic(i, j)) for j in range(8) if j != i) / 8
    found = crd_loss(torch.from_numpy(student), torch.from_numpy(teacher), tau)
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_the_mean_exponential_of_crd_is_that_of_random_directions() -> None:
    one, other = (nn.functional.normalize(each, dim=1) for each in drawn([(128,), (128,)], batch=2000))
    mean = (one @ other.mT / 0.07).exp().mean().item()
    assert exp(1 / (2 * 0.07**2 * 128)) == pytest.approx(mean, rel=0.02)


class PaperMemory:
    """Equations 18 and 19 with loops: two banks, Z from the first step, noise of 1 / M, momentum 0.5."""

    def __init__(self, students: Array, teachers: Array, tau: float):
        self.banks, self.tau, self.z = [students.copy(), teachers.copy()], tau, [0.0, 0.0]

    def term(self, pair: list[Array], index: list[int], drawn: list[int]) -> float:
        """Of one step, after which the rows of its samples have moved."""
        total, m, n = 0.0, len(self.banks[0]), len(drawn)
        for side in (0, 1):
            ours, bank = pair[side], self.banks[1 - side]
            powers = [[exp(row @ bank[k] / self.tau) for k in drawn] for row in ours]
            self.z[side] = self.z[side] or m * float(np.mean(powers))
            for row, i, negatives in zip(ours, index, powers, strict=True):
                own = exp(row @ bank[i] / self.tau) / self.z[side]
                total -= log(own / (own + n / m)) / len(ours)
                for power in negatives:
                    p = power / self.z[side]
                    total -= log(1 - p / (p + n / m)) / len(ours)
        for bank, rows in zip(self.banks, pair, strict=True):
            for i, row in zip(index, rows, strict=True):
                moved = (bank[i] + row) / 2
                bank[i] = moved / np.sqrt((moved**2).sum())
        return total


def remembering(seed: int = 0, pairs: int = 1, **options: Any) -> tuple[FeatureTerm, Memory]:
    """A term of crd with a memory of 30 samples, for features of 5 and 4 numbers, and that memory."""
    torch.manual_seed(7)
    loss = Crd(**{"negatives": 12, "dimensions": 6, "tau": 0.2} | options)
    layers = tuple(map(str, range(pairs)))
    term = FeatureTerm(loss, Pairing(layers, layers, ((5,),) * pairs, ((4,),) * pairs), 30, seed).double()
    assert isinstance(term.memory, Memory)
    return term, term.memory


@few
@given(seed=SEEDS, tau=st.floats(0.05, 1), negatives=st.sampled_from([1, 12, 100]))
def test_crd_with_a_memory(seed: int, tau: float, negatives: int) -> None:
    """Three steps, in the last of which samples come again."""
    term, memory = remembering(seed, tau=tau, negatives=negatives, scale=0.5)
    paper = PaperMemory(memory.students[0].numpy(), memory.teachers[0].numpy(), tau)
    for step, index in enumerate(([3, 0, 29], [7, 8, 9], [29, 7, 1])):
        features = drawn([(5,)], 3, seed + step), drawn([(4,)], 3, seed + step + 9)
        assert term.projector is not None
        ((student, teacher),) = term.projector(*features)
        found = term(*features, torch.tensor(index), step)
        expected = paper.term([student.detach().numpy(), teacher.detach().numpy()], index, memory.drawn(step).tolist())
        assert found.item() == pytest.approx(0.5 * expected)
        assert memory.students[0].numpy() == pytest.approx(paper.banks[0])
        assert memory.teachers[0].numpy() == pytest.approx(paper.banks[1])
    assert (30 * memory.log_means.exp()).tolist() == [pytest.approx(paper.z)]


def test_a_memory_moves_the_rows_of_a_batch_and_no_others() -> None:
    term, memory = remembering(pairs=2)
    before = memory.students.clone(), memory.teachers.clone()
    index = torch.tensor([4, 20, 11])
    term(drawn([(5,), (5,)], 3), drawn([(4,), (4,)], 3), index, 5)
    for bank, was in zip((memory.students, memory.teachers), before, strict=True):
        moved = (bank != was).any(-1).nonzero()[:, 1].view(2, 3)
        assert moved.tolist() == [[4, 11, 20]] * 2
        torch.testing.assert_close(bank.norm(dim=-1), torch.ones(2, 30, dtype=torch.float64))
    assert not torch.equal(memory.students[0], memory.students[1])


def test_negatives_are_a_function_of_seed_and_step_that_finds_every_row_alike() -> None:
    (_, one), (_, same), (_, other) = remembering(1), remembering(1), remembering(2)
    torch.manual_seed(99)
    assert torch.equal(one.drawn(3), same.drawn(3))
    assert torch.equal(one.students, same.students)
    assert not torch.equal(one.drawn(3), one.drawn(4))
    assert not torch.equal(one.drawn(3), other.drawn(3))
    counts = torch.bincount(torch.cat([one.drawn(step) for step in range(1000)]), minlength=30)
    assert counts.sum() == 12_000
    assert (counts - 400).abs().max() < 5 * 400**0.5


def test_a_memory_draws_nothing_from_the_global_generator() -> None:
    for negatives in (1, 12):
        term, _ = remembering(negatives=negatives)
        before = torch.get_rng_state()
        term(drawn([(5,)], 3), drawn([(4,)], 3), torch.arange(3), 0)
        assert torch.equal(torch.get_rng_state(), before)


def test_with_a_memory_the_parts_of_a_batch_average_to_the_whole() -> None:
    """So several workers minimise what one does."""
    (students, teachers), index = (drawn([(5,)]), drawn([(4,)], seed=1)), torch.arange(8)

    def value(rows: slice) -> Tensor:
        term, _ = remembering()
        found: Tensor = term([each[rows] for each in students], [each[rows] for each in teachers], index[rows], 1)
        return found

    torch.testing.assert_close((value(slice(4)) + value(slice(4, 8))) / 2, value(slice(8)))


def test_with_a_memory_both_layers_and_the_student_are_moved_and_a_dead_teacher_is_borne() -> None:
    term, memory = remembering()
    (student,), (teacher,) = drawn([(5,)]), drawn([(4,)], seed=1)
    before = memory.students.clone()
    term([student.requires_grad_()], [0 * teacher], torch.arange(8), 0).backward()
    for moved in [student, *term.parameters()]:
        assert moved.grad is not None
        assert moved.grad.isfinite().all()
    assert student.grad is not None
    assert student.grad.abs().sum() > 0
    assert not memory.students.requires_grad
    assert (memory.students - before).isfinite().all()
    own, *others = (nn.functional.normalize(each, dim=1) for each in drawn([(6,), (6,), (6,)]))
    assert torch.autograd.gradcheck(lambda each: nce_loss(each, 0.1, *others, 0.3), own.requires_grad_())


def test_with_a_memory_a_student_learns_which_features_of_the_teacher_are_of_its_sample() -> None:
    """Sixty epochs of six batches of five, with a linear student of what the teacher sees."""
    term, _ = remembering(tau=0.1, negatives=30)
    (inputs,) = drawn([(4,)], 30)
    student = nn.Linear(4, 5).double()
    optimizer = torch.optim.Adam([*student.parameters(), *term.parameters()], 0.02)

    def share_found() -> float:
        with torch.no_grad():
            assert term.projector is not None
            ((ours, theirs),) = term.projector([student(inputs)], [inputs])
            return float(((ours @ theirs.mT).argmax(1) == torch.arange(30)).double().mean())

    before = share_found()
    for step in range(360):
        index = torch.arange(5) + step % 6 * 5
        value = term([student(inputs[index])], [inputs[index]], index, step)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert before < 0.2
    assert share_found() > 0.6


def test_crds_features_lie_on_a_sphere() -> None:
    for each in Embeddings((3, 2, 2), (5,), 16).double()(*drawn([(3, 2, 2), (5,)])):
        torch.testing.assert_close(each.norm(dim=1), torch.ones(8, dtype=torch.float64))


@few
@given(seed=SEEDS)
def test_the_hierarchical_context_loss(seed: int) -> None:
    """Differences at 8 x 8, 4 x 4, 2 x 2 and 1 x 1 places, in shares of 8 : 4 : 2 : 1."""
    student, teacher = (each.numpy() for each in drawn([(3, 8, 8), (3, 8, 8)], batch=2, seed=seed))

    def coarse(maps: Array, side: int) -> Array:
        return maps.reshape(2, 3, side, 8 // side, side, 8 // side).mean((3, 5))

    parts = [((coarse(student, side) - coarse(teacher, side)) ** 2).mean() for side in (8, 4, 2, 1)]
    expected = np.average(parts, weights=[8, 4, 2, 1])
    found = hierarchical_context_loss(torch.from_numpy(student), torch.from_numpy(teacher))
    assert found.item() == pytest.approx(expected)


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
    """Figure 4a: two attention maps out of both, one for each; nearest neighbours for a smaller map."""
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


@pytest.mark.parametrize("name", ["sp", "rkd"])
def test_on_features_a_relation_is_that_of_the_same_logits_a_hundredfold(name: str) -> None:
    student, teacher = drawn([(5,), (5,)])
    on_logits = LOSSES.get(name)().soft(student, teacher, 4.0)
    torch.testing.assert_close(on_features(name).compare(student, teacher), 100 * on_logits)


# Projectors


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
