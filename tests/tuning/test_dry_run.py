"""`--dry-run` reports what the search then does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import TABLES

from distill_tune import search
from distill_tune.config import Space
from distill_tune.data import prepare_data
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.export.result_folder import CACHE
from distill_tune.tuning import dry_run as module
from distill_tune.tuning.dry_run import dry_run
from distill_tune.tuning.planning import estimate
from distill_tune.tuning.planning.estimate import estimated_epoch_s
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.logbook import Entry
from distill_tune.tuning.state.plan import ConfirmationPlan
from distill_tune.tuning.state.records import Status, TrialRecord

EPOCH_S = 60.0


@pytest.fixture(autouse=True)
def _epochs_of_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (module, "distill_tune.tuning.planning.fitting"):
        name = place if isinstance(place, str) else place.__name__
        monkeypatch.setattr(f"{name}.estimated_epoch_s", lambda space, dataset: EPOCH_S)
    monkeypatch.setattr(module, "places_of_this_machine", lambda resources, must_fit: 4)


def space_with(**search: Any) -> Space:
    optim = {**TABLES["optim"], "precision": "float32"}
    return Space.parse({**TABLES, "optim": optim, "search": {"max_epochs": 9, "scheduler": "none", **search}})


def said(space: Space, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert dry_run(space, folder) == 0
    return capsys.readouterr().out


def test_epochs_of_all_trials_together_bound_the_time_of_the_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = said(space_with(trials=1000, epochs=40), tmp_path / "one", capsys)
    assert "1,000 trials, at most 40 epochs of all of them; 4 at a time" in plan
    assert "search about 10:00 min at 9.0 epochs a trial" in plan


@pytest.mark.parametrize(("start_with", "epochs"), [("middle", 4.0), ([], 2.3)])
def test_the_first_of_each_family_trains_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], start_with: Any, epochs: float
) -> None:
    """Two of eight trials take 9 epochs; the others take 1 + 2/3 + 6/9 each."""
    space = space_with(trials=8, scheduler="promotion", max_epochs=9, start_with=start_with)
    tables = {**space.tables, "student": {"family": ["mlp", "resnet"], "mlp": {"widths": [8]}}}
    plan = said(Space.parse({**tables, "loss": TABLES["loss"]}), tmp_path / "one", capsys)
    assert f"at {epochs:.1f} epochs a trial" in plan


def test_values_to_choose_from_are_written_as_in_toml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    optim = {**TABLES["optim"], "kind": "sgd", "sgd": {"nesterov": {"choice": [True, False]}}}
    told = said(Space.parse({**TABLES, "optim": optim}), tmp_path, capsys)
    assert "student.mlp.widths: one of [8], [12], [16]" in told
    assert "optim.sgd.nesterov: one of true, false" in told


def test_places_with_lanes_are_said_with_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = space_with(trials=100).with_fixed("resources", "lanes", 8)
    assert "100 trials; 4 places of 8 lanes on this machine's " in said(space, tmp_path / "one", capsys)


def test_the_confirmation_of_a_single_trial_has_all_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = said(space_with(trials=1), tmp_path / "one", capsys)
    assert "  1 trial; 1 at a time" in plan
    assert "then 15 confirmation runs of 9 epochs, about 45:00 min" in plan, "2 rounds, and 3 of the baselines"


def test_what_a_teacher_says_of_itself_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logits = np.random.default_rng(0).normal(size=(600, 4))
    logits[:3] = 0
    np.save(tmp_path / "logits.npy", logits)
    teacher = {"source": "logits", "path": str(tmp_path / "logits.npy")}
    plan = said(Space.parse({**space_with().tables, "teacher": teacher}), tmp_path / "one", capsys)
    assert "  warning: teacher: 3 rows of its logits are all 0" in plan


def begun(folder: Path, space: Space, trials: int) -> None:
    """A search that has trained `trials` trials, and is running one more."""
    claim = Claim.of_new(folder, space, "its command")
    for number in range(trials + 1):
        record = TrialRecord(number, f"{number:04d}", {}, parameters=5, multiply_adds=4)
        claim.logbook.trial_started(record)
        if number < trials:
            record.status = Status.COMPLETED
            claim.logbook.trial_ended(record)
    claim.logbook.release()


def test_a_search_that_goes_on_keeps_its_epochs_and_has_fewer_trials_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun(tmp_path / "one", space_with(trials=8, time="1h"), trials=5)
    assert search.main(["--resume", "--name", "one", "--storage", str(tmp_path), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "pay for" not in told
    assert "max_epochs = 9" in told
    assert "8 trials, of which 3 are still to be trained, at most 1h" in told
    assert "search about 9:00 min at 9.0 epochs a trial" in told, "three at a time, though there are four places"


@pytest.mark.parametrize(("searches", "told"), [(1, "2:00 min"), (2, "2:00 min")])
def test_the_time_bounds_what_a_search_takes(searches: int, told: str) -> None:
    """Searches get two thirds of it together."""
    space = space_with(trials=1000, time="3m").with_fixed("confirm", "baseline_search", searches > 1)
    assert f"search about {told} at 9.0 epochs" in module._times(space.config, EPOCH_S, 100, 1000, 4)[1]
    spent = History(spent_s=100.0)
    left = {1: "20 s", 2: "1:00 min"}[searches]
    assert f"search about {left} at" in module._times(space.config, EPOCH_S, 100, 1000, 4, past=spent)[1]


def test_an_extension_has_all_of_its_own_time() -> None:
    space, finished = space_with(trials=1000, time="3m"), History(spent_s=100.0, is_finished=True)
    assert "search about 2:00 min at" in module._times(space.config, EPOCH_S, 100, 1000, 4, past=finished)[1]


def test_a_confirmation_that_has_begun_keeps_its_plan() -> None:
    past = History(plan=ConfirmationPlan(top=1, seeds=2))
    assert "then 6 confirmation runs of" in module._times(space_with().config, EPOCH_S, 100, 0, 4, past=past)[1]


def test_of_a_search_that_has_ended_its_confirmation_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = space_with(trials=8)
    begun(tmp_path / "one", space, trials=5)
    claim = Claim.of_old(tmp_path / "one", "its second command")
    claim.logbook.write(Entry.SEARCHED, ended_by="time")
    claim.logbook.release()
    assert search.main(["--resume", "--name", "one", "--storage", str(tmp_path), "--dry-run"]) == 0
    assert "search about 0 s at" in capsys.readouterr().out


def test_what_a_search_has_made_ready_is_looked_for_in_its_own_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = space_with(trials=8)
    begun(tmp_path / "one", space, trials=0)
    prepare(space, tmp_path / "one" / CACHE, lambda line: None)
    assert search.main(["--resume", "--name", "one", "--storage", str(tmp_path), "--dry-run"]) == 0
    assert "  before the search: Ray's start, some 5 s\n" in capsys.readouterr().out


def test_a_teacher_that_is_trained_here_and_runs_live_is_a_part_of_each_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "labelling_s", lambda network, inputs: 1.0)
    space = space_with()
    dataset = prepare_data(space.config.data, tmp_path)
    samples = estimate.samples_per_epoch(space.config, dataset)
    cached, live = (
        estimated_epoch_s(space.with_fixed("teacher", "mode", mode), dataset) for mode in ("cached", "live")
    )
    assert cached is not None
    assert live is not None
    assert cached < samples <= live < samples + 60


def test_of_a_live_teacher_that_is_yet_to_be_loaded_it_says_that_its_part_is_left_out() -> None:
    loaded = {"source": "torch", "path": "teacher.safetensors", "torch": {"factory": "my_models:build"}}

    def times(**teacher: Any) -> str:
        return module._times(Space.parse({**TABLES, "teacher": teacher}).config, EPOCH_S, 100, 8, 4)[0]

    left_out = ", without the teacher beside it, which runs live"
    assert times(**loaded, mode="live").endswith(left_out)
    assert not times(**loaded).endswith(left_out)
    assert not times(**TABLES["teacher"], mode="live").endswith(left_out)
