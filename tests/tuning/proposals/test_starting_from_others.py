"""`search.start_from`: how each sampler uses the trials of another search."""

from pathlib import Path
from typing import Any

import pytest
from two_objectives import TABLES, played

from distill_tune.config import Space
from distill_tune.config.sections import DataConfig
from distill_tune.errors import ConfigError, DistillTuneError
from distill_tune.export.result_folder import SEARCH_TOML, write_search_toml
from distill_tune.registry import SAMPLERS
from distill_tune.tuning.proposals.start_from import check_others, split_otherwise, still_there
from distill_tune.tuning.proposals.study import Proposal, Study
from distill_tune.tuning.proposals.warm_start import known_of_others, trials_of_others
from distill_tune.tuning.state.logbook import JOURNAL
from distill_tune.tuning.state.records import Status, TrialRecord

RANGES: dict[str, Any] = {"learning_rate": {"log": [1e-4, 1e-1]}, "weight_decay": {"log": [1e-6, 1e-2]}}
CHOICES: dict[str, Any] = {"learning_rate": {"choice": [0.001, 0.01, 0.1]}, "weight_decay": {"choice": [0.0, 1e-4]}}
OPTIM = dict.fromkeys(SAMPLERS.names, RANGES) | {"grid": CHOICES}
"""What each sampler can sample."""
WHO_LEARNS = ["gp", "tpe"]
WHO_DOES_NOT = [name for name in SAMPLERS.names if name not in WHO_LEARNS]


def space_of(sampler: str, **search: Any) -> Space:
    tables = {"data": {"source": "digits"}, "student": {"family": "mlp"}, "optim": OPTIM[sampler]}
    return Space.parse({**tables, "search": {"sampler": sampler, **search}})


def tell(study: Study, proposal: Proposal, status: Status) -> None:
    """End a trial with `status`, after an epoch unless infeasible; a rate closer to 0.01 is better."""
    score = 1 - abs(proposal.values["optim.learning_rate"] - 0.01)
    reports = [{"epoch": 1, "val/accuracy": score, "val/loss": score}]
    is_known = status is not Status.INFEASIBLE
    record = TrialRecord(proposal.number, "t", proposal.values, reports=reports if is_known else [])
    study.tell(record, status, excess=0.0 if is_known else 0.5)


def propose(study: Study, *ends: Status) -> list[dict[str, Any]]:
    proposals = []
    for status in ends:
        proposal = study.ask()
        tell(study, proposal, status)
        proposals.append(proposal.values)
    return proposals


def other_search(folder: Path, sampler: str, *ends: Status) -> str:
    folder.mkdir()
    write_search_toml(folder, space_of(sampler), "command")
    propose(Study(folder / JOURNAL, "other", space_of(sampler)), *ends)
    return str(folder)


def started(folder: Path, space: Space, others: list[str]) -> Study:
    study = Study(folder / "study.journal", "s", space)
    study.learn(trials_of_others(others, space))
    return study


