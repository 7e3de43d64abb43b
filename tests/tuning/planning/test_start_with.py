"""Settings to try first: each name is that of a range, and a warning tells of values that a trial may drop."""

from typing import Any

import pytest
from fitted_spaces import fitted

from distill_tune.errors import ConfigError

STUDENT = {
    "family": ["mlp", "resnet"],
    "mlp": {"width": {"log_int": [4, 64]}},
    "resnet": {"width": {"int": [2, 9]}, "depth": {"int": [1, 2]}},
}
LOSS = {
    "kind": ["labels", "soft_targets", "dist"],
    "dist": {"intra_weight": {"log": [0.5, 4.0]}},
    "soft_weight": {"uniform": [0.0, 0.9]},
}
ADDED = {"also": {"dkd": {"choice": [0.0, 0.1]}}, "dkd": {"target_weight": {"uniform": [0.5, 1.5]}}}


def refused(preparation: Any, values: dict[str, Any], **sections: Any) -> str:
    """What is said of settings that come second."""
    with pytest.raises(ConfigError) as caught:
        begun_with(preparation, values, **sections)
    said = str(caught.value)
    assert said.startswith("search.start_with[1]: ")
    return said.removeprefix("search.start_with[1]: ")


def warned(preparation: Any, values: dict[str, Any], **sections: Any) -> str:
    """What a warning says of settings that come second."""
    first_settings, (said,) = begun_with(preparation, values, **sections)
    assert first_settings == [values]
    assert said.startswith("warning: search.start_with[1]: ")
    return said.removeprefix("warning: search.start_with[1]: ")


def begun_with(preparation: Any, values: dict[str, Any], **sections: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """The settings, which come second, as the search has them, and all that is said."""
    sections = {"student": STUDENT, "loss": LOSS} | sections
    start_with = [{"optim.learning_rate": 0.01}, values]
    found, said = fitted(preparation, **sections, search={"start_with": start_with})
    return found.first_settings[1:], said


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({"student.resnet.width": 8}, {"student.family": "resnet"}),
        ({"student.resnet.width": 8, "student.resnet.depth": 2}, {"student.family": "resnet"}),
        ({"loss.soft_weight": 0.5}, {"loss.kind": "soft_targets"}),
        ({"loss.dist.intra_weight": 1.0}, {"loss.kind": "dist"}),
    ],
)
def test_a_value_of_a_choice_that_is_left_open_is_warned_of_until_it_is_made(
    preparation: Any, values: dict[str, Any], missing: dict[str, str]
) -> None:
    """A trial that draws another family drops it, and counts as the one that was given."""
    ((chooser, chosen),) = missing.items()
    warnings = [
        f"warning: search.start_with[1]: {named!r} depends on {chooser}, which this table leaves open; "
        f"add \"{chooser}\" = '{chosen}', or a trial that chooses otherwise drops it"
        for named in values
    ]
    assert begun_with(preparation, values) == ([values], warnings)
    assert begun_with(preparation, values | missing) == ([values | missing], [])


@pytest.mark.parametrize(
    ("values", "named", "chosen"),
    [
        ({"student.family": "mlp", "student.resnet.width": 8}, "student.resnet.width", "student.family = 'mlp'"),
        ({"loss.kind": "labels", "loss.soft_weight": 0.5}, "loss.soft_weight", "loss.kind = 'labels'"),
        (
            {"student.family": "mlp", "loss.kind": "soft_targets", "loss.dist.intra_weight": 1.0},
            "loss.dist.intra_weight",
            "loss.kind = 'soft_targets'",
        ),
    ],
)
def test_values_that_no_trial_can_have_together_are_warned_of(
    preparation: Any, values: dict[str, Any], named: str, chosen: str
) -> None:
    assert warned(preparation, values) == f"{named!r} does not exist with {chosen}; leave one of them out"


def test_what_exists_in_no_trial_of_the_space_is_warned_of(preparation: Any) -> None:
    student = STUDENT | {"family": "mlp"}
    said = warned(preparation, {"student.resnet.width": 8}, student=student)
    assert said == "'student.resnet.width' exists in no trial of this space; leave it out"


def test_an_option_of_a_term_that_may_have_no_weight_needs_its_weight(preparation: Any) -> None:
    kind = {"kind": "soft_targets"}
    option = {"loss.dkd.target_weight": 1.0}
    assert warned(preparation, option, loss=kind | ADDED) == (
        "'loss.dkd.target_weight' depends on loss.also.dkd, which this table leaves open; add \"loss.also.dkd\" = 0.1, "
        "or a trial that chooses otherwise drops it"
    )
    whole = option | {"loss.also.dkd": 0.1}
    assert begun_with(preparation, whole, loss=kind | ADDED) == ([whole], [])
    never_none = ADDED | {"also": {"dkd": {"uniform": [0.0, 0.1]}}}
    assert begun_with(preparation, option, loss=kind | never_none) == ([option], [])


def test_where_several_choices_are_open_each_that_matters_is_asked_for(preparation: Any) -> None:
    widths = {"one": [8], "other": [9]}
    members = {name: {"source": "train", "family": "mlp", "mlp": {"widths": own}} for name, own in widths.items()}
    weights = {"one": {"uniform": [0.1, 1.0]}, "other": 1.0}
    mixes = {"choice": [["one"], ["one", "other"]]}
    ensemble = {"members": members, "weights": weights, "use": mixes}
    teacher = {"source": "ensemble", "ensemble": ensemble, "family": None, "mlp": {}}
    said = warned(preparation, {"teacher.ensemble.weights.one": 0.5}, teacher=teacher)
    assert said == (
        "'teacher.ensemble.weights.one' depends on loss.kind and teacher.ensemble.use, which this table leaves open; "
        "add \"loss.kind\" = 'soft_targets', \"teacher.ensemble.use\" = ['one', 'other'], "
        "or a trial that chooses otherwise drops it"
    )


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ({"loss": {"soft_weight": 0.5}}, '"loss.soft_weight" = 0.5'),
        (
            {"optim.learning_rate": 0.01, "student": {"family": "mlp", "mlp": {"width": 8}}},
            '"optim.learning_rate" = 0.01, "student.family" = \'mlp\', "student.mlp.width" = 8',
        ),
    ],
)
def test_names_whose_dots_are_not_quoted_are_told_to_be(preparation: Any, values: dict[str, Any], written: str) -> None:
    name = next(name for name, value in values.items() if isinstance(value, dict))
    assert refused(preparation, values) == f"must have whole names in quotes, but {name!r} is a table; write {written}."


def test_a_name_or_value_that_is_not_in_the_space_is_refused(preparation: Any) -> None:
    assert refused(preparation, {"loss.soft_wieght": 0.5}).startswith(
        "'loss.soft_wieght' is no range of the space. Did you mean 'loss.soft_weight'? Known: "
    )
    assert refused(preparation, {"loss.soft_weight": 1.5}) == (
        "loss.soft_weight = 1.5: must be in { uniform = [0.0, 0.9] }."
    )
