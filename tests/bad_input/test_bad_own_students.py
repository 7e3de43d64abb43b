"""Custom students that cannot be trained, refused before anything is made."""

from pathlib import Path

import pytest
from good import Refuse

STUDENTS = """
import torch
from distill_tune.students import Student


class NoNetwork(Student):
    def build(self, input_shape, classes):
        return None


class NoSizes(Student):
    def build(self, input_shape, classes):
        return torch.nn.LazyLinear(classes)


class Frozen(Student):
    def build(self, input_shape, classes):
        return torch.nn.Linear(*input_shape, classes).requires_grad_(False)


class WithLosses(torch.nn.Linear):
    def __init__(self, input_shape, classes):
        super().__init__(*input_shape, classes)

    def forward(self, inputs):
        logits = super().forward(inputs)
        return (logits, logits.mean()) if self.training else logits


class OfBatches(torch.nn.Linear):
    def __init__(self, input_shape, classes):
        super().__init__(*input_shape, classes)

    def forward(self, inputs):
        return super().forward(inputs).mean(0, keepdim=True)


class Tired(torch.nn.Linear):
    def __init__(self, input_shape, classes):
        super().__init__(*input_shape, classes)

    def forward(self, inputs):
        if self.training:
            raise ValueError("not today")
        return super().forward(inputs)


class Projected(torch.nn.Linear):
    def __init__(self, input_shape, classes):
        super().__init__(5, classes)
        self.register_buffer("projection", torch.randn(*input_shape, 5), persistent=False)

    def forward(self, inputs):
        return super().forward(inputs @ self.projection)


class Remembering(torch.nn.Linear):
    def __init__(self, input_shape, classes):
        super().__init__(*input_shape, classes)
        self.seen = 0.0

    def forward(self, inputs):
        if self.training:
            self.seen = inputs.detach().mean(0)
        return super().forward(inputs - self.seen)


class Growing(torch.nn.Linear):
    def __init__(self, input_shape, classes):
        super().__init__(*input_shape, classes)

    def forward(self, inputs):
        if self.training:
            self.register_buffer("seen", inputs.detach().mean(0))
        return super().forward(inputs)
"""
OUTSIDE = (
    " keeps numbers outside its state dict, without which its weights give other logits; make them persistent buffers, "
    "or draw them from a fixed seed."
)


@pytest.fixture(autouse=True)
def _students(folder: Path) -> None:
    (folder / "own_students.py").write_text(STUDENTS)


@pytest.mark.parametrize("arguments", [("space.toml",), ("space.toml", "--dry-run")])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NoNetwork", "student.family: `build` must give a torch.nn.Module, but gave NoneType; mend it."),
        ("NoSizes", "the network has layers that take their sizes from the first batch (LazyLinear and the"),
        (
            "Frozen",
            "student.family: 'own_students:Frozen' must have weights that learn from its logits, but these have no ",
        ),
        ("WithLosses", "for 8 samples while it trains, but gave (tensor("),
        ("OfBatches", "for 8 samples while it trains, but gave (1, 3); mend its forward."),
        (
            "Tired",
            "'own_students:Tired' cannot take 8 samples while it trains (ValueError: not today); mend its forward.",
        ),
        ("Projected", f"student.family: 'own_students:Projected'{OUTSIDE}"),
        ("Remembering", f"student.family: 'own_students:Remembering'{OUTSIDE}"),
        ("Growing", "student.family: 'own_students:Growing' cannot load the state dict of another of its networks ("),
    ],
)
def test_what_is_no_student_to_train(refuse: Refuse, arguments: tuple[str, ...], name: str, said: str) -> None:
    assert said in refuse(f"student.family='own_students:{name}'", arguments=arguments)
