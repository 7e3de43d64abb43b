"""What looks odd in data, and can be used all the same, is said."""

from collections.abc import Sequence

import numpy as np
import pytest
from source_files import PEOPLE, SaveText

from distill_tune.config.sections import DataConfig
from distill_tune.data.build import build
from distill_tune.data.columns import almost_numbers


def notes_of(path: object) -> str:
    return "\n".join(build(DataConfig(source="csv", path=str(path))).notes)


def people(ages: Sequence[object], kinds: Sequence[str]) -> str:
    rows = (f"{age},{'ab'[number % 2]},{kind}\n" for number, (age, kind) in enumerate(zip(ages, kinds, strict=True)))
    return "age,city,kind\n" + "".join(rows)


def test_good_data_need_no_word(save_text: SaveText) -> None:
    assert notes_of(save_text(PEOPLE)) == ""


@pytest.mark.parametrize(
    ("ages", "said"),
    [
        (
            [*range(20, 77), "?", "?", "?"],
            "it is numbers, but for 3 such as '?'; if that is not meant, leave them empty",
        ),
        ([f'"{number},5"' for number in range(60)], "it is numbers with decimal commas, such as '0,5'"),
    ],
)
def test_numbers_that_are_read_as_categories_are_said(save_text: SaveText, ages: list[object], said: str) -> None:
    found = notes_of(save_text(people(ages, ["yes", "no", "no"] * 20)))
    assert f"column 'age' counts as {len(set(ages))} categories: {said}" in found


@pytest.mark.parametrize("texts", [["a", "b"], ["1", "b", "c"], ["1", "2"], ["1,5", "b", "c"], []])
def test_what_is_text_is_not_taken_for_numbers(texts: list[str]) -> None:
    import pandas as pd

    assert almost_numbers(pd.Series(texts, dtype="str")) == ""


@pytest.mark.parametrize(("other", "says_so"), [("yes ", True), ("YES", True), ("yes, sir", False)])
def test_classes_that_differ_in_spaces_or_upper_case_alone_are_said(
    save_text: SaveText, other: str, says_so: bool
) -> None:
    kinds = [("yes", "no", f'"{other}"')[number % 3] for number in range(60)]
    assert ("differ in spaces or upper case alone; are they one?" in notes_of(save_text(people(range(60), kinds)))) is (
        says_so
    )


def test_a_class_that_hardly_anything_says_whether_it_is_right_is_said(save_text: SaveText) -> None:
    kinds = ["rare"] * 3 + ["yes", "no"] * 40
    found = notes_of(save_text(people(np.arange(83), kinds)))
    assert found == "classes of few samples, by which nobody can be judged: 'rare' (1 to validate, 1 to test)"


def test_a_first_line_that_is_no_header_is_said(save_text: SaveText) -> None:
    rows = "".join(f"{20 + number}.5,{number},{'ab'[number % 2]}\n" for number in range(60))
    assert "names of columns, such as '20.5', look like values; is the first line a header?" in notes_of(
        save_text(rows)
    )
