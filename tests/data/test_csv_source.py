"""Columns of a csv file: what valid ones become, which are left out, and one line for every bad table."""

from pathlib import Path
from typing import Any

import pytest
from source_files import PEOPLE, Prepare, SaveText, refuse

from distill_tune.config.sections import DataConfig
from distill_tune.errors import ConfigError


@pytest.mark.parametrize("separator", ["\n", '"', "é", "\0"])
def test_a_separator_that_cannot_be_is_refused(save_text: SaveText, separator: str) -> None:
    with pytest.raises(ConfigError, match=r"csv\.separator: must be a character of ASCII, no quotation mark"):
        DataConfig(source="csv", path=str(save_text(PEOPLE)), csv={"separator": separator}).chosen("source")


NUMBERS_TOO_LARGE = "age,card,kind\n" + "".join(f"{i % 7},{10**21 + i},{'ab'[i % 2]}\n" for i in range(60))


@pytest.mark.parametrize("options", [{"ignore": ["card"]}, {"columns": ["age"]}])
def test_what_a_column_holds_that_is_left_out_does_not_matter(
    prepare: Prepare, save_text: SaveText, options: dict[str, Any]
) -> None:
    assert prepare("csv", save_text(NUMBERS_TOO_LARGE), csv=options).input_shape == (1,)


def test_a_column_that_is_neither_is_refused_with_the_key_that_leaves_it_out(save_text: SaveText) -> None:
    refuse("csv", save_text(NUMBERS_TOO_LARGE), r"'card' holds int, such as .*, or leave it out \(data.csv.ignore\)")


def test_label_columns_and_separator_can_be_chosen(prepare: Prepare, save_text: SaveText) -> None:
    path = save_text(PEOPLE.replace(",", ";"))
    dataset = prepare("csv", path, csv={"label": "city", "columns": ["age"], "separator": ";"})
    assert dataset.classes == ("a", "b")
    assert dataset.input_shape == (1,)


def test_integer_classes_are_in_numerical_order(prepare: Prepare, save_text: SaveText) -> None:
    rows = "".join(f"{i},{(2, 10, 1)[i % 3]}\n" for i in range(60))
    assert prepare("csv", save_text("x,y\n" + rows)).classes == ("1", "2", "10")


WORDS = ["NA", "None", "nan", "null"]


@pytest.mark.parametrize("rest", ["hidden", "unlabelled"])
def test_classes_and_categories_may_be_called_as_pandas_calls_gaps(
    prepare: Prepare, save_text: SaveText, rest: str
) -> None:
    lines = [f"{i % 9 or 'NA'},{[*WORDS, '', 'x'][i % 6]},{WORDS[i // 6 % 4]}" for i in range(180)]
    dataset = prepare("csv", save_text("size,city,kind\n" + "\n".join(lines)), rest=rest)
    assert dataset.classes == tuple(WORDS)
    assert dataset.split("train").labelled.all()
    assert dataset.encoder is not None
    assert dataset.encoder["categories"] == {"city": [*WORDS, "x", None]}
    assert [(number["name"], number["missing"]) for number in dataset.encoder["numbers"]] == [("size", True)]


def test_a_class_among_numbers_may_be_called_so_too(prepare: Prepare, save_text: SaveText) -> None:
    rows = "".join(f"{i},{('2', '1', 'NA')[i % 3]}\n" for i in range(60))
    assert prepare("csv", save_text("x,y\n" + rows)).classes == ("1", "2", "NA")


def test_labels_that_are_written_with_a_point_and_a_nought_are_integers(prepare: Prepare, save_text: SaveText) -> None:
    rows = "".join(f"{i},{i % 3}.0\n" for i in range(60))
    assert prepare("csv", save_text("x,y\n" + rows)).classes == ("0", "1", "2")


def test_gaps_and_constants_are_said(prepare: Prepare, save_text: SaveText) -> None:
    lines = [f"{'' if i == 5 else i},{'' if i == 6 else 'ab'[i % 2]},1,{i % 3}" for i in range(60)]
    notes = prepare("csv", save_text("age,city,same,kind\n" + "\n".join(lines))).notes
    assert notes[0].startswith("1 missing values in 'age' filled with the training mean ")
    assert notes[1] == "1 missing values in 'city' made a category of their own"
    assert notes[2] == "column 'same' dropped: constant in the training split"