@pytest.mark.parametrize("ends", [[Status.COMPLETED], [Status.COMPLETED, Status.INFEASIBLE, Status.STOPPED]])
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS.names if name != "grid"])
def test_each_sampler_goes_on_after_the_trials_of_another_search(
    sampler: str, ends: list[Status], tmp_path: Path
) -> None:
    other = other_search(tmp_path / "other", "random", *[Status.COMPLETED] * 12)
    propose(started(tmp_path, space_of(sampler), [other]), *ends * (6 // len(ends)))


@pytest.mark.parametrize("sampler", WHO_LEARNS)
def test_who_learns_from_others_makes_use_of_it_from_the_first_trial_on(sampler: str, tmp_path: Path) -> None:
    other = other_search(tmp_path / "other", "random", *[Status.COMPLETED] * 20)
    alone = Study(tmp_path / "alone.journal", "s", space_of(sampler))
    drawn, *_ = propose(alone, Status.COMPLETED)
    learnt, *_ = propose(started(tmp_path, space_of(sampler), [other]), Status.COMPLETED)
    assert abs(learnt["optim.learning_rate"] - 0.01) < 0.02 < abs(drawn["optim.learning_rate"] - 0.01)


@pytest.mark.parametrize("sampler", WHO_DOES_NOT)
def test_who_does_not_learn_from_others_proposes_what_it_would_have_proposed(sampler: str, tmp_path: Path) -> None:
    other = other_search(tmp_path / "other", sampler, *[Status.COMPLETED] * 5)
    alone = Study(tmp_path / "alone.journal", "s", space_of(sampler))
    ends = [Status.COMPLETED] * 5
    assert propose(started(tmp_path, space_of(sampler), [other]), *ends) == propose(alone, *ends)


def test_a_grid_that_starts_from_another_still_tries_every_combination(tmp_path: Path) -> None:
    other = other_search(tmp_path / "other", "grid", *[Status.COMPLETED] * 6)
    study = started(tmp_path, space_of("grid"), [other])
    assert len({tuple(values.values()) for values in propose(study, *[Status.COMPLETED] * 6)}) == 6
    with pytest.raises(DistillTuneError, match="every combination of the space has been tried"):
        study.ask()


def test_what_was_over_the_limits_of_another_search_is_not_taken_for_a_bad_student(tmp_path: Path) -> None:
    ends = [Status.INFEASIBLE, Status.COMPLETED, Status.STOPPED, Status.INFEASIBLE]
    other = other_search(tmp_path / "other", "tpe", *ends)
    known = trials_of_others([other], space_of("tpe"))
    assert [trial.state.name for trial in known] == ["COMPLETE", "PRUNED"]


def test_a_trial_with_decimals_where_this_space_has_integers_does_not_fit(tmp_path: Path) -> None:
    """Optuna would read them as the integer below, and then refuse to record them as one."""

    def with_temperature(found: dict[str, Any]) -> Space:
        own = {"loss": {"kind": "soft_targets", "temperature": found}, "optim": RANGES, "search": {"sampler": "tpe"}}
        return Space.parse({"data": {"source": "digits"}, "student": {"family": "mlp"}, **own})

    decimals, said = with_temperature({"uniform": [1, 8]}), list[str]()
    write_search_toml(tmp_path, decimals, "command")
    other = Study(tmp_path / JOURNAL, "other", decimals)
    for temperature in (3.7, 3.0):
        tell(other, other.ask({"loss.temperature": temperature}), Status.COMPLETED)
    integers = with_temperature({"int": [1, 8]}).with_fixed("search", "start_from", [str(tmp_path)])
    found = known_of_others(integers, said.append)
    assert [trial.params["loss.temperature"] for trial in found] == [3]
    assert said == ["search.start_from: knows 1 of 2 trials"]


def test_a_search_that_is_gone_when_it_is_to_be_learned_from_is_told_of(tmp_path: Path) -> None:
    """The search without a teacher begins hours after the paths were checked."""
    there, said = other_search(tmp_path / "other", "random", Status.COMPLETED), list[str]()
    assert still_there([there, str(tmp_path / "gone")], said.append) == [there]
    assert said == [f"warning: search.start_from: {tmp_path / 'gone'} is gone; the search begins without its trials"]


def test_others_that_have_not_what_is_searched_for_are_told_of(tmp_path: Path) -> None:
    """A metric that is reported only as an objective is missing from other logbooks."""
    (tmp_path / "other").mkdir()
    played(tmp_path / "other", trials=2)
    write_search_toml(tmp_path / "other", Space.parse(TABLES), "command")
    search: dict[str, Any] = {"start_from": [str(tmp_path / "other")], "objectives": ["val/corrupted_accuracy"]}
    said = list[str]()
    assert known_of_others(Space.parse({**TABLES, "search": search}), said.append) == []
    assert said == [
        "warning: search.start_from: no trial there has val/corrupted_accuracy, so that the search begins as if there "
        "were none"
    ]


def test_a_journal_with_a_damaged_line_is_refused_and_one_that_a_kill_cut_short_is_not(tmp_path: Path) -> None:
    other = other_search(tmp_path / "other", "random", *[Status.COMPLETED] * 3)
    search, journal = Space.parse({**TABLES, "search": {"start_from": [other]}}).config.search, Path(other) / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines)[:-5])
    check_others(search)
    assert trials_of_others([other], space_of("tpe"))
    journal.write_bytes(b"".join([*lines[:2], bytes(9) + lines[2], *lines[3:]]))
    with pytest.raises(ConfigError, match=r"search\.start_from: .*study\.journal: line 3 is damaged; leave"):
        check_others(search)


def test_a_path_that_is_written_otherwise_leads_to_the_same_data(tmp_path: Path) -> None:
    other = other_search(tmp_path / "other", "random", Status.COMPLETED)
    toml = Path(other) / SEARCH_TOML
    toml.write_text(toml.read_text().replace("[data]\n", '[data]\npath = "files/../files/x.csv"\n', 1))
    told = [
        split_otherwise([other], DataConfig(source="digits", path=path, seed=1))
        for path in (str(Path("files/x.csv").absolute()), "files/x.csv", "files/y.csv")
    ]
    assert [len(found) for found in told] == [1, 1, 0]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, []),
        ({"passes": 3, "student_samples": 500}, []),
        ({"seed": 1}, ["(data.seed was 0 and is 1)"]),
        ({"test": 0.3, "validation": 0.1}, ["(data.test was unset and is 0.3)"]),
        ({"source": "blobs"}, []),
        ({"path": "elsewhere", "seed": 1}, []),
    ],
)
def test_a_search_whose_data_were_split_otherwise_is_warned_of(
    tmp_path: Path, data: dict[str, Any], told: list[str]
) -> None:
    other = other_search(tmp_path / "other", "random", Status.COMPLETED)
    ours = Space.parse({"data": {"source": "digits", **data}, "student": {"family": "mlp"}}).config.data
    found = split_otherwise([other], ours)
    assert len(found) == len(told)
    for line, part in zip(found, told, strict=True):
        assert line.startswith(f"warning: search.start_from: {other} has split its data otherwise {part}; rows that")
