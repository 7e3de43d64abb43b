"""`python -m distill_tune.predict STUDENT_FOLDER INPUT`: classes and probabilities for new rows; needs no Ray.

INPUT is a CSV, Parquet, .npy or .npz file in the layout of the training data, without labels, or a picture or a folder
of pictures. The output is CSV: the file name (for pictures), the class, then the probability of each class.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from distill_tune.atomic import place_of
from distill_tune.cli import Parser, guarded, leave, refuse_to_replace, warn
from distill_tune.errors import InputError
from distill_tune.paths import expanded
from distill_tune.streams import fall_silent
from distill_tune.student import load_student

if TYPE_CHECKING:
    import numpy as np


def parser() -> Parser:
    """The command-line parser."""
    made = Parser(prog="python -m distill_tune.predict", description=__doc__)
    made.add_argument("student", metavar="STUDENT_FOLDER", help="a student's folder, such as best/ of a result folder")
    made.add_argument("input", metavar="INPUT", help="CSV, Parquet, .npy, .npz, or pictures")
    made.add_argument("-o", "--output", metavar="OUTPUT", help="CSV file to write (default: standard output)")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    given = parser().parse_args(arguments)
    return guarded(lambda: _predict(given))


def _predict(given: argparse.Namespace) -> int:
    student = load_student(given.student, warn)
    source = expanded(given.input)
    if given.output is not None and _is_same(expanded(given.output), source):
        raise InputError(f"-o {given.output}: is INPUT itself, which must not be lost; choose another place.")
    if given.output is not None:
        refuse_to_replace(expanded(given.output), expanded(given.student), ".csv")
    from distill_tune.data.inputs import picture_files

    files = picture_files(source, warn)
    if given.output is not None and any(_is_same(expanded(given.output), path) for path in files or []):
        raise InputError(f"-o {given.output}: is a picture of INPUT, which must not be lost; choose another place.")
    table = _table(student.classes, student.probabilities(source if files is None else files, warn), files)
    if given.output is None:
        return _show(table)
    try:
        with place_of(expanded(given.output)) as place, _as_named(place) as file:
            return _write(file, table)
    except OSError as error:
        raise InputError(
            f"-o {given.output:.200}: cannot be written ({error.strerror}); choose another place."
        ) from error


def _as_named(place: Path) -> TextIO:
    """Open a CSV file for writing as UTF-8; picture names that are not UTF-8 keep their bytes."""
    return place.open("w", newline="", encoding="utf-8", errors="surrogateescape")


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one is missing, which is reported elsewhere if need be
        return False


def _table(classes: tuple[str, ...], found: np.ndarray, files: list[Path] | None) -> Iterator[list[str]]:
    """A header line, then one line per row; `files` are the rows' files if they are pictures."""
    yield [*([] if files is None else ["file"]), "class", *classes]
    for number, row in enumerate(found):
        first = [] if files is None else [str(files[number])]
        yield [*first, classes[int(row.argmax())], *(f"{value:.6f}" for value in row)]


def _show(table: Iterator[list[str]]) -> int:
    try:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="strict")  # these are data, not messages: names must not be altered
        _write(sys.stdout, table)
        sys.stdout.flush()
    except UnicodeEncodeError as error:
        raise InputError(
            f"standard output: its encoding, {error.encoding}, lacks letters of classes or files; write to -o FILE."
        ) from error
    except BrokenPipeError:  # `| head` has read enough
        fall_silent(sys.stdout)
    except OSError as error:
        fall_silent(sys.stdout)  # or Python tries to write again at exit
        why = error.strerror
        raise InputError(f"standard output: cannot be written ({why}); make room, or write to -o FILE.") from error
    return 0


def _write(file: TextIO, table: Iterator[list[str]]) -> int:
    csv.writer(file).writerows(table)
    return 0


if __name__ == "__main__":
    leave(main())
