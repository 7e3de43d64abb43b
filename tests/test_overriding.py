"""A user's method is called as the one that it stands for, however it is written."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from distill_tune.distillation.losses import Loss
from distill_tune.errors import ConfigError
from distill_tune.overriding import check_called_alike
from distill_tune.tuning.schedulers import Judge


def with_soft(soft: Any) -> type:
    return type("Own", (Loss,), {"soft": soft, "__module__": __name__})


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def around(*arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)

    return around


@pytest.mark.parametrize(
    "soft",
    [
        lambda self, student_logits, teacher_logits, temperature: None,
        lambda self, s, t, warm, further=None: None,
        lambda self, *logits, **options: None,
        lambda *everything: None,
        staticmethod(lambda s, t, temperature: None),
        classmethod(lambda cls, s, t, temperature: None),
        wrapped(lambda self, s, t, temperature: None),
    ],
)
def test_what_can_be_called_alike_is_taken(soft: Any) -> None:
    check_called_alike(with_soft(soft), Loss, "mine:Own")


@pytest.mark.parametrize(
    ("soft", "takes"),
    [
        (lambda self, s, t: None, "(self, s, t)"),
        (lambda self, s, t, temperature, more: None, "(self, s, t, temperature, more)"),
        (lambda self, s, t, *, temperature: None, "(self, s, t, *, temperature)"),
        (staticmethod(lambda s, t: None), "(s, t)"),
        (wrapped(lambda self, s, t: None), "(self, s, t)"),
    ],
)
def test_what_cannot_is_refused_with_both_signatures(soft: Any, takes: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_called_alike(with_soft(soft), Loss, "mine:Own")
    assert str(refused.value) == (
        f"'mine:Own': soft must take (self, student_logits, teacher_logits, temperature), but takes {takes}; mend it."
    )


def test_what_is_given_by_name_alone_must_be_taken_by_that_name() -> None:
    class Untied(Judge):
        def passes_rung(self, trial_id: str, epochs: int, score: float, *further: float, tie: float) -> bool:  # type: ignore[override]
            return True

    with pytest.raises(
        ConfigError, match=r"passes_rung must take \(self, trial_id, epochs, score, \*further, tie_break"
    ):
        check_called_alike(Untied, Judge, "mine:Untied")
