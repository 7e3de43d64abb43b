"""`python -m distill_tune.report RESULT_FOLDER...`: the page of one search, or of several side by side.

For one folder, writes `report.html` into it, as the search itself does when it ends; it may still be running. For
several, writes `comparison.html` into the current folder. Only reads files; needs neither Ray nor PyTorch.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from distill_tune.atomic import place_of
from distill_tune.cli import Parser, guarded, leave, refuse_to_replace
from distill_tune.errors import ConfigError, InputError
from distill_tune.paths import expanded, real_path
from distill_tune.streams import tell

COMPARISON = "comparison.html"


def parser() -> Parser:
    """The command-line parser."""
    made = Parser(prog="python -m distill_tune.report", description=__doc__)
    made.add_argument("folders", nargs="+", metavar="RESULT_FOLDER", help="of a search: results/NAME")
    where = f"the page to write (default: RESULT_FOLDER/report.html; of several, {COMPARISON})"
    made.add_argument("-o", "--output", metavar="OUTPUT", help=where)
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    given = parser().parse_args(arguments)
    return guarded(lambda: _report(given))


def _report(given: argparse.Namespace) -> int:
    from distill_tune.export.result_folder import REPORT
    from distill_tune.tuning.reporting.comparison import comparison_of
    from distill_tune.tuning.reporting.page import page_of
    from distill_tune.tuning.reporting.result import Result

    folders = [expanded(each) for each in given.folders]
    places = [real_path(folder) for folder in folders]
    if twice := next((folder for at, folder in enumerate(folders) if places[at] in places[:at]), None):
        raise ConfigError(f"{twice}: is given twice; give each result once.")
    try:
        results = [Result.of(folder) for folder in folders]
    except OSError as error:
        raise InputError(
            f"{error.filename!s:.200}: cannot be read ({error.strerror}); look at its permissions and its disk."
        ) from error
    usual = Path(COMPARISON) if len(results) > 1 else folders[0] / REPORT
    output = usual if given.output is None else expanded(given.output)
    for folder in folders:
        refuse_to_replace(output, folder, ".html")
    page = comparison_of(results) if len(results) > 1 else page_of(results[0], real_path(output).parent == places[0])
    try:
        with place_of(output) as place:
            place.write_text(page, encoding="utf-8", errors="backslashreplace")  # a path may not be UTF-8
    except OSError as error:
        raise InputError(f"{output!s:.200}: cannot be written ({error.strerror}); choose another place.") from error
    if output.is_file():  # a page written to standard output must stay alone there
        tell(str(output), sys.stdout)
    return 0


if __name__ == "__main__":
    leave(main())
