"""docs/results.md lists exactly the fields, columns, tags, words and exit statuses that a search produces."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from middle import Middle
from pages import first_name, names_in, read, rows_of, tables_under_headings, without_code
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from distill_tune.cli import BAD_INPUT, INTERRUPTED
from distill_tune.config import Config, Space
from distill_tune.config.searching import LATENCY
from distill_tune.distillation.materials.materials import CORRUPTED, Materials
from distill_tune.distillation.preparation.prepare import Preparation
from distill_tune.distillation.training.loop import distill
from distill_tune.evaluation.verdict import Word
from distill_tune.export.versions import versions
from distill_tune.teachers import LoadedTeacher
from distill_tune.teachers.mixing import Mix
from distill_tune.tuning.deciding.budget import Reason
from distill_tune.tuning.planning.limits import Limits
from distill_tune.tuning.schedulers import Rung
from distill_tune.tuning.showing.tensorboard import CHARTS, TensorBoardWatcher
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Report, Status, TrialRecord
from distill_tune.tuning.verdict import summary, teacher_summary
from distill_tune.tuning.verdict.candidate import DEFAULT_DISTILLATION, Candidate, baselines_of
from distill_tune.tuning.verdict.clock import Clock
from distill_tune.tuning.verdict.confirmation import Confirmation
from distill_tune.tuning.verdict.examination import Examination
from distill_tune.tuning.verdict.front import front_rows
from distill_tune.tuning.verdict.outcome import complete
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.worker_group import train

PAGE = "docs/results.md"
OWN = ("my_parts:Waves", "my_parts:Between")
OF_THE_LAST_EPOCH = {"best.validation.agreement", "best.validation.corrupted_accuracy"}


@pytest.fixture(scope="module")
def reports(own_space: Space, preparation: Preparation) -> list[Report]:
    """The reports of one training, epoch by epoch."""
    config = own_space.at(own_space.suggest(Middle(*OWN)))
    return [epoch.report for epoch in distill(config, Materials.open(preparation.prepared, config), seed=0)]


@pytest.fixture(scope="module")
def document(own_space: Space, preparation: Preparation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A whole `summary.json`, with one trial confirmed in two seeds and its baselines."""
    folder = tmp_path_factory.mktemp("result")
    values = own_space.suggest(Middle(*OWN))
    record = TrialRecord(0, "0000", values)
    winner = Candidate("trial-0000", own_space.at(values), [1, 2], record)
    searched = Candidate("searched_no_teacher", winner.config, [1, 2], TrialRecord(1, "0001", values))
    confirmation = Confirmation(winner, [*baselines_of(winner), searched])
    for candidate, seed in product([winner, *confirmation.baselines], winner.seeds):
        weights = folder / f"{candidate.name}-{seed}.safetensors"
        reports = train(Assignment(candidate.name, candidate.config, seed, preparation.prepared, keep=weights), "cpu")
        candidate.weights[seed], candidate.reports[seed] = weights, list(reports)[-1]
    ledger = Ledger()
    ledger.start(record)
    ledger.report("0000", winner.reports[1])
    searched.source.reports.append(searched.reports[1])
    ledger.end(record, Status.COMPLETED)
    limits = Limits(own_space.config.limits, preparation.dataset)
    found = complete(
        {"name": "own", "space": "", "sessions": 1, "test_opened": 1},
        confirmation,
        preparation,
        limits,
        ledger,
        folder / "best",
    )
    spent = summary.effort(ledger, Clock(), 1, 1, [Rung(1)], Reason.TRIALS, place_s=1.0)
    beside = {"baseline_search": summary.baseline_effort(ledger, Reason.TRIALS)}
    return {**found, **spent, **beside, "versions": versions()}


def fields_of(document: dict[str, Any]) -> set[str]:
    """Dotted names of a summary as the page has them: NAME for a baseline, test blocks once."""
    kept = {name: value for name, value in document.items() if name not in ("baselines", "verdict", "baseline_search")}
    blocks = {"best.test": document["best"]["test"]}
    blocks |= {f"baselines.NAME.{key}": each[key] for each in document["baselines"].values() for key in ("test",)}
    searched = document["baselines"]["searched_no_teacher"].keys() - {"test"}
    best = {name: value for name, value in document["best"].items() if name != "test"}
    verdicts = {f"verdict.NAME.{name}" for each in document["verdict"].values() for name in each}
    (tests,) = {tuple(flat(block, "test.")) for block in blocks.values()}
    beside = {f"baselines.searched_no_teacher.{key}" for key in searched}
    beside |= {f"baseline_search.{key}" for key in document["baseline_search"]}
    return {*flat({**kept, "best": best}), *blocks, *verdicts, *tests, *beside}


