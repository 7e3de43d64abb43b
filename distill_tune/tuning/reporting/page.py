"""`report.html`, which needs no other file and no network: text by Jinja2, charts by the plotly.js inside it."""

from __future__ import annotations

import argparse
import shlex
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from distill_tune.export.caveats import caveat_sentences
from distill_tune.export.result_folder import REPORT, SEARCH_TOML, SUMMARY, write_text
from distill_tune.export.student_folder import BEST
from distill_tune.export.verdict_words import evidence_sentences, verdict_sentences
from distill_tune.tuning.reporting import tables
from distill_tune.tuning.reporting.charts._base import Chart
from distill_tune.tuning.reporting.charts.corruptions import corruptions
from distill_tune.tuning.reporting.charts.curves import curves
from distill_tune.tuning.reporting.charts.front import front
from distill_tune.tuning.reporting.charts.importance import importance
from distill_tune.tuning.reporting.charts.parallel import parallel
from distill_tune.tuning.reporting.charts.progress import progress
from distill_tune.tuning.reporting.charts.slices import slices
from distill_tune.tuning.reporting.charts.verdict import accuracies, differences
from distill_tune.tuning.reporting.result import Result
from distill_tune.tuning.showing.final_report import command_to_go_on

CHARTS = {
    "accuracies": accuracies,
    "differences": differences,
    "corruptions": corruptions,
    "front": front,
    "progress": progress,
    "curves": curves,
    "importance": importance,
    "slices": slices,
    "parallel": parallel,
}
"""Charts by the name of their place in the template."""


def write_report(folder: Path, onward: str | None = None) -> Path:
    """Write the page of a result folder's search into that folder; returns its path. `onward` as in `page_of`.

    Raises:
        ConfigError: there is no search in the folder.
        OSError: the page cannot be written.
    """
    place = folder / REPORT
    write_text(place, page_of(Result.of(folder), onward=onward))
    return place


def page_of(result: Result, is_beside: bool = True, onward: str | None = None) -> str:
    """The page as HTML.

    Args:
        result: what it shows.
        is_beside: whether it will be in the result folder, to whose files it links.
        onward: the command that resumes the search; by default, where the command that began it had its results.
    """
    is_examined = "verdict" in result.summary  # it is empty if no baseline can be compared
    folder = result.folder
    return rendered(
        "result.html.jinja",
        {name: draw(result) for name, draw in CHARTS.items()},
        result=result,
        tables=tables,
        is_examined=is_examined,
        verdict=verdict_sentences(result.summary) if is_examined else [],
        caveats=caveat_sentences(result.summary) if is_examined else [],
        evidence=evidence_sentences(result.summary) if is_examined else [],
        onward=onward or _onward(result),
        quoted=lambda *below: shlex.quote(str(folder.joinpath(*below))),
        links_from="" if is_beside else f"{folder.as_uri()}/",
        files=[name for name in (SUMMARY, "trials.parquet", SEARCH_TOML) if (folder / name).is_file()],
        has_student=is_examined and (folder / BEST).is_dir(),
    )


def _onward(result: Result) -> str:
    """The command that resumes the search, with the store and the cluster of the one that began it."""
    begun = _begun_with(str(result.made_with.get("command", "")))
    is_store = "://" in (begun.storage or "")
    return command_to_go_on(result.folder, begun.address, begun.storage if is_store else None)


def _begun_with(command: str) -> argparse.Namespace:
    """`storage` and `address` of a search's command line; None where it has none."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for option in ("--storage", "--address"):
        parser.add_argument(option)
    try:
        return parser.parse_known_args(shlex.split(command))[0]
    except (ValueError, argparse.ArgumentError):  # somebody has edited it: the folder alone is known
        return parser.parse_args([])


def rendered(template: str, charts: dict[str, Chart | None], **more: Any) -> str:
    """A template rendered with those charts that have data; plotly.js draws them when the page is opened."""
    drawn = {name: chart for name, chart in charts.items() if chart is not None}
    return _environment().get_template(template).render(charts=drawn, plotly=get_plotlyjs(), **more)


@cache
def _environment() -> Environment:
    """The template environment: all values are escaped, and undefined names are errors."""
    loader = PackageLoader("distill_tune.tuning.reporting", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
