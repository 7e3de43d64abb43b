"""`python -m distill_tune.report`, and the page that a search writes at its end."""

import html
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from disks import as_nobody
from reported import played, summed_up

from distill_tune.report import main
from distill_tune.tuning.job import Job
from distill_tune.tuning.reporting.comparison import comparison_of


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


def test_parts_of_the_user_s_own_need_not_be_there(tmp_path: Path) -> None:
    summed_up(tmp_path, played(tmp_path, trials=4))
    told = (tmp_path / "search.toml").read_text()
    own = told.replace('scheduler = "asha"', 'scheduler = "absent:Mine"\nsampler = "absent:Its"')
    (tmp_path / "search.toml").write_text(own)
    assert own != told
    assert main([str(tmp_path)]) == 0


def test_it_writes_where_it_is_told_to(folder: Path, tmp_path: Path) -> None:
    assert main([str(folder), "-o", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").stat().st_size > 1_000_000  # includes plotly.js


def test_a_pipe_gets_the_page_and_stays_one(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = Thread(target=lambda: read.append((tmp_path / "pipe").read_text()), daemon=True)
    reader.start()
    assert main([str(folder), "-o", str(tmp_path / "pipe")]) == 0
    reader.join(timeout=60)
    assert read[0].startswith("<!DOCTYPE html>")
    assert (tmp_path / "pipe").is_fifo()


def test_standard_output_gets_the_page_and_nothing_else(folder: Path) -> None:
    command = [sys.executable, "-m", "distill_tune.report", str(folder), "-o", "/dev/stdout"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("<!DOCTYPE html>")
    assert ran.stdout.rstrip().endswith("</html>")


def test_a_page_elsewhere_leads_to_the_result_s_files_and_its_commands_can_be_run_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "it's <b>one"
    folder.mkdir()
    summed_up(folder, played(folder, trials=2))
    monkeypatch.chdir(folder)
    assert main(["."]) == 0
    page = (folder / "report.html").read_text()
    assert "<h1>it&#39;s &lt;b&gt;one</h1>" in page
    assert 'href="summary.json"' in page
    assert "trials.parquet" not in page[page.index("Beside this page") :]  # there is none
    assert f"tensorboard --logdir {shlex.quote(str(folder / 'tensorboard'))}" in html.unescape(page)
    monkeypatch.chdir(tmp_path)
    assert main([folder.name, "-o", "page.html"]) == 0
    assert f'href="{folder.as_uri()}/summary.json"' in Path("page.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: must be the result folder of a search, but holds none; give results/NAME."),
        (["{folder}", "{folder}"], "is given twice; give each result once."),
        (["{folder}", "{folder}/../one"], "is given twice; give each result once."),
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


def test_a_result_that_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summed_up(tmp_path, played(tmp_path, trials=1))
    assert comparison_of  # imported with all the command needs: user nobody cannot read root's packages
    tmp_path.chmod(0)
    with as_nobody():
        assert main([str(tmp_path)]) == 2
    tmp_path.chmod(0o700)
    said = "cannot be read (Permission denied); look at its permissions and its disk."
    assert capsys.readouterr().err == f"error: {tmp_path / 'search.toml'}: {said}\n"


@pytest.mark.parametrize(
    ("edited", "said"),
    [
        ('search = 3\n[data]\nsource = "digits"\n', "[search]: must be a section with keys of its own, but got 3."),
        ('[search]\nobjectives = ["val/acuracy"]\n', "search.objectives"),
    ],
)
def test_a_configuration_that_somebody_has_spoilt_is_refused_with_its_name(
    edited: str, said: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = tmp_path / "spoilt"
    shutil.copytree(folder, spoilt)
    (spoilt / "search.toml").write_text(edited)
    assert main([str(spoilt)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {spoilt / 'search.toml'}: {said}")
    assert told.count("\n") == 1


def test_links_that_lead_to_themselves_are_no_result_and_no_page(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert main([str(loop)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main([str(folder), "-o", str(loop)]) == 0
    assert loop.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("others", [[], ["{other}"]])
def test_a_result_s_own_file_is_not_written_over(
    folder: Path, others: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    summed_up(other, played(other, trials=2))
    (tmp_path / "link.html").symlink_to(folder / "search.toml")
    before = (folder / "search.toml").read_bytes()
    for output in (folder / "search.toml", tmp_path / "link.html"):
        arguments = [each.format(other=other) for each in others]
        assert main([*arguments, str(folder), "-o", str(output)]) == 2
        said = f"error: -o {output}: is a file of {folder}, which must not be lost; choose another place.\n"
        assert capsys.readouterr() == ("", said)
    assert (folder / "search.toml").read_bytes() == before


def test_a_result_whose_path_is_no_utf_8_has_its_page(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"b\xf6se")
    folder.mkdir()
    summed_up(folder, played(folder, trials=1))
    assert main([str(folder)]) == 0
    assert r"b\udcf6se" in (folder / "report.html").read_text()


def test_a_page_of_its_own_in_there_is_written_again(folder: Path) -> None:
    for _ in range(2):
        assert main([str(folder), "-o", str(folder / "mine.html")]) == 0


def test_it_needs_neither_torch_nor_ray(folder: Path) -> None:
    code = "import sys, distill_tune.report as r; r.main(sys.argv[1:]); print({'torch', 'ray'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "set()"


def test_of_a_few_trials_it_does_without_what_weighs_values(folder: Path) -> None:
    code = "import sys, distill_tune.report as r; r.main(sys.argv[1:]); print({'sklearn', 'scipy'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "set()"


def job_in(folder: Path, told: list[str], **ordered: Any) -> Any:
    """The end of a search, at which it writes its page."""
    order: Any = SimpleNamespace(**{"folder": folder, "address": None, "mirror": None} | ordered)
    reporter: Any = SimpleNamespace(tell=told.append)
    return Job(order, reporter)


def interrupted(folder: Path, command: str = "python -m distill_tune.search") -> Path:
    """The result of an interrupted search that was begun with this command."""
    folder.mkdir()
    summed_up(folder, played(folder, trials=2), "interrupted")
    toml = (folder / "search.toml").read_text()
    (folder / "search.toml").write_text(toml.replace("python -m distill_tune.search", command))
    return folder


def way_on(folder: Path) -> str:
    """The command that the page in a folder says to go on with."""
    found = re.search("There is no verdict yet: <code>(.*)</code> goes on", (folder / "report.html").read_text())
    assert found is not None
    return html.unescape(found[1])


def test_of_a_search_in_a_store_and_on_a_cluster_the_page_says_the_command_that_the_terminal_says(
    tmp_path: Path,
) -> None:
    folder = interrupted(tmp_path / "lost")
    mirror = SimpleNamespace(store=SimpleNamespace(uri="s3://bucket/team"))
    job_in(folder, [], mirror=mirror, address="head:6379")._write_report()
    onward = "python -m distill_tune.search --resume --name lost --storage s3://bucket/team --address head:6379"
    assert way_on(folder) == onward


@pytest.mark.parametrize(
    ("given", "onward"),
    [
        ("--storage s3://bucket/team --name lost", "--storage s3://bucket/team"),
        ("--storage=gs://bucket --address=head:6379", "--storage gs://bucket --address head:6379"),
        ("--name lost --address auto", "--storage {tmp_path} --address auto"),
        ("--storage elsewhere", "--storage {tmp_path}"),
        ("'edited --storage", "--storage {tmp_path}"),
        ("--storage", "--storage {tmp_path}"),
    ],
)
def test_a_page_that_is_written_later_goes_on_in_the_store_and_on_the_cluster_where_the_search_was_begun(
    given: str, onward: str, tmp_path: Path
) -> None:
    folder = interrupted(tmp_path / "lost", f"python -m distill_tune.search {given}")
    assert main([str(folder)]) == 0
    told = onward.format(tmp_path=tmp_path)
    assert way_on(folder) == f"python -m distill_tune.search --resume --name lost {told}"


def test_no_fault_in_a_page_is_one_of_the_search(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(folder: Path, onward: str) -> None:
        raise KeyError("a fault of ours")

    monkeypatch.setattr("distill_tune.tuning.reporting.page.write_report", fails)
    told: list[str] = []
    job_in(folder, told)._write_report()
    assert "cannot be written (KeyError: 'a fault of ours')" in told[0]


def test_a_search_whose_page_cannot_be_written_is_whole_and_says_how_to_have_it(folder: Path) -> None:
    told: list[str] = []
    page = folder / "report.html"
    page.unlink(missing_ok=True)
    page.mkdir()
    job_in(folder, told)._write_report()
    page.rmdir()
    (line,) = told
    assert line.startswith("warning: report.html cannot be written (")
    assert line.endswith(f"python -m distill_tune.report {folder} writes it")
