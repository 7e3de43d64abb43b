"""A user's method is called like the one it overrides, however it is written."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from distill_tune.distillation.losses import Loss
from distill_tune.errors import ConfigError
from distill_tune.overriding import check_called_alike, check_facts
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


async def later(self: Any, student_logits: Any, teacher_logits: Any, temperature: Any) -> None:
    """Await nothing."""


def test_what_must_be_waited_for_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'mine:Own': soft must be no async function, .* write `def`\."):
        check_called_alike(with_soft(later), Loss, "mine:Own")


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"fewest_samples": "3"}, "fewest_samples must be a whole number, but is '3'; mend it."),
        ({"fewest_samples": True}, "fewest_samples must be a whole number, but is True; mend it."),
        ({"uses_teacher": 1}, "uses_teacher must be True or False, but is 1; mend it."),
        ({"weights": "scale"}, "weights must be a tuple of names, such as (\"path\",), but is 'scale'; mend it."),
        ({"weights": (1,)}, 'weights must be a tuple of names, such as ("path",), but is (1,); mend it.'),
    ],
)
def test_what_a_class_says_of_itself_is_of_the_kind_that_its_base_says(facts: dict[str, Any], told: str) -> None:
    own = type("Own", (Loss,), {**facts, "__module__": __name__})
    with pytest.raises(ConfigError) as refused:
        check_facts(own, Loss, "mine:Own")
    assert str(refused.value) == f"'mine:Own': {told}"


def test_what_it_says_as_an_option_is_refused_for_its_class_still_says_what_its_base_does() -> None:
    with pytest.warns(UserWarning, match="shadows an attribute in parent"):
        own = type("Own", (Loss,), {"over_lanes": True, "__annotations__": {"over_lanes": bool}})
    assert not Loss.over_lanes
    with pytest.raises(ConfigError, match=r"over_lanes must be no option; write `over_lanes: ClassVar\[bool\]`\."):
        check_facts(own, Loss, "mine:Own")


def test_what_it_says_rightly_is_taken() -> None:
    own = type("Own", (Loss,), {"fewest_samples": 3, "over_lanes": True, "__module__": __name__})
    check_facts(own, Loss, "mine:Own")