@pytest.mark.parametrize(("mark", "told"), [(";", ";"), ("\t", r"\\t"), ("|", r"\|")], ids=["semicolon", "tab", "bar"])
def test_a_header_with_another_separator_names_it_without_pandas_internals(
    save_text: SaveText, mark: str, told: str
) -> None:
    rows = "".join(f"{i}{mark}New York, NY, {i}{mark}{'ab'[i % 2]}\n" for i in range(60))
    said = f'no table with separator \',\', for its first line has "{told}"; set data.csv.separator = "{told}"'
    refuse("csv", save_text(f"age{mark}city{mark}kind\n{rows}"), said)


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (PEOPLE, {"label": "knd"}, r"data.csv.label: .* no such column 'knd'. Did you mean 'kind'\?"),
        (
            PEOPLE,
            {"columns": ["age", "town"]},
            "data.csv.columns: .* no such column 'town'. Known: age, city",
        ),
        (PEOPLE, {"columns": ["kind"]}, "data.csv.columns: 'kind' is the label of .*; take it out of the list"),
        (PEOPLE, {"ignore": ["kind"]}, "data.csv.ignore: 'kind' is the label of .*; take it out of the list"),
        (PEOPLE, {"columns": ["age", "age"]}, "data.csv.columns: 'age' stands twice in the list; take one out"),
        ("age,age,kind\n" + "1,2,a\n3,4,b\n" * 9, {}, "has two columns named 'age'; rename one"),
        (
            "8,5,8,a\n" + "1,2,3,a\n3,4,5,b\n" * 9,
            {},
            "two columns named '8'; its first line seems to hold values, not names; write a line of names above it",
        ),
        ("\ufeffage,kind,kind\n" + "1,2,a\n3,4,b\n" * 9, {}, "has two columns named 'kind'; rename one"),
        ("\n\n", {}, "no table with separator ',' "),
        (
            "age,kind\n" + "".join(f"{i % 3},{i}\n" for i in range(9)),
            {},
            "labels in 'kind' are all different, such as '0';",
        ),
        (PEOPLE, {"separator": ";"}, r"one column only \('age,city,kind'\); set data.csv.separator"),
        (PEOPLE, {"label": "age"}, "labels in 'age' are all different, such as '20'"),
        (PEOPLE + "1,2\n", {}, "row 60 has no label in 'kind'; fill it, leave the row out, choose another"),
        (PEOPLE + "1,2,yes,4\n", {}, "no table with separator ',' .*line 62"),
        ("age,kind\n", {}, "has a header but no rows"),
        (
            "age,kind\n" + "1.5,0.5\n2.5,1.5\n" * 9,
            {},
            "labels in 'kind' are numbers with decimals, such as 0.5",
        ),
        (
            "age,kind\n" + "1.5,1.0\n2.5,2.5\n" * 9,
            {},
            "labels in 'kind' are numbers with decimals, such as 2.5; classes are integers or names: make such of them",
        ),
        (
            "age,kind\n" + "1.5,1e20\n2.5,1.0\n" * 9,
            {},
            "labels in 'kind' are numbers with decimals, such as 1e\\+20; classes",
        ),
        (
            "age,kind\n" + "1.5,1.0\n2.5,inf\n" * 9,
            {},
            "labels in 'kind' are numbers with decimals, such as inf; classes",
        ),
        ("age,kind\n" + "1.5,a\n2.5,a\n" * 9, {}, r"one class only \('a'\)"),
        ("age,kind\n" + "inf,a\n2.5,b\n" * 9, {}, "column 'age' has 9 infinite"),
        (
            "name,kind\n" + "".join(f"n{i},{i % 2}\n" for i in range(300)),
            {},
            r"300 distinct .*\(data.csv.ignore",
        ),
    ],
)
def test_bad_tables_are_refused_in_one_line(save_text: SaveText, text: str, options: dict[str, Any], said: str) -> None:
    refuse("csv", save_text(text), said, csv=options)


def test_rows_longer_than_the_header_are_refused(save_text: SaveText) -> None:
    said = r"no table with separator ',' \(a line is longer than the first\); mend that line, or name another separator"
    refuse("csv", save_text("x,y\n" + "1,2,0\n3,4,1\n" * 9), said)


@pytest.mark.parametrize("name", ["people.csv.gz", "people.csv.zip", "people.xz"])
def test_text_is_text_whatever_its_name(prepare: Prepare, save_text: SaveText, name: str) -> None:
    assert prepare("csv", save_text(PEOPLE + "".join(f"{90 + i},,no\n" for i in range(9)), name)).input_shape == (4,)


def test_text_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("ort,art\nKöln,a\nBonn,b\n".encode("latin-1") * 9)
    refuse("csv", path, "is no UTF-8 text")


def test_columns_can_be_left_out_and_a_rows_number_is_remarked_on(prepare: Prepare, save_text: SaveText) -> None:
    rows = "".join(f"{i},{i % 7},{'ab'[i % 2]}\n" for i in range(60))
    path = save_text("number,size,kind\n" + rows, "numbered.csv")
    with_number = prepare("csv", path)
    assert any("'number' has another value in every row" in note for note in with_number.notes)
    without = prepare("csv", path, csv={"ignore": ["number"]})
    assert without.encoder is not None
    assert without.encoder["columns"] == ["size"]
    assert not any("every row" in note for note in without.notes)
