"""CRD with a memory of all samples: the paper's definition in loops, which rows move, and what is drawn."""

from math import exp, log
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from terms_on_features import SEEDS, Array, drawn, few
from torch import Tensor, nn

from distill_tune.distillation.features.pairing import Pairing
from distill_tune.distillation.losses._memory import Memory
from distill_tune.distillation.losses.crd import Crd, nce_loss
from distill_tune.distillation.training.feature_terms import FeatureTerm


class PaperMemory:
    """Equations 18 and 19 in loops: two banks, Z from the first step, noise of 1 / M, momentum 0.5."""

    def __init__(self, students: Array, teachers: Array, tau: float):
        self.banks, self.tau, self.z = [students.copy(), teachers.copy()], tau, [0.0, 0.0]

    def term(self, pair: list[Array], index: list[int], drawn: list[int]) -> float:
        """Return the loss of one step, then move the rows of its samples."""
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
    """A crd term with a memory of 30 samples, for features of 5 and 4 numbers, and that memory."""
    torch.manual_seed(7)
    loss = Crd(**{"negatives": 12, "dimensions": 6, "tau": 0.2} | options)
    layers = tuple(map(str, range(pairs)))
    term = FeatureTerm(loss, Pairing(layers, layers, ((5,),) * pairs, ((4,),) * pairs), 30, seed).double()
    assert isinstance(term.memory, Memory)
    return term, term.memory


@few
@given(seed=SEEDS, tau=st.floats(0.05, 1), negatives=st.sampled_from([1, 12, 100]))
def test_crd_with_a_memory(seed: int, tau: float, negatives: int) -> None:
    """Three steps, the last with samples from earlier ones."""
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
    """So several workers minimise the same loss as one."""
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
    """Sixty epochs of six batches of five, with a linear student on the teacher's inputs."""
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
