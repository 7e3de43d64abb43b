"""Data that look odd but are usable are reported."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from source_files import SaveText

from distill_tune.config.sections import DataConfig
from distill_tune.data.build import build
from distill_tune.data.columns import almost_numbers
from distill_tune.errors import DataError

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


DATES = "make numbers of them, such as the days since one date, the month or the hour"


@pytest.mark.parametrize(
    "texts",
    [
        ["2024-01-31", "2024-02-01", "unknown"],
        ["2024-01-31 08:15:00", "2024-01-31T08:16"],
        ["2024-01-31T08:15:00.123Z", "2024-01-31T08:15:00+02:00"],
        ["31.1.2024", "1.2.2024"],
        ["1/31/24", "02/01/2024"],
        ["08:15", "8:16:30 PM"],
        ["31 Jan 2024", "1 feb. 2024 08:15"],
        ["31-Jan-24", "1-SEPT-2024"],
        ["Jan 31, 2024", "December 1 2024"],
        ["January 2024", "May 2024"],
        ["2024-01", "2024-12"],
        ["1999/1", "2000/10"],
    ],
)
def test_text_of_dates_or_times_is_told_from_other_text(texts: list[str]) -> None:
    found = almost_numbers(pd.Series(texts, dtype="str"))
    assert found == (f"dates or times, such as {texts[0]!r}", DATES)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_too_many_dates_are_refused_with_what_to_make_of_them(tmp_path: Path, kind: str) -> None:
    days = pd.date_range("2024-01-01", periods=120).astype("str")
    frame = pd.DataFrame({"day": days, "kind": ["yes", "no"] * 60})
    path = tmp_path / f"data.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path, index=False)
    said = f"such as '2024-01-01'); at most 100 can be told apart; {DATES}, or leave it out (data.{kind}.ignore)."
    with pytest.raises(DataError, match=re.escape(said)):
        build(DataConfig(source=kind, path=str(path)))


@pytest.mark.parametrize("made", [pd.Timestamp, lambda day: pd.Timestamp(day).date()])
def test_a_parquet_column_of_dates_is_refused_with_what_to_make_of_them(
    tmp_path: Path, made: Callable[[str], object]
) -> None:
    days = [made(day) for day in ("2024-01-01", "2024-01-02")] * 30
    pd.DataFrame({"day": days, "kind": ["yes", "no"] * 30}).to_parquet(tmp_path / "data.parquet", index=False)
    said = r"make numbers or text of it, such as the days since one date, the month or the hour, or leave it out \("
    with pytest.raises(DataError, match=said):
        build(DataConfig(source="parquet", path=str(tmp_path / "data.parquet")))


def test_dates_that_are_few_enough_to_be_categories_are_said(save_text: SaveText) -> None:
    days = [f"2024-01-{day:02}" for day in range(1, 31)] * 2
    found = notes_of(save_text(people(days, ["yes", "no", "no"] * 20)))
    said = f"column 'age' counts as \\d+ categories, and has dates or times, such as '2024-[^']+'; .* meant, {DATES}"
    assert re.search(rf"^{said}$", found, re.MULTILINE)


@pytest.mark.parametrize(
    "texts",
    [
        *(["a", "b"], ["1", "b", "c"], ["1", "2"], ["1,5", "b", "c"], ["1.2.3", "2.10.1"], ["3:1", "2:2"], []),
        *(["May", "June"], ["Mayor 12", "Decor 2024"], ["4711-12", "2024-13"], ["Jan Smith", "May Day"]),
    ],
)
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


def test_with_folds_each_labelled_sample_that_is_not_test_is_one_to_validate_by(save_text: SaveText) -> None:
    kinds = ["rare"] * 8 + ["yes", "no"] * 40
    path = save_text(people([number / 2 for number in range(88)], kinds))
    config = DataConfig(source="csv", path=str(path), folds=4)
    assert list(build(config).notes) == [
        "classes of few samples, by which nobody can be judged: 'rare' (6 to validate, 2 to test)"
    ]
    assert "classes of few" not in "".join(build(config.model_copy(update={"test": 0.4})).notes)


def test_of_rows_without_a_label_none_is_counted_to_validate_by_with_folds(save_text: SaveText) -> None:
    kinds = ["rare"] * 8 + ["yes", "no"] * 40 + [""] * 20
    path = save_text(people([number / 2 for number in range(108)], kinds))
    config = DataConfig(source="csv", path=str(path), folds=4, rest="unlabelled")
    assert (
        "classes of few samples, by which nobody can be judged: 'rare' (6 to validate, 2 to test)"
        in build(config).notes
    )


def test_columns_that_are_counted_are_a_header(save_text: SaveText) -> None:
    rows = "".join(f"{age},{age / 4},{age / 8},{number % 3}\n" for number, age in enumerate(AGES))
    assert notes_of(save_text(f"0,1,2,label\n{rows}")) == ""


def test_a_first_line_that_is_no_header_is_said(save_text: SaveText) -> None:
    rows = "".join(f"{20 + number}.5,{number},{'ab'[number % 2]}\n" for number in range(60))
    assert "names of columns, such as '20.5', look like values; is the first line a header?" in notes_of(
        save_text(rows)
    )
