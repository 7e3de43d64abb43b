"""What looks odd in data, and can be used all the same, is said."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from source_files import SaveText

from distill_tune.config.sections import DataConfig
from distill_tune.data.build import build
from distill_tune.data.columns import almost_numbers

AGES = [number / 2 for number in range(60)]
WITH_COMMAS = [f'"{age}"'.replace(".", ",") for age in AGES]


def notes_of(path: Path) -> str:
    return "\n".join(build(DataConfig(source="csv", path=str(path))).notes)


def people(ages: Sequence[object], kinds: Sequence[str]) -> str:
    rows = (f"{age},{'ab'[number % 2]},{kind}\n" for number, (age, kind) in enumerate(zip(ages, kinds, strict=True)))
    return "age,city,kind\n" + "".join(rows)


def test_good_data_need_no_word(save_text: SaveText) -> None:
    assert notes_of(save_text(people(AGES, ["yes", "no", "no"] * 20))) == ""


@pytest.mark.parametrize(
    ("ages", "said"),
    [
        ([*AGES[:57], "?", "?", "?"], "numbers, but for 3 such as '?'; if numbers are meant, leave those cells empty"),
        (WITH_COMMAS, "numbers with decimal commas, such as '0,0'; if numbers are meant, write points"),
        (
            [*range(40), *WITH_COMMAS[:20]],
            "numbers with decimal commas, such as '0,0'; if numbers are meant, write points",
        ),
        (
            [*range(20), *[f'"{number},000"' for number in range(1, 41)]],
            "numbers with commas between thousands, such as '1,000'; if numbers are meant, leave the commas out",
        ),
    ],
)
def test_numbers_that_are_read_as_categories_are_said(save_text: SaveText, ages: list[object], said: str) -> None:
    found = notes_of(save_text(people(ages, ["yes", "no", "no"] * 20)))
    assert re.search(rf"^column 'age' counts as \d+ categories, and has {re.escape(said)}$", found, re.MULTILINE)


@pytest.mark.parametrize("texts", [["a", "b"], ["1", "b", "c"], ["1", "2"], ["1,5", "b", "c"], []])
def test_what_is_text_is_not_taken_for_numbers(texts: list[str]) -> None:
    assert almost_numbers(pd.Series(texts, dtype="str")) is None


@pytest.mark.parametrize(("other", "says_so"), [("yes ", True), ("YES", True), ("yes, sir", False)])
def test_classes_that_differ_in_spaces_or_upper_case_alone_are_said(
    save_text: SaveText, other: str, says_so: bool
) -> None:
    kinds = [("yes", "no", f'"{other}"')[number % 3] for number in range(60)]
    found = notes_of(save_text(people(AGES, kinds)))
    assert ("classes that differ in spaces or upper case alone: " in found) is says_so


def test_a_class_of_so_few_samples_that_nothing_can_be_said_of_it_is_said(save_text: SaveText) -> None:
    found = notes_of(save_text(people([number / 2 for number in range(83)], ["rare"] * 3 + ["yes", "no"] * 40)))
    assert found == "classes of few samples, by which nobody can be judged: 'rare' (1 to validate, 1 to test)"


def test_columns_that_are_counted_are_a_header(save_text: SaveText) -> None:
    rows = "".join(f"{age},{age / 4},{age / 8},{number % 3}\n" for number, age in enumerate(AGES))
    assert notes_of(save_text(f"0,1,2,label\n{rows}")) == ""


def test_a_first_line_that_is_no_header_is_said(save_text: SaveText) -> None:
    rows = "".join(f"{20 + number}.5,{number},{'ab'[number % 2]}\n" for number in range(60))
    assert "names of columns, such as '20.5', look like values; is the first line a header?" in notes_of(
        save_text(rows)
    )
