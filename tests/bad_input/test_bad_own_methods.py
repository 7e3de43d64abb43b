"""Custom methods that take or return the wrong things, refused before anything is made."""

from pathlib import Path

import pytest
from good import Refuse

UNTYPED = """
from distill_tune.distillation.losses import Loss

class Untyped(Loss):
    part = 0.5
"""
METHODS = """
from dataclasses import replace

import torch
from distill_tune.distillation.augmentation import Transform
from distill_tune.distillation.losses import Loss
from distill_tune.distillation.optimizers import OptimizerKind
from distill_tune.distillation.optimizers.sgd import Sgd
from distill_tune.tuning.samplers import Sampler
from distill_tune.tuning.schedulers import Judge, Rung, Scheduler


class Forgets(Loss):
    def soft(self, student_logits, teacher_logits, temperature):
        (student_logits - teacher_logits).square().mean()


class EachSample(Loss):
    def soft(self, student_logits, teacher_logits, temperature):
        return (student_logits - teacher_logits).square().mean(1)


class Number(Loss):
    def soft(self, student_logits, teacher_logits, temperature):
        return (student_logits - teacher_logits).square().mean().item()


class Detached(Loss):
    def soft(self, student_logits, teacher_logits, temperature):
        return (student_logits.detach() - teacher_logits).square().mean()


class Infinite(Loss):
    def soft(self, student_logits, teacher_logits, temperature):
        return (student_logits - teacher_logits).sqrt().mean()


class Cold(Loss):
    def soft(self, student_logits, teacher_logits):
        return (student_logits - teacher_logits).square().mean()


class Begins(Loss):
    def __init__(self, part=0.5):
        self.part = part

    def soft(self, student_logits, teacher_logits, temperature):
        return self.part * (student_logits - teacher_logits).square().mean()


class Broadcasts(Loss):
    over_lanes = True

    def soft(self, student_logits, teacher_logits, temperature):
        return (student_logits - teacher_logits).square().mean()


class Averages(Loss):
    over_lanes = True

    def soft(self, student_logits, teacher_logits, temperature):
        apart = (student_logits - teacher_logits).square().mean((-2, -1))
        return apart.mean().expand(apart.shape)


class NothingOverLanes(Loss):
    over_lanes = True

    def soft(self, student_logits, teacher_logits, temperature):
        return (student_logits - teacher_logits).square().mean() if student_logits.dim() == 2 else None


class AtItsOwnRate(OptimizerKind):
    def build(self, module, learning_rate, weight_decay):
        return torch.optim.Adam(module.parameters())


class Nothing(OptimizerKind):
    def build(self, module, learning_rate, weight_decay):
        return None


class NeedsAClosure(OptimizerKind):
    def build(self, module, learning_rate, weight_decay):
        return torch.optim.LBFGS(module.parameters(), learning_rate)


class Forgetful(Sgd):
    def step_lanes(self, step):
        step.weights.addcmul_(step.gradients, step.rate, value=-1)


class NeverDecays(Sgd):
    def step_lanes(self, step):
        super().step_lanes(replace(step, decay=torch.zeros_like(step.decay)))


class LeavesOut(Sgd):
    def build(self, module, learning_rate, weight_decay):
        return super().build(module.network[-1], learning_rate, weight_decay)


class Raising(Sgd):
    def step_lanes(self, step):
        raise ValueError("no lanes here")


class Shape(Loss):
    over_lanes = True

    def soft(self, student_logits, teacher_logits, temperature):
        return ((student_logits - teacher_logits) / temperature).square().mean((-2, -1))


class OfTorch(OptimizerKind):
    over_lanes = True

    def build(self, module, learning_rate, weight_decay):
        return torch.optim.SGD(module.parameters(), learning_rate)

    def step_lanes(self, step):
        step.weights.addcmul_(step.gradients, step.rate, value=-1)


class WithoutDraw(Transform):
    for_tables = True

    def apply(self, inputs):
        return inputs


class Complex(Loss):
    def soft(self, student_logits, teacher_logits, temperature):
        return (student_logits - teacher_logits).square().mean() * (1 + 1j)


class MovesOthers(OptimizerKind):
    def build(self, module, learning_rate, weight_decay):
        return torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))], learning_rate)


class BeyondAll(Transform):
    for_tables = mixes = True

    def share(self, draw):
        return draw.uniform("share") * 3


class NoShare(Transform):
    for_tables = mixes = True

    def share(self, draw):
        return None


class NoSampler(Sampler):
    def build(self, seed, number):
        return None


class Unnumbered(Sampler):
    def build(self, seed):
        return None


class Silent(Judge):
    def passes_rung(self, trial_id, epochs, score, *further, tie_break):
        self.rungs[0].scores[trial_id] = score


class Untied(Judge):
    def passes_rung(self, trial_id, epochs, score):
        return True


class BySilent(Scheduler):
    def judge(self, search):
        return Silent([Rung(1)], search.max_epochs)


class ByUntied(Scheduler):
    def judge(self, search):
        return Untied([Rung(1)], search.max_epochs)
"""


@pytest.fixture(autouse=True)
def _methods(folder: Path) -> None:
    (folder / "own_methods.py").write_text(METHODS)


def loss(name: str) -> str:
    return f"loss={{ kind = 'own_methods:{name}' }}"


