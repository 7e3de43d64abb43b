"""`python -m distill_tune.report`, and the page that a search writes at its end."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from reported import played, summed_up

from distill_tune.report import main
from distill_tune.tuning.job import Job


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("results") / "one"
    made.mkdir()
    summed_up(made, played(made, trials=4))
    return made


def test_of_one_folder_it_writes_the_page_there_and_says_where(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    assert "BEATS the same student without a teacher" in (folder / "report.html").read_text()


def test_of_several_it_writes_one_page_in_the_current_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    summed_up(other, played(other, trials=2))
    monkeypatch.chdir(tmp_path)
    assert main([str(folder), "other"]) == 0
    assert capsys.readouterr().out == "comparison.html\n"
    assert "2 searches side by side" in (tmp_path / "comparison.html").read_text()


def test_it_writes_where_it_is_told_to(folder: Path, tmp_path: Path) -> None:
    assert main([str(folder), "-o", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").stat().st_size > 1_000_000  # with plotly.js in it


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: must be the result folder of a search, but holds none; give results/NAME."),
        (["{folder}", "{folder}"], "is given twice; give each result once."),
        (["{folder}", "-o", "{folder}"], "cannot be written (Is a directory); choose another place."),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_line(
    arguments: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.iterdir())
    assert main([each.format(folder=folder) for each in arguments]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert (told.err.count("\n"), told.out) == (1, "")
    assert sorted(folder.iterdir()) == before


def test_it_needs_neither_torch_nor_ray(folder: Path) -> None:
    code = "import sys, distill_tune.report as r; r.main(sys.argv[1:]); print({'torch', 'ray'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "set()"


def test_a_search_whose_page_cannot_be_written_is_whole_and_says_how_to_have_it(folder: Path) -> None:
    told: list[str] = []
    page = folder / "report.html"
    page.unlink(missing_ok=True)
    page.mkdir()
    job: Any = Job(SimpleNamespace(folder=folder), SimpleNamespace(tell=told.append))  # type: ignore[arg-type]
    job._write_report()
    page.rmdir()
    (line,) = told
    assert line.startswith("warning: report.html cannot be written (")
    assert line.endswith(f"python -m distill_tune.report {folder} writes it")