def flat(tables: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in tables.items():
        is_table = isinstance(value, dict) and name not in ("config", "by_corruption", "versions", "failed_seeds")
        yield from flat(value, f"{prefix}{name}.") if is_table else [f"{prefix}{name}"]


def fields_of_a_member() -> set[str]:
    """Fields reported only for each of several teachers."""
    members = {"NAME": LoadedTeacher(parameters=1)}
    teacher = LoadedTeacher(1, members=members, mix=Mix({"NAME": 1.0}, "logits"))
    examined = Examination({}, 0.5, {"NAME": 0.5})
    told = set(flat({"teacher": teacher_summary.teacher_of(teacher, examined, (8,))}))
    return {name for name in told if ".members." in name} - {"teacher.members.NAME.multiply_adds"}


def documented_in_results(head: str, heading: str) -> set[str]:
    return {first_name(row[head]) for row in rows_of(PAGE, heading, head)}


def test_results_has_every_field_of_the_summary_and_no_other(document: dict[str, Any], own_space: Space) -> None:
    told = documented_in_results("field", "summary.json")
    rungs = {f"rungs.{name}" for name in document["rungs"][0]}
    ledger = Ledger(further=["parameters"])
    ledger.end(TrialRecord(0, "0000", own_space.suggest(Middle()), reports=[{"val/accuracy": 0.9}]), Status.COMPLETED)
    front = {f"front.{name}" for name in front_rows(ledger, own_space, [])[0]}
    others = {*OF_THE_LAST_EPOCH, "best.left_out", *summary.failed("why")} - {"best"} | fields_of_a_member()
    assert told == (fields_of(document) - {"rungs"}) | rungs | front | others


def test_an_interrupted_search_adds_what_its_best_trial_reported_last_and_nothing_else(
    document: dict[str, Any], own_space: Space, reports: list[Report]
) -> None:
    ledger = Ledger()
    last = {"val/agreement": 0.9, CORRUPTED: 0.9} | reports[-1]
    ledger.start(TrialRecord(0, "0000", own_space.suggest(Middle()), reports=[last]))
    extra = set(flat(summary.interrupted(ledger, own_space))) - fields_of(document)
    assert {name for name in extra if not name.startswith("best.config")} == OF_THE_LAST_EPOCH


def test_results_has_every_column_of_the_table_of_trials_and_no_other(reports: list[Report]) -> None:
    record = TrialRecord(0, "0000", {"NAME": 1.0}, reports=reports)
    told = documented_in_results("column", "trials.parquet")
    where_an_objective = {CORRUPTED, LATENCY, "on_front"}
    assert told - set(summary.row_of(record)) == where_an_objective | {"train/NAME_loss"}
    assert told >= set(summary.row_of(record))


def test_results_has_every_tag_that_tensorboard_shows(own_space: Space, reports: list[Report], tmp_path: Path) -> None:
    watcher = TensorBoardWatcher(tmp_path, own_space, "val/accuracy")
    ledger = Ledger("val/accuracy", [watcher])
    record = TrialRecord(0, "0000", own_space.suggest(Middle()), parameters=9, multiply_adds=9)
    ledger.start(record)
    for report in reports:
        ledger.report("0000", {**report, "epoch": 9}, is_rung=True)
    ledger.end(record, Status.COMPLETED)
    ledger.close()
    shown: set[str] = {tag for charts in CHARTS.values() for tags in charts.values() for tag in tags}
    for run in ("search", "0000"):
        tags = EventAccumulator(str(tmp_path / run)).Reload().Tags()
        texts = {tag.removesuffix("/text_summary") for tag in tags["tensors"]}
        shown |= {*tags["scalars"], *(text for text in texts if not re.match("_hparams|custom_scalars", text))}
    assert shown <= set(names_in(without_code(read(PAGE))))


def test_results_knows_every_status_word_and_exit_status() -> None:
    page = read(PAGE)
    column = next(row for row in tables_under_headings(PAGE)["trials.parquet"] if "`status`" in row["column"])
    assert set(names_in(column["meaning"])) == set(Status) - {Status.RUNNING}
    assert all(f"`{word}`" in page for word in Word)
    rows = tables_under_headings(PAGE)["How it ends"]
    assert {int(row["exit status"]) for row in rows} == {0, 1, BAD_INPUT, INTERRUPTED}


def test_baselines_that_results_describes_are_those_that_are_trained() -> None:
    config: Config = Space.parse({"data": {"source": "digits"}, "student": {"family": "mlp"}}).config
    made = baselines_of(Candidate("trial-0000", config, [1, 2], TrialRecord(0, "0000", {})))
    page = read(PAGE)
    assert all(f"`{baseline.name}`" in page for baseline in made)
    assert f"T = {DEFAULT_DISTILLATION['temperature']:g}, `soft_weight` = {DEFAULT_DISTILLATION['soft_weight']}" in page