@pytest.mark.parametrize("arguments", [("space.toml",), ("space.toml", "--dry-run")])
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            loss("Forgets"),
            "loss: `soft` of 'own_methods:Forgets' must give one number as a tensor, but gave None;",
        ),
        (loss("EachSample"), "must give one number as a tensor, but gave numbers of shape [16]; mend it."),
        (loss("Number"), "must give one number as a tensor, but gave "),
        (loss("Infinite"), "must give one number as a tensor, but gave nan for logits of usual size; mend it."),
        (loss("Detached"), "must give one number as a tensor, but gave one without gradient by the student's logits"),
        (
            loss("Broadcasts"),
            "loss: 'own_methods:Broadcasts' says that it is `over_lanes`, but of logits [lanes, batch,",
        ),
        (loss("NothingOverLanes"), "[lanes] `soft` gives another thing than each lane's own number, [lanes]; mend it"),
        (loss("Averages"), "`soft` gives another thing than each lane's own number, [lanes]; mend it, or leave "),
        (
            "optim.kind='own_methods:Nothing'",
            "optim.kind: `build` of 'own_methods:Nothing' must give an optimizer, as those of torch.optim are, but "
            "gave NoneType, which lacks param_groups and step and ",
        ),
        (
            "optim.kind='own_methods:NeedsAClosure'",
            "optim.kind: what `build` of 'own_methods:NeedsAClosure' gives cannot make a step from gradients alone (",
        ),
        (
            "optim.kind='own_methods:Forgetful'",
            "'own_methods:Forgetful' says that it is `over_lanes`, but its `step_lanes` moves the weights otherwise",
        ),
        (
            "optim.kind='own_methods:NeverDecays'",
            "its `step_lanes` moves the weights otherwise than what `build`",
        ),
        ("optim.kind='own_methods:LeavesOut'", "is `over_lanes`, but its `build` leaves out some weights; mend it, or"),
        (
            "optim.kind='own_methods:Raising'",
            "says that it is `over_lanes`, but its `step_lanes` raises ValueError: no lanes here; mend it, or leave ",
        ),
        (loss("Shape"), "and temperatures [lanes] `soft` raises RuntimeError: The size of tensor a (3) must match"),
        (
            "optim.kind='own_methods:OfTorch'",
            "optim.kind: 'own_methods:OfTorch' says that it is `over_lanes`, but its `build` gives no DirectOptimizer",
        ),
        (
            loss("Begins"),
            "'own_methods:Begins': must have no __init__ of its own; write options as fields of the class",
        ),
        ("loss.also={ 'own_methods:Forgets' = 1.0 }", "`soft` of 'own_methods:Forgets' must give one number as a"),
        (
            loss("Cold"),
            "'own_methods:Cold': soft must take (self, student_logits, teacher_logits, temperature), but takes "
            "(self, student_logits, teacher_logits); mend it.",
        ),
        (
            "augmentation={ 'own_methods:WithoutDraw' = 0.5 }",
            "'own_methods:WithoutDraw': apply must take (self, inputs, draw), but takes (self, inputs); mend it.",
        ),
        (loss("Complex"), "must give one number as a tensor, but gave a complex one; mend it."),
        (
            "optim.kind='own_methods:AtItsOwnRate'",
            "`build` of 'own_methods:AtItsOwnRate' must give its `learning_rate` to the optimizer, but builds it with "
            "0.001 whatever that is; hand it on as lr.",
        ),
        (
            "optim.kind='own_methods:MovesOthers'",
            "gives must move the student's weights, but after 3 steps they are as before; give it those of the module.",
        ),
        (
            "augmentation={ 'own_methods:BeyondAll' = 0.5 }",
            "augmentation.own_methods:BeyondAll: the share of a sample must be from 0 to 1, but those tried are from ",
        ),
        (
            "augmentation={ 'own_methods:NoShare' = 0.5 }",
            "the share of a sample must be one number, [8] of torch.float32, but gave None; mend it.",
        ),
        (
            "search.sampler='own_methods:NoSampler'",
            "search.sampler: `build` of 'own_methods:NoSampler' must give one of Optuna's samplers, but gave None;",
        ),
        (
            "search.sampler='own_methods:Unnumbered'",
            "'own_methods:Unnumbered': build must take (self, seed, number), but takes (self, seed); mend it.",
        ),
        (
            "search.scheduler='own_methods:BySilent'",
            "search.scheduler: `judge` of 'own_methods:BySilent' must give one whose `passes_rung` says True or False, "
            "but it gave None; mend it.",
        ),
        (
            "search.scheduler='own_methods:ByUntied'",
            "'own_methods:ByUntied': passes_rung must take (self, trial_id, epochs, score, *further, tie_break), but "
            "takes (self, trial_id, epochs, score); mend it.",
        ),
    ],
)
def test_a_method_that_takes_or_gives_something_else(
    refuse: Refuse, arguments: tuple[str, ...], setting: str, said: str
) -> None:
    assert said in refuse(setting, arguments=arguments)


def test_an_option_without_a_type_is_said_with_its_line(refuse: Refuse, folder: Path) -> None:
    (folder / "own_untyped.py").write_text(UNTYPED)
    said = refuse("loss={ kind = 'own_untyped:Untyped' }")
    assert "`part = 0.5`. All model fields require a type annotation" in said
    assert f"({folder / 'own_untyped.py'}, line 4)" in said
